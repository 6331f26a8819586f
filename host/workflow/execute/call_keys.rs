//! What calls of host functions go by, so that one which is made again is known as the same: see
//! [`HostCall::idempotency_key`](crate::HostCall::idempotency_key).

use std::fmt::Write;
use std::sync::Arc;

use twox_hash::XxHash3_128;

/// The calls of one path. They go by where it is: the run and the branches around it, how many nodes have
/// run on it, the node, and the call within that. None of that is another when the path is run again, or goes on after
/// it was stopped by force.
#[derive(Clone, Debug)]
pub(crate) struct PathKeys {
    /// The run; or what the branches of a fan-out go by, and which of them it is.
    path: (Arc<str>, Option<usize>),
    /// How many nodes have run.
    ran: u64,
    /// How many calls that may have made some the current node has made.
    next: u32,
}

impl PathKeys {
    /// Those of the main path of a run.
    pub(crate) fn of_main(run: Arc<str>) -> PathKeys {
        PathKeys::of((run, None))
    }

    /// Those of a branch.
    pub(crate) fn of_branch(fan_out: Arc<str>, index: usize) -> PathKeys {
        PathKeys::of((fan_out, Some(index)))
    }

    fn of(path: (Arc<str>, Option<usize>)) -> PathKeys {
        PathKeys {
            path,
            ran: 0,
            next: 0,
        }
    }

    /// A node of the path begins, after so many, itself counted.
    pub(crate) fn enter(&mut self, ran: u64) {
        self.ran = ran;
        self.next = 0;
    }

    /// How far the node has come.
    pub(crate) fn at(&self) -> u32 {
        self.next
    }

    /// It goes on from there once more: an attempt makes the calls again of the one before.
    pub(crate) fn again(&mut self, at: u32) {
        self.next = at;
    }

    /// What the next call in this node goes by.
    pub(crate) fn next(&mut self, node: &str) -> String {
        let text = format!("{}/{}/{node}", self.place(), self.next);
        self.next = self.next.saturating_add(1);
        // Of one length, and of characters that pass everywhere.
        format!("{:032x}", XxHash3_128::oneshot(text.as_bytes()))
    }

    /// What the branches go by that begin here: at this node, or on the way to where they meet.
    pub(crate) fn fan_out(&self, kind: &str, node: &str) -> Arc<str> {
        format!("{}/{kind}/{node}", self.place()).into()
    }

    fn place(&self) -> String {
        let (around, index) = &self.path;
        let mut place = around.to_string();
        if let Some(index) = index {
            // A string takes whatever is written to it.
            let _ = write!(place, "[{index}]");
        }
        let _ = write!(place, "/{}", self.ran);
        place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_place_has_its_own_and_has_it_again() {
        let all = || {
            let mut keys = Vec::new();
            for run in ["a", "b"] {
                let mut main = PathKeys::of_main(run.into());
                for ran in [0, 1, 11] {
                    main.enter(ran);
                    keys.extend([main.next("n"), main.next("n"), main.next("m")]);
                    for kind in ["each", "edges"] {
                        for index in 0..12 {
                            let around = main.fan_out(kind, "n");
                            let mut branch = PathKeys::of_branch(around, index);
                            keys.push(branch.next("n"));
                            branch.enter(1);
                            keys.push(branch.next("n"));
                            let inner = branch.fan_out(kind, "n");
                            keys.push(PathKeys::of_branch(inner, index).next("n"));
                        }
                    }
                }
            }
            keys
        };
        let keys = all();
        assert_eq!(keys, all());
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        assert!(keys.iter().all(|key| key.len() == 32));
    }

    #[test]
    fn an_attempt_has_those_of_the_one_before() {
        let mut keys = PathKeys::of_main("run".into());
        let before = keys.at();
        let first = [keys.next("n"), keys.next("n")];
        keys.again(before);
        assert_eq!([keys.next("n"), keys.next("n")], first);
        assert!(!first.contains(&keys.next("n")));
    }
}

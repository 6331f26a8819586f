//! How much time the runs of a chunk took.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What each run takes that doesn't count: where runs are shorter, what a fresh instance pays to have translated
/// functions is about what they would save it.
const SHORT: Duration = Duration::from_micros(50);

/// How often the time that translating a chunk is expected to take it has to have taken.
const TIMES: u32 = 5;

/// What translating an instruction is expected to take.
const INSTRUCTION: Duration = Duration::from_micros(200);

/// What a module is expected to take, whatever is in it.
const MODULE: Duration = Duration::from_millis(2);

/// How much time the runs of a chunk took. All in microseconds.
#[derive(Default)]
pub(crate) struct Heat {
    /// Beyond what doesn't count.
    spent: AtomicU64,
    /// What the two runs before took, the last in the lower half.
    before: AtomicU64,
    /// From how much on it is hot, once it may be.
    enough: OnceLock<u64>,
    /// Whether it is to be translated, or was.
    asked: AtomicBool,
}

impl Heat {
    /// Counts a run. Whether the chunk with this bytecode has become hot by it.
    ///
    /// Of three runs in a row the one counts that is neither the longest nor the shortest: what is short by itself is
    /// seldom interrupted by others on the machine, and then for a thousand times as long as it takes.
    pub(super) fn add(&self, took: Duration, bytecode: &[u8]) -> bool {
        // No order between runs matters. What is lost where two end at once is one of them.
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let before = self.before.load(Ordering::Relaxed);
        self.before
            .store(before << 32 | u64::from(took), Ordering::Relaxed);
        let mut runs = [before >> 32, before & u64::from(u32::MAX), took.into()];
        runs.sort_unstable();
        let [_, counts, _] = runs;
        let spent = self.spent.load(Ordering::Relaxed) + counts;
        let spent = spent.saturating_sub(micros(SHORT));
        self.spent.store(spent, Ordering::Relaxed);
        spent >= micros(TIMES * MODULE)
            && !self.asked.load(Ordering::Relaxed)
            && spent >= *self.enough.get_or_init(|| enough(bytecode))
            && !self.asked.swap(true, Ordering::Relaxed)
    }

    /// Has it asked for again at the next run.
    pub(super) fn not_now(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }
}

/// How much time makes a chunk hot.
pub(super) fn enough(bytecode: &[u8]) -> u64 {
    // What isn't bytecode is never translated.
    moonfork_translate::instructions(bytecode).map_or(u64::MAX, |count| {
        let count = u32::try_from(count.min(moonfork_translate::Limits::default().all));
        micros(TIMES * (MODULE + INSTRUCTION * count.unwrap_or(u32::MAX)))
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use rstest::rstest;

    use super::*;

    /// Whether a chunk of 40 instructions is hot after these runs, in microseconds.
    fn is_hot(runs: impl IntoIterator<Item = u64>) -> bool {
        let heat = Heat::default();
        // 2 ms and 40 times 0.2 ms, five times.
        heat.enough.set(50_000).unwrap();
        let added = runs
            .into_iter()
            .map(|run| heat.add(Duration::from_micros(run), b"none"));
        let times = added.filter(|hot| *hot).count();
        assert!(times <= 1, "it is asked for once");
        times == 1
    }

    // The first of all counts for nothing.
    #[rstest]
    #[case::one_long_run(50_050, 2, true)]
    #[case::one_that_is_not_long_enough(50_049, 2, false)]
    #[case::none_to_compare_it_with(1_000_000, 1, false)]
    #[case::many(1_050, 51, true)]
    #[case::not_enough_of_them(1_050, 50, false)]
    #[case::many_more(1_050, 500, true)]
    #[case::short_ones(50, 10_000, false)]
    fn a_chunk_is_hot_once_its_runs_took_so_long(
        #[case] run: u64,
        #[case] runs: usize,
        #[case] hot: bool,
    ) {
        assert_eq!(is_hot(repeat_n(run, runs)), hot);
    }

    #[test]
    fn what_is_interrupted_now_and_then_is_not_hot() {
        let seldom = |short| repeat_n([20_000].into_iter().chain(repeat_n(10, short)), 1000);
        assert!(!is_hot(seldom(2).flatten()));
        assert!(is_hot(seldom(1).flatten()), "that is what it takes");
    }
}

//! How much time runs take, for those that know a chunk by it.

use std::sync::Arc;
#[cfg(feature = "compile")]
use std::time::Duration;

use crate::Result;
use crate::instance::Instance;
#[cfg(feature = "compile")]
use crate::instance::State;
use crate::instance::chunk_cache::KnownChunk;

impl Instance {
    /// Does `run`, and counts its time for `known`, where time is counted.
    #[cfg_attr(
        not(feature = "compile"),
        expect(unused_variables, reason = "there is nothing to count it for")
    )]
    pub(super) fn counting<R>(
        &mut self,
        known: Option<&Arc<KnownChunk>>,
        run: impl FnOnce(&mut Instance) -> Result<R>,
    ) -> Result<R> {
        #[cfg(feature = "compile")]
        if let Some(known) = known
            && self.shared().counts_time()
        {
            let before = self.spent();
            let result = run(self);
            let took = self.spent().saturating_sub(before);
            let shared = self.shared();
            if let Some(hot) = &shared.hot {
                hot.ran(shared, known, took);
            }
            return result;
        }
        run(self)
    }

    /// What its calls took, without what the host did for their scripts.
    #[cfg(feature = "compile")]
    fn spent(&self) -> Duration {
        let usage = match &self.state {
            State::Live(session) => &session.store.data().usage,
            State::Ended(ended) => &ended.usage,
        };
        usage.wall.saturating_sub(usage.host)
    }
}

#[cfg(all(feature = "compile", feature = "testing"))]
impl Instance {
    /// How many chunks, or groups of those that were translated together, it has translated functions of.
    pub(crate) fn translated_chunks(&self) -> usize {
        match &self.state {
            State::Live(session) => session.translated().len(),
            State::Ended(_) => 0,
        }
    }
}

#[cfg(test)]
#[cfg(feature = "compile")]
mod tests {
    use std::thread;

    use super::*;
    use crate::{Grants, Pool, PoolBuilder};

    /// Far more than the rest of a call takes.
    const LONG: Duration = Duration::from_millis(30);

    /// What a call took that waits in a host function and in what takes its output, in all, and without these.
    fn took(builder: PoolBuilder) -> (Duration, Duration) {
        let wait = |()| {
            thread::sleep(LONG);
            Ok(())
        };
        let grants = Grants::none()
            .function("wait")
            .output(|_| thread::sleep(LONG));
        let pool = builder
            .function("wait", wait)
            .grants(grants)
            .build()
            .unwrap();
        let mut branch = pool.branch().unwrap();
        branch.exec("wait() print('x')").unwrap();
        let spent = branch.0.with(Instance::spent);
        (branch.take_report().wall, spent)
    }

    #[test]
    fn what_the_host_does_for_a_script_is_not_counted() {
        let (wall, spent) = took(Pool::builder().compile_hot());
        assert!(wall >= 2 * LONG);
        assert!(spent + 2 * LONG <= wall, "{spent:?} of {wall:?}");
    }

    #[test]
    fn nobody_looks_at_the_clock_for_it_who_does_not_count() {
        let (wall, spent) = took(Pool::builder());
        assert_eq!(wall, spent);
    }
}

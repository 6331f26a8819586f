//! Streams, buckets, subjects and consumers: what `docs/scaling.md` lists, with what each side may do there.

use crate::error::Error;

pub(crate) const JOBS: &str = "MF_JOBS";
pub(crate) const SUSPECT: &str = "MF_SUSPECT";
pub(crate) const DEAD: &str = "MF_DEAD";
pub(crate) const RESULTS: &str = "MF_RESULTS";
pub(crate) const BLOBS: &str = "MF_BLOBS";
/// Buckets.
pub(crate) const RUNS: &str = "mf_runs";
pub(crate) const WORKERS: &str = "mf_workers";

/// What the inboxes of workers begin with, and those of everybody else: a worker may listen to its own kind alone.
pub(crate) const WORKER_INBOX: &str = "_MFW";
pub(crate) const OWN_INBOX: &str = "_MFC";

/// Looks whether this can be a part of subjects.
///
/// # Errors
/// If not.
pub(crate) fn check_token(what: &str, token: &str) -> Result<(), Error> {
    let is_fine = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if token.is_empty() || token.len() > 64 || !token.chars().all(is_fine) {
        let message =
            format!("`{token}` can't be {what}: write 1 to 64 letters, digits, `_` and `-`");
        return Err(Error::new(message));
    }
    Ok(())
}

/// Who runs what: workers of a pool, of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crew {
    pub(crate) pool: String,
    pub(crate) version: String,
}

impl Crew {
    /// # Errors
    /// If one of them can't be a part of subjects.
    pub(crate) fn new(pool: &str, version: &str) -> Result<Crew, Error> {
        check_token("the name of a pool", pool)?;
        check_token("a version", version)?;
        Ok(Crew {
            pool: pool.to_owned(),
            version: version.to_owned(),
        })
    }

    /// The consumer that its workers share, by the same name on both queues.
    pub(crate) fn consumer(&self) -> String {
        format!("{}_{}", self.pool, self.version)
    }

    /// All jobs, or suspects, that its workers run.
    pub(crate) fn filter(&self, queue: Queue) -> String {
        format!("{}.{}.{}.>", queue.root(), self.pool, self.version)
    }

    /// Where its workers are told that there is something to do.
    pub(crate) fn wake(&self) -> String {
        format!("mf.wake.{}.{}", self.pool, self.version)
    }

    pub(crate) fn job(&self, queue: Queue, run: &str, batch: u64, chunk: &str) -> String {
        let Crew { pool, version } = self;
        format!("{}.{pool}.{version}.{run}.{batch}.{chunk}", queue.root())
    }
}

/// The two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    Jobs,
    /// Of what was under way when its worker fell silent.
    Suspects,
}

impl Queue {
    pub(crate) fn stream(self) -> &'static str {
        match self {
            Queue::Jobs => JOBS,
            Queue::Suspects => SUSPECT,
        }
    }

    fn root(self) -> &'static str {
        match self {
            Queue::Jobs => "mf.job",
            Queue::Suspects => "mf.suspect",
        }
    }

    /// All that a run has in it, or one of its batches.
    pub(crate) fn of_run(self, run: &str, batch: Option<u64>) -> String {
        match batch {
            Some(batch) => format!("{}.*.*.{run}.{batch}.>", self.root()),
            None => format!("{}.*.*.{run}.>", self.root()),
        }
    }

    /// The advisory of what was delivered too often.
    pub(crate) fn advisories(self, crew: &Crew) -> String {
        let (stream, consumer) = (self.stream(), crew.consumer());
        format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{consumer}")
    }
}

pub(crate) fn result(run: &str, batch: u64, chunk: &str) -> String {
    format!("mf.result.{run}.{batch}.{chunk}")
}

pub(crate) fn blob(run: &str, hash: &str) -> String {
    format!("mf.blob.{run}.{hash}")
}

pub(crate) fn dead(run: &str, batch: u64, chunk: &str) -> String {
    format!("mf.dead.{run}.{batch}.{chunk}")
}

pub(crate) fn cancel(run: &str) -> String {
    format!("mf.cancel.{run}")
}

pub(crate) fn event(run: &str) -> String {
    format!("mf.event.{run}")
}

pub(crate) fn worker_key(worker: &str) -> String {
    format!("$KV.{WORKERS}.{worker}")
}

pub(crate) fn run_key(run: &str) -> String {
    format!("$KV.{RUNS}.{run}")
}

/// The run, batch and chunk that the subject of a job, a suspect, a result or a dead letter ends with.
pub(crate) fn place(subject: &str) -> Option<(&str, u64, &str)> {
    let mut parts = subject.rsplitn(4, '.');
    let chunk = parts.next()?;
    let batch = parts.next()?.parse().ok()?;
    let run = parts.next()?;
    Some((run, batch, chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_says_where_it_belongs() {
        let crew = Crew::new("gpu", "1-abc").expect("fine names");
        let job = crew.job(Queue::Suspects, "r1", 3, "7-12");
        assert_eq!(job, "mf.suspect.gpu.1-abc.r1.3.7-12");
        assert_eq!(place(&job), Some(("r1", 3, "7-12")));
        assert_eq!(place(&result("r1", 3, "7")), Some(("r1", 3, "7")));
        assert_eq!(place("mf.wake.a.b"), None);
    }

    #[test]
    fn names_that_would_be_several_parts_or_none_are_refused() {
        for wrong in ["", "a.b", "a b", "*", ">", &"x".repeat(65)] {
            assert!(Crew::new(wrong, "1").is_err(), "{wrong}");
            assert!(Crew::new("a", wrong).is_err(), "{wrong}");
        }
        assert!(Crew::new(&"x".repeat(64), "1-a_B").is_ok());
    }
}

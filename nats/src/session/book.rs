//! What a run has sent and not yet got back. Each item has one end: the first that comes; what comes later
//! finds nobody that waits for it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::keys::Keys;
use crate::message::{Ended, Job};
use crate::names::Queue;
use crate::sizes::Sizes;

/// How often an item that is a suspect may be run.
pub(super) const ATTEMPTS: u32 = 3;

/// A chunk that is out.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) queue: Queue,
    pub(super) job: Job,
    /// Its number in the stream, once the server has it.
    pub(super) sequence: Option<u64>,
    /// When it was sent, or a worker last said that it is at it.
    pub(super) heard: Instant,
    /// Whether a worker has begun with it.
    pub(super) has_begun: bool,
    /// How often a worker fell silent over it.
    pub(super) silent: u32,
}

/// A batch of items: what is sent until the next one begins, or it is cancelled.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The number of the batch.
    pub(super) batch: u64,
    pub(super) is_cancelled: bool,
    next: u64,
    /// What is out, by the name of the chunk.
    chunks: HashMap<String, Chunk>,
    by_sequence: HashMap<(&'static str, u64), String>,
    /// The items that have no end yet, and how often a worker fell silent over each.
    open: HashMap<u64, u32>,
    pub(super) sizes: Sizes,
}

/// What is to be done once a result was taken in.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Ends that are the first of their items, of all of them.
    pub(super) ends: Vec<(Keys, Bytes)>,
    /// Items that no worker has begun with before the batch was cancelled.
    pub(super) cancelled: Vec<u64>,
    /// Chunks to send, of items that a worker gave back.
    pub(super) again: Vec<(String, Chunk)>,
    /// Suspects that are to be removed, since their items have ends.
    pub(super) remove: Vec<(Queue, u64)>,
}

/// What is to be done about a worker that fell silent.
#[derive(Debug, Default)]
pub(super) struct Silent {
    /// Chunks to send in place of the one that it was at.
    pub(super) suspects: Vec<(String, Chunk)>,
    /// The item that has cost too many workers.
    pub(super) lost: Option<(u64, Chunk)>,
    /// Items that nobody is to run any more, since the batch was cancelled.
    pub(super) cancelled: Vec<u64>,
}

impl Book {
    /// A new batch.
    pub(super) fn begin(&mut self, batch: u64) {
        *self = Book {
            batch,
            ..Book::default()
        };
    }

    /// Notes a chunk that is to be sent, and says what it is called.
    pub(super) fn add(&mut self, job: Job) -> (String, Chunk) {
        for (key, _) in &job.items {
            self.open.insert(*key, 0);
        }
        self.enter(Queue::Jobs, job, 0)
    }

    fn enter(&mut self, queue: Queue, job: Job, silent: u32) -> (String, Chunk) {
        let name = self.next.to_string();
        self.next += 1;
        let chunk = Chunk {
            queue,
            job,
            sequence: None,
            heard: Instant::now(),
            has_begun: false,
            silent,
        };
        self.chunks.insert(name.clone(), chunk.clone());
        (name, chunk)
    }

    /// The server has it.
    pub(super) fn sent(&mut self, name: &str, sequence: u64) {
        if let Some(chunk) = self.chunks.get_mut(name) {
            chunk.sequence = Some(sequence);
            chunk.heard = Instant::now();
            let key = (chunk.queue.stream(), sequence);
            self.by_sequence.insert(key, name.to_owned());
        }
    }

    /// A worker is at it.
    pub(super) fn alive(&mut self, name: &str) {
        if let Some(chunk) = self.chunks.get_mut(name) {
            chunk.heard = Instant::now();
            chunk.has_begun = true;
        }
    }

    pub(super) fn at(&self, queue: Queue, sequence: u64) -> Option<String> {
        self.by_sequence.get(&(queue.stream(), sequence)).cloned()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Chunk> {
        self.chunks.get(name)
    }

    fn remove(&mut self, name: &str) -> Option<Chunk> {
        let chunk = self.chunks.remove(name)?;
        if let Some(sequence) = chunk.sequence {
            self.by_sequence.remove(&(chunk.queue.stream(), sequence));
        }
        Some(chunk)
    }

    /// Takes in a result.
    pub(super) fn take(&mut self, name: &str, ended: Ended) -> Taken {
        let mut taken = Taken::default();
        let chunk = self.remove(name);
        self.sizes.learn(ended.items(), ended.took);
        let mut closed = HashSet::new();
        for (keys, end) in ended.ends {
            // What several have in common can't be taken for some of them.
            if keys.iter().all(|key| self.open.contains_key(&key)) {
                for key in keys.iter() {
                    self.open.remove(&key);
                    closed.insert(key);
                }
                taken.ends.push((keys, end));
            }
        }
        let Some(chunk) = chunk else {
            // Of a chunk that was given up: what it had are suspects by now.
            self.forget(&closed, &mut taken);
            return taken;
        };
        let is_open = |it: &&(u64, Bytes)| self.open.contains_key(&it.0);
        let left: Vec<_> = chunk.job.items.iter().filter(is_open).cloned().collect();
        if self.is_cancelled {
            let keys = left.into_iter().map(|(key, _)| key);
            taken.cancelled = keys.filter(|key| self.open.remove(key).is_some()).collect();
            return taken;
        }
        if !left.is_empty() {
            let job = Job {
                common: chunk.job.common,
                items: left,
            };
            taken.again.push(self.enter(chunk.queue, job, chunk.silent));
        }
        taken
    }

    /// Removes chunks of which no item is open.
    fn forget(&mut self, closed: &HashSet<u64>, taken: &mut Taken) {
        if closed.is_empty() {
            return;
        }
        let all_closed = |chunk: &Chunk| {
            let items = &chunk.job.items;
            items.iter().all(|(key, _)| closed.contains(key))
        };
        let chunks = self.chunks.iter().filter(|(_, chunk)| all_closed(chunk));
        let names: Vec<String> = chunks.map(|(name, _)| name.clone()).collect();
        for name in names {
            if let Some(chunk) = self.remove(&name)
                && let Some(sequence) = chunk.sequence
            {
                taken.remove.push((chunk.queue, sequence));
            }
        }
    }

    /// A worker has fallen silent over a chunk. Its items become suspects, one by one; one that has been
    /// a suspect too often is lost.
    pub(super) fn fell_silent(&mut self, name: &str) -> Silent {
        let mut silent = Silent::default();
        let Some(chunk) = self.remove(name) else {
            return silent;
        };
        if self.is_cancelled {
            let keys = chunk.job.items.iter().map(|(key, _)| *key);
            silent.cancelled = keys.filter(|key| self.open.remove(key).is_some()).collect();
            return silent;
        }
        if chunk.queue == Queue::Suspects && chunk.silent + 1 >= ATTEMPTS {
            let open = chunk.job.items.iter().map(|(key, _)| *key);
            let open = open.filter(|key| self.open.remove(key).is_some());
            if let Some(key) = open.last() {
                silent.lost = Some((key, chunk));
            }
            return silent;
        }
        let times = match chunk.queue {
            Queue::Jobs => 0,
            Queue::Suspects => chunk.silent + 1,
        };
        for item in chunk.job.items {
            if self.open.contains_key(&item.0) {
                let job = Job {
                    common: chunk.job.common.clone(),
                    items: vec![item],
                };
                silent
                    .suspects
                    .push(self.enter(Queue::Suspects, job, times));
            }
        }
        silent
    }

    /// Chunks that nothing was heard of for so long; they count as heard of now.
    pub(super) fn stale(&mut self, time: Duration) -> Vec<String> {
        let stale = self.chunks.iter_mut();
        let stale = stale.filter(|(_, chunk)| chunk.heard.elapsed() >= time);
        stale
            .map(|(name, chunk)| {
                chunk.heard = Instant::now();
                name.clone()
            })
            .collect()
    }

    /// How many chunks are out.
    pub(super) fn out(&self) -> usize {
        self.chunks.len()
    }

    /// Cancels the batch. Items whose chunks haven't begun have no end any more: which they are.
    pub(super) fn cancel(&mut self) -> Vec<u64> {
        self.is_cancelled = true;
        let waiting = self.chunks.iter().filter(|(_, chunk)| !chunk.has_begun);
        let waiting: Vec<String> = waiting.map(|(name, _)| name.clone()).collect();
        let mut gone = Vec::new();
        for name in waiting {
            if let Some(chunk) = self.remove(&name) {
                let keys = chunk.job.items.iter().map(|(key, _)| *key);
                gone.extend(keys.filter(|key| self.open.remove(key).is_some()));
            }
        }
        gone
    }

    /// Gives up what is still out: which items have no end.
    pub(super) fn abandon(&mut self) -> Vec<u64> {
        self.chunks.clear();
        self.by_sequence.clear();
        self.open.drain().map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(keys: impl IntoIterator<Item = u64>) -> Job {
        Job {
            common: Bytes::new(),
            items: keys.into_iter().map(|key| (key, Bytes::new())).collect(),
        }
    }

    fn ended(keys: impl IntoIterator<Item = u64>) -> Ended {
        Ended {
            worker: "w".to_owned(),
            took: 1,
            ends: keys
                .into_iter()
                .map(|key| (Keys::one(key), Bytes::new()))
                .collect(),
        }
    }

    /// These have one end in common.
    fn ended_together(keys: impl IntoIterator<Item = u64>) -> Ended {
        let keys = Keys::of(keys.into_iter().collect()).expect("some");
        Ended {
            ends: vec![(keys, Bytes::new())],
            ..ended([])
        }
    }

    fn keys(taken: &Taken) -> Vec<u64> {
        taken
            .ends
            .iter()
            .flat_map(|(keys, _)| keys.iter())
            .collect()
    }

    fn items(chunk: &Chunk) -> Vec<u64> {
        chunk.job.items.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn an_item_has_one_end() {
        let mut book = Book::default();
        let (name, _) = book.add(job(0..3));
        assert_eq!(keys(&book.take(&name, ended(0..3))), [0, 1, 2]);
        assert_eq!(keys(&book.take(&name, ended(0..3))), [0; 0]);
        assert_eq!(book.out(), 0);
    }

    #[test]
    fn what_is_given_back_is_sent_again() {
        let mut book = Book::default();
        let (name, _) = book.add(job(0..3));
        let taken = book.take(&name, ended([1]));
        assert_eq!(keys(&taken), [1]);
        let [(again, chunk)] = &taken.again[..] else {
            panic!("{taken:?}");
        };
        assert_eq!(items(chunk), [0, 2]);
        assert_ne!(again, &name);
        assert_eq!(keys(&book.take(again, ended([0, 2]))), [0, 2]);
    }

    #[test]
    fn items_of_a_silent_worker_are_tried_alone_three_times() {
        let mut book = Book::default();
        let (name, _) = book.add(job(0..2));
        let suspects = book.fell_silent(&name).suspects;
        assert_eq!(suspects.len(), 2);
        let (mut name, fine) = (suspects[0].0.clone(), suspects[1].0.clone());
        let key = suspects[0].1.job.items[0].0;
        for _ in 1..ATTEMPTS {
            let mut silent = book.fell_silent(&name);
            assert!(silent.lost.is_none());
            name = silent.suspects.pop().expect("once more").0;
        }
        let silent = book.fell_silent(&name);
        assert_eq!(silent.lost.map(|(lost, _)| lost), Some(key));
        assert_eq!(keys(&book.take(&fine, ended([1 - key]))), [1 - key]);
        // It comes too late.
        assert_eq!(keys(&book.take("0", ended([key]))), [0; 0]);
    }

    #[test]
    fn a_late_result_spares_its_suspects() {
        let mut book = Book::default();
        let (name, _) = book.add(job(0..2));
        let suspects = book.fell_silent(&name).suspects;
        book.sent(&suspects[0].0, 7);
        let taken = book.take(&name, ended(0..2));
        assert_eq!(keys(&taken), [0, 1]);
        assert_eq!(taken.remove, [(Queue::Suspects, 7)]);
        assert_eq!(book.out(), 0);
    }

    #[test]
    fn on_cancelling_only_what_has_begun_is_waited_for() {
        let mut book = Book::default();
        let (begun, _) = book.add(job([0]));
        book.add(job([1]));
        book.alive(&begun);
        assert_eq!(book.cancel(), [1]);
        // It was given back, and isn't sent again.
        let taken = book.take(&begun, ended([]));
        assert!(taken.again.is_empty());
        assert_eq!(taken.cancelled, [0]);
        assert_eq!(book.abandon(), [0; 0]);
    }

    #[test]
    fn what_a_silent_worker_had_begun_with_is_not_run_again_after_cancelling() {
        let mut book = Book::default();
        let (begun, _) = book.add(job([0, 1]));
        book.alive(&begun);
        assert_eq!(book.cancel(), [0; 0]);
        let silent = book.fell_silent(&begun);
        assert!(silent.suspects.is_empty());
        assert_eq!(silent.cancelled, [0, 1]);
        assert_eq!(book.abandon(), [0; 0]);
    }

    #[test]
    fn an_end_in_common_counts_for_all_of_its_items_or_for_none() {
        let mut book = Book::default();
        let (name, _) = book.add(job(0..4));
        let taken = book.take(&name, ended_together(0..3));
        assert_eq!(keys(&taken), [0, 1, 2]);
        let again = &taken.again[0];
        assert_eq!(items(&again.1), [3]);
        // One of the two has an end by now: the other is run again.
        assert_eq!(keys(&book.take(&again.0, ended_together([2, 3]))), [0; 0]);
        assert_eq!(keys(&book.take("2", ended_together([3]))), [3]);
        assert_eq!(book.out(), 0);
    }

    #[test]
    fn a_late_end_in_common_changes_nothing_once_one_of_its_suspects_has_ended() {
        let mut book = Book::default();
        let (name, _) = book.add(job(0..3));
        let suspects = book.fell_silent(&name).suspects;
        assert_eq!(keys(&book.take(&suspects[1].0, ended_together([1]))), [1]);
        let late = book.take(&name, ended_together(0..3));
        assert_eq!(keys(&late), [0; 0]);
        assert!(late.again.is_empty() && late.remove.is_empty());
        // Before, it would have spared them.
        for at in [0, 2] {
            let key = suspects[at].1.job.items[0].0;
            assert_eq!(
                keys(&book.take(&suspects[at].0, ended_together([key]))),
                [key]
            );
        }
        assert_eq!(book.out(), 0);
    }
}

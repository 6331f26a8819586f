//! How many items go into a chunk, and how many chunks are out at a time.

use std::time::Duration;

/// What a chunk is to take.
const AIM: Duration = Duration::from_millis(20);

/// The most items of one.
const MAX_ITEMS: usize = 1000;

/// The sizes of a batch's chunks, by what workers say of those that ended.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// Microseconds that an item takes; the newer, the more a report counts.
    item: Option<f64>,
}

impl Sizes {
    pub(crate) fn learn(&mut self, items: usize, took: u64) {
        if items == 0 {
            return;
        }
        let new = took as f64 / items as f64;
        self.item = Some(match self.item {
            Some(old) => old.mul_add(0.7, new * 0.3),
            None => new,
        });
    }

    /// How many of `left` items to send next, to workers that show `slots` in all: one while nothing is
    /// known, and at the end so few that all slots have some.
    pub(crate) fn next(&self, left: usize, slots: usize) -> usize {
        let by_time = match self.item {
            Some(item) => (AIM.as_micros() as f64 / item.max(0.1)) as usize,
            None => 1,
        };
        let by_share = left / (2 * slots.max(1));
        by_time.min(by_share).clamp(1, MAX_ITEMS)
    }
}

/// How many chunks are out at a time for so many slots: one at work, and one that waits.
pub(crate) fn window(slots: usize) -> usize {
    2 * slots.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_to_what_takes_twenty_milliseconds() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.next(1_000_000, 2), 1);
        sizes.learn(1, 100);
        assert_eq!(sizes.next(1_000_000, 2), 200);
        sizes.learn(200, 200 * 1_000_000);
        assert_eq!(sizes.next(1_000_000, 2), 1);
        let mut fast = Sizes::default();
        fast.learn(1, 0);
        assert_eq!(fast.next(1_000_000, 2), 1000);
    }

    #[test]
    fn they_are_small_at_the_end() {
        let mut sizes = Sizes::default();
        sizes.learn(1, 10);
        assert_eq!(sizes.next(400, 10), 20);
        assert_eq!(sizes.next(40, 10), 2);
        assert_eq!(sizes.next(1, 10), 1);
    }
}

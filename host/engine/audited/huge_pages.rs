//! Huge pages for memory that is about to be filled.

#![cfg_attr(
    target_os = "linux",
    expect(
        unsafe_code,
        reason = "any memory can be advised, also what isn't ours"
    )
)]

use std::ops::Range;

/// Bytes of a huge page, on most processors. With another size this gains nothing, and costs little.
pub(crate) const HUGE: usize = 2 << 20;

/// Fills memory, of which the part from `fresh` on hasn't been touched yet. The kernel maps that by huge pages
/// meanwhile, where it can: most of the time of filling it would go into a page fault for each 4 KiB. What is mapped
/// later, once this memory has been given back, comes in small pages again: who begins there may touch
/// little of it.
///
/// # Panics
///
/// When there is no memory from `fresh` on.
pub(crate) fn filled<R>(memory: &mut [u8], fresh: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
    let whole = {
        let fresh = &memory[fresh..];
        whole_pages(fresh.as_ptr().addr(), fresh.len())
    };
    advise(&mut memory[fresh..][whole.clone()], true);
    let result = fill(memory);
    advise(&mut memory[fresh..][whole], false);
    result
}

/// The part of memory that begins at `address` and has so many bytes, that consists of whole huge pages.
fn whole_pages(address: usize, len: usize) -> Range<usize> {
    let start = address.next_multiple_of(HUGE) - address;
    match len.checked_sub(start) {
        Some(left) => start..start + left / HUGE * HUGE,
        None => 0..0,
    }
}

#[cfg(target_os = "linux")]
fn advise(memory: &mut [u8], huge: bool) {
    use rustix::mm::{Advice, madvise};

    if memory.is_empty() {
        return;
    }
    let advice = match huge {
        true => Advice::LinuxHugepage,
        false => Advice::LinuxNoHugepage,
    };
    // SAFETY: neither advice changes what the memory holds, or who may access it: they say by which sizes of
    // pages the kernel may map it. The memory is borrowed for writing, so it is mapped.
    //
    // A kernel without huge pages refuses, and goes on as ever.
    let _ = unsafe { madvise(memory.as_mut_ptr().cast(), memory.len(), advice) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &mut [u8], _: bool) {}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::aligned(4 * HUGE, 2 * HUGE, 0..2 * HUGE)]
    #[case::not_aligned(4 * HUGE + 4096, 3 * HUGE, HUGE - 4096..3 * HUGE - 4096)]
    #[case::too_little(4 * HUGE, HUGE - 1, 0..0)]
    #[case::enough_but_not_aligned(4 * HUGE + 4096, HUGE, HUGE - 4096..HUGE - 4096)]
    #[case::nothing(4096, 0, 0..0)]
    fn only_whole_pages_are_advised(
        #[case] address: usize,
        #[case] len: usize,
        #[case] expected: Range<usize>,
    ) {
        assert_eq!(whole_pages(address, len), expected);
    }

    #[test]
    fn what_is_filled_holds_that() {
        let mut memory = vec![0; 5 * HUGE];
        let sum = |memory: &[u8]| memory.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        memory[..HUGE / 2].fill(7);
        filled(&mut memory, HUGE / 2, |memory| memory[HUGE..].fill(7));
        assert_eq!(sum(&memory[..HUGE / 2]), 7 * (HUGE / 2) as u64);
        assert_eq!(sum(&memory[HUGE / 2..HUGE]), 0);
        assert_eq!(sum(&memory[HUGE..]), 7 * 4 * HUGE as u64);
    }

    /// What the kernel says of the mapping that an address lies in: two letters for each thing that it was told.
    #[cfg(target_os = "linux")]
    fn flags_at(address: usize) -> Vec<String> {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("a process may read its own");
        let mut is_there = false;
        for line in maps.lines() {
            if let Some(flags) = line.strip_prefix("VmFlags:")
                && is_there
            {
                return flags.split_whitespace().map(str::to_owned).collect();
            }
            let range = line
                .split_once(' ')
                .and_then(|(range, _)| range.split_once('-'));
            let ends = range.map(|(start, end)| {
                let number = |text| usize::from_str_radix(text, 16);
                (number(start), number(end))
            });
            if let Some((Ok(start), Ok(end))) = ends {
                is_there = (start..end).contains(&address);
            }
        }
        panic!("no mapping has {address:x}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_is_told_for_as_long_as_memory_is_filled() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            eprintln!("skipped: this kernel has no huge pages");
            return;
        }
        let mut memory = vec![0; 5 * HUGE];
        // In the midst of what is filled, and in front of that.
        let [inside, in_front] = [3 * HUGE, 0].map(|at| memory.as_ptr().addr() + at);
        let told = |address, flag: &str| flags_at(address).iter().any(|it| it == flag);
        filled(&mut memory, HUGE, |_| {
            assert!(told(inside, "hg"));
            assert!(!told(in_front, "hg"));
        });
        assert!(told(inside, "nh"));
        assert!(!told(inside, "hg"));
    }
}

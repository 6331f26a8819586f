//! What stands at the end of a file with machine code, to tell whether all of it is there.
//!
//! It finds damage, not forgery: who may write is looked at in [`trust`](super::trust).

use std::hash::Hasher;
use std::io::{self, Read};

use twox_hash::XxHash3_64;

/// Bytes of a seal: the mark, the length of the code, its checksum.
pub(super) const LENGTH: usize = 24;

/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;

const MARK: [u8; 8] = *b"moonfork";

/// The seal of this code.
pub(super) fn of(code: &[u8]) -> [u8; LENGTH] {
    seal(code.len() as u64, XxHash3_64::oneshot(code))
}

fn seal(length: u64, checksum: u64) -> [u8; LENGTH] {
    let mut seal = [0; LENGTH];
    seal[..8].copy_from_slice(&MARK);
    seal[8..16].copy_from_slice(&length.to_le_bytes());
    seal[16..].copy_from_slice(&checksum.to_le_bytes());
    seal
}

/// Reads a file of `length` bytes and checks that its end is the seal of the rest.
///
/// # Errors
///
/// When it isn't, or the file can't be read.
pub(super) fn check(file: &mut impl Read, length: u64) -> io::Result<()> {
    let Some(code) = length.checked_sub(LENGTH as u64) else {
        return Err(io::Error::other("it is too short"));
    };
    let mut hasher = XxHash3_64::new();
    // Not on the stack: a pool may be built on a thread that has little of it.
    let mut buffer = vec![0; BUFFER];
    let mut rest = file.by_ref().take(code);
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.write(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut found = [0; LENGTH];
    file.read_exact(&mut found)?;
    if found != seal(code, hasher.finish()) {
        return Err(io::Error::other(
            "it is damaged, or no compiled code of ours",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_whole(file: &[u8]) -> bool {
        check(&mut &*file, file.len() as u64).is_ok()
    }

    #[test]
    fn whole_files_and_no_others() {
        for code in [&b""[..], b"x", &[7; 100_000]] {
            let mut file = code.to_vec();
            file.extend(of(code));
            assert!(is_whole(&file));
            for end in [0, 1, LENGTH - 1, file.len() - 1] {
                assert!(!is_whole(&file[..end]), "{end} bytes");
            }
            for place in [0, file.len() / 2, file.len() - 1] {
                let mut other = file.clone();
                other[place] ^= 1;
                assert!(!is_whole(&other), "another byte at {place}");
            }
            file.push(0);
            assert!(!is_whole(&file));
        }
    }
}

//! Memories by the pieces of them that aren't zero: most of a guest's memory is.

/// Bytes that are looked at, and left out, at once.
const PIECE: usize = 4 << 10;

/// Where a piece begins, and how long it is.
pub(crate) type Piece = (usize, usize);

/// The pieces of `memory`, as large as they come.
pub(crate) fn pieces(memory: &[u8]) -> Vec<Piece> {
    const ZEROS: &[u8] = &[0; PIECE];

    let mut pieces: Vec<Piece> = Vec::new();
    for (at, piece) in (0..).step_by(PIECE).zip(memory.chunks(PIECE)) {
        if piece == &ZEROS[..piece.len()] {
            continue;
        }
        match pieces.last_mut() {
            Some((start, len)) if *start + *len == at => *len += piece.len(),
            _ => pieces.push((at, piece.len())),
        }
    }
    pieces
}

/// Puts `bytes`, one piece behind the other, to their places in `memory`, which is zero. Nothing, and a memory that
/// is of no use, where they aren't what `pieces` says, or don't lie in there: they may come from a file.
pub(crate) fn restore(memory: &mut [u8], pieces: &[Piece], mut bytes: &[u8]) -> Option<()> {
    for (at, len) in pieces {
        let (piece, rest) = bytes.split_at_checked(*len)?;
        memory
            .get_mut(*at..at.checked_add(*len)?)?
            .copy_from_slice(piece);
        bytes = rest;
    }
    bytes.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_come_back_from_their_pieces() {
        let mut memory = vec![0; 100_000];
        for at in [0, 4095, 4096, 70_000, 99_999] {
            memory[at] = 1;
        }
        let pieces = pieces(&memory);
        let last = 100_000 / PIECE * PIECE;
        let expected = [(0, 8192), (69_632, 4096), (last, 100_000 - last)];
        assert_eq!(pieces, expected);
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|(at, len)| &memory[*at..at + len])
            .copied()
            .collect();
        let mut other = vec![0; 100_000];
        assert!(restore(&mut other, &pieces, &bytes).is_some());
        assert_eq!(other, memory);
        assert!(restore(&mut other, &pieces, &bytes[1..]).is_none());
        assert!(restore(&mut other, &pieces[1..], &bytes).is_none());
        assert!(restore(&mut other[1..], &pieces, &bytes).is_none());
        assert!(restore(&mut other, &[(usize::MAX, 1)], &[0]).is_none());
    }
}

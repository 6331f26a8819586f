//! What scripts print.

/// Text that a script printed, up to the output limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    bytes: Vec<u8>,
    total: u64,
}

impl Output {
    /// The text; bytes that aren't UTF-8 are replaced by U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The bytes as printed: Lua strings may hold anything.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether more was printed than the limit lets through.
    pub fn is_truncated(&self) -> bool {
        self.total > self.bytes.len() as u64
    }

    /// Bytes that were printed, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that may still be added, where there may be so many in all.
    pub(crate) fn room(&self, limit: usize) -> usize {
        match self.is_truncated() {
            true => 0,
            false => limit.saturating_sub(self.bytes.len()),
        }
    }

    /// Adds `bytes` as far as `limit` allows, and returns what was added. Once something was
    /// cut off, nothing more is added: what comes after a gap would be misread.
    pub(crate) fn push<'b>(&mut self, bytes: &'b [u8], limit: usize) -> &'b [u8] {
        let kept = &bytes[..bytes.len().min(self.room(limit))];
        self.total += bytes.len() as u64;
        self.bytes.extend_from_slice(kept);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_within_the_limit_is_whole() {
        let mut output = Output::default();
        output.push(b"ab", 4);
        output.push(b"cd", 4);
        assert_eq!(
            (output.text().as_str(), output.is_truncated()),
            ("abcd", false)
        );
    }

    #[test]
    fn output_beyond_the_limit_is_cut_and_says_so() {
        let mut output = Output::default();
        output.push(b"abc", 4);
        output.push(b"def", 4);
        output.push(b"g", 4);
        assert_eq!(
            (output.text().as_str(), output.is_truncated()),
            ("abcd", true)
        );
    }
}

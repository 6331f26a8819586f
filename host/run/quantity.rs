//! Durations and sizes as people write them: in workflows, in manifests, on the command line.
//!
//! ```
//! use std::time::Duration;
//! use moonfork::quantity;
//!
//! assert_eq!(quantity::parse_duration("1m 30s")?, Duration::from_secs(90));
//! assert_eq!(quantity::parse_size("64MiB")?, 64 << 20);
//! assert_eq!(quantity::format_size(64 << 20), "64MiB");
//! # Ok::<(), quantity::QuantityError>(())
//! ```

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;

/// A text that is no duration, no size or no number, or one that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantityError(String);

impl QuantityError {
    pub(crate) fn new(message: String) -> QuantityError {
        QuantityError(message)
    }
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for QuantityError {}

/// A duration: numbers and their units, as in `300ms` or `1m 30s`. Units are those of
/// [`humantime`]: `ns`, `us`, `ms`, `s`, `m`, `h`, `days` and so on.
///
/// # Errors
/// If it is none, none at all (`0s`), or longer than there is a number for.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(QuantityError("nothing could run in no time".to_owned())),
        Ok(duration) => Ok(duration),
        Err(error) => Err(QuantityError(format!(
            "{error}; write it as in 300ms or 1m 30s"
        ))),
    }
}

/// A number of bytes: a number and its unit, as in `64KiB` or `1.5GB`; without a unit it is
/// bytes. Units with an `i` count by 1024, those without by 1000.
///
/// # Errors
/// If it is none, or more than 64 bits hold.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let size: ByteSize = text
        .parse()
        .map_err(|error| QuantityError(format!("{error}; write it as in 16MiB")))?;
    // What is larger than any number is taken for the largest.
    match size.as_u64() {
        u64::MAX => Err(QuantityError(
            "more bytes than 64 bits can count".to_owned(),
        )),
        bytes => Ok(bytes),
    }
}

/// A number of things.
///
/// # Errors
/// If it is no whole number, or more than 64 bits hold.
pub fn parse_count(text: &str) -> Result<u64, QuantityError> {
    text.trim()
        .parse()
        .map_err(|error| QuantityError(format!("{error}; write it as in 1000")))
}

/// A duration as [`parse_duration`] reads it: `1m 30s`.
pub fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A number of bytes as [`parse_size`] reads it, exactly, in the largest unit that it is a
/// whole number of: `64MiB`, `8MB`, `1500B`.
pub fn format_size(bytes: u64) -> String {
    const BY_1024: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    const BY_1000: [&str; 7] = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
    let whole = |base: u64| {
        let (mut number, mut unit) = (bytes, 0);
        while number > 0 && number % base == 0 {
            (number, unit) = (number / base, unit + 1);
        }
        (number, unit)
    };
    let ((number, unit), units) = match whole(1024) {
        (_, 0) => (whole(1000), BY_1000),
        by_1024 => (by_1024, BY_1024),
    };
    format!("{number}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("300ms", Some(300))]
    #[case("1m 30s", Some(90_000))]
    #[case("2h", Some(7_200_000))]
    #[case("0s", None)]
    #[case("5", None)]
    #[case("-5s", None)]
    #[case("", None)]
    #[case("999999999999999999999y", None)]
    fn durations(#[case] text: &str, #[case] ms: Option<u64>) {
        let parsed = parse_duration(text).ok();
        assert_eq!(parsed, ms.map(Duration::from_millis));
    }

    #[rstest]
    #[case("64MiB", Some(64 << 20))]
    #[case("64 MiB", Some(64 << 20))]
    #[case("1.5KiB", Some(1536))]
    #[case("8MB", Some(8_000_000))]
    #[case("4096", Some(4096))]
    #[case("9007199254740993B", Some(9_007_199_254_740_993))]
    #[case("999999999999GiB", None)]
    #[case("18446744073709551616", None)]
    #[case("-1", None)]
    #[case("MiB", None)]
    #[case("", None)]
    #[case("5 apples", None)]
    fn sizes(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(parse_size(text).ok(), bytes);
    }

    #[rstest]
    #[case(0, "0B")]
    #[case(1500, "1500B")]
    #[case(8_000_000, "8MB")]
    #[case(8 << 20, "8MiB")]
    #[case((8 << 20) + 1, "8388609B")]
    #[case(1536 << 10, "1536KiB")]
    #[case(1 << 63, "8EiB")]
    fn a_size_is_shown_as_it_can_be_read(#[case] bytes: u64, #[case] shown: &str) {
        assert_eq!(format_size(bytes), shown);
        assert_eq!(parse_size(shown), Ok(bytes));
    }
}

//! Positions in files.

use std::fmt;

/// A position in a file. Lines and columns count from one, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which of the files that were read together, by the order they were read in.
    pub(crate) source: u16,
    /// The line.
    pub line: usize,
    /// The column, where it is known: Lua tells lines only.
    pub column: Option<usize>,
}

impl Place {
    /// A position in one of several files.
    pub(crate) fn new(source: u16, line: usize, column: usize) -> Place {
        Place {
            source,
            line,
            column: Some(column),
        }
    }

    /// The place of the byte at `offset` of `text`, or of its end.
    #[cfg(feature = "plugin")]
    pub(crate) fn of(text: &str, offset: usize) -> Place {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = before.matches('\n').count() + 1;
        Place::new(0, line, before[line_start..].chars().count() + 1)
    }

    /// A line as Lua tells it.
    #[cfg(feature = "plugin")]
    pub(crate) fn line(line: usize) -> Place {
        Place {
            source: 0,
            line,
            column: None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "{}:{column}", self.line),
            None => self.line.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a = 1\nä = \"ö\" x\n";
        let at = |needle| Place::of(text, text.find(needle).unwrap()).to_string();
        assert_eq!(
            (at("a"), at("ö"), at("x")),
            ("1:1".into(), "2:6".into(), "2:9".into())
        );
        assert_eq!(Place::of(text, 1000).to_string(), "3:1");
    }
}

//! MessagePack as the host writes it, token by token.
//!
//! What comes in is read for every request, and most of it is a few numbers or a small object.
//! serde's way there, with its generic visitors, takes several times as long as the rest of
//! passing them to Lua.

use rmp::Marker;

use crate::wire::Numbered;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// An integer beyond those.
    Large(u64),
    Number(f64),
    Text(&'a [u8]),
    /// So many values follow.
    Array(usize),
    /// So many keys follow, each with its value.
    Map(usize),
    /// Bytes that may be anything.
    Bytes(&'a [u8]),
    /// A definition, or a reference.
    Numbered(Numbered),
    /// Another extension, or no token at all.
    Other,
}

impl Token<'_> {
    /// What it is, in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Token::Null => "null",
            Token::Boolean(_) => "a boolean",
            Token::Integer(_) | Token::Large(_) => "an integer",
            Token::Number(_) => "a number with a fraction",
            Token::Text(_) => "text",
            Token::Array(_) => "an array",
            Token::Map(_) => "an object",
            Token::Bytes(_) => "raw bytes",
            Token::Numbered(_) | Token::Other => "of no kind that there is",
        }
    }
}

/// The tokens of what hasn't been read yet.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    all: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Tokens<'a> {
        Tokens {
            all: bytes,
            rest: bytes,
        }
    }

    /// How many bytes are left: where it is, for [`again`](Self::again).
    pub(crate) fn left(&self) -> u64 {
        self.rest.len() as u64
    }

    /// The tokens from where so many bytes were left.
    pub(crate) fn again(&self, left: u64) -> Tokens<'a> {
        let read = self.all.len() as u64 - left.min(self.all.len() as u64);
        Tokens {
            all: self.all,
            rest: &self.all[read as usize..],
        }
    }

    /// Whether all has been read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next one; nothing where the bytes end too early. Behind [`Token::Other`] nothing can
    /// be read.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<Token<'a>> {
        let [marker] = self.take()?;
        Some(match Marker::from_u8(marker) {
            Marker::Null => Token::Null,
            Marker::False => Token::Boolean(false),
            Marker::True => Token::Boolean(true),
            Marker::FixPos(value) => Token::Integer(value.into()),
            Marker::FixNeg(value) => Token::Integer(value.into()),
            Marker::U8 => Token::Integer(u8::from_be_bytes(self.take()?).into()),
            Marker::U16 => Token::Integer(u16::from_be_bytes(self.take()?).into()),
            Marker::U32 => Token::Integer(u32::from_be_bytes(self.take()?).into()),
            Marker::U64 => {
                let value = u64::from_be_bytes(self.take()?);
                i64::try_from(value).map_or(Token::Large(value), Token::Integer)
            }
            Marker::I8 => Token::Integer(i8::from_be_bytes(self.take()?).into()),
            Marker::I16 => Token::Integer(i16::from_be_bytes(self.take()?).into()),
            Marker::I32 => Token::Integer(i32::from_be_bytes(self.take()?).into()),
            Marker::I64 => Token::Integer(i64::from_be_bytes(self.take()?)),
            Marker::F32 => Token::Number(f32::from_be_bytes(self.take()?).into()),
            Marker::F64 => Token::Number(f64::from_be_bytes(self.take()?)),
            Marker::FixStr(len) => self.text(len.into())?,
            Marker::Str8 => {
                let len = self.len8()?;
                self.text(len)?
            }
            Marker::Str16 => {
                let len = self.len16()?;
                self.text(len)?
            }
            Marker::Str32 => {
                let len = self.len32()?;
                self.text(len)?
            }
            Marker::FixArray(len) => Token::Array(len.into()),
            Marker::Array16 => Token::Array(self.len16()?),
            Marker::Array32 => Token::Array(self.len32()?),
            Marker::FixMap(len) => Token::Map(len.into()),
            Marker::Map16 => Token::Map(self.len16()?),
            Marker::Map32 => Token::Map(self.len32()?),
            Marker::Bin8 => {
                let len = self.len8()?;
                Token::Bytes(self.bytes(len)?)
            }
            Marker::Bin16 => {
                let len = self.len16()?;
                Token::Bytes(self.bytes(len)?)
            }
            Marker::Bin32 => {
                let len = self.len32()?;
                Token::Bytes(self.bytes(len)?)
            }
            Marker::FixExt4 => {
                let [kind] = self.take()?;
                let number = u32::from_be_bytes(self.take()?);
                let numbered = Numbered::of(kind.cast_signed(), number);
                numbered.map_or(Token::Other, Token::Numbered)
            }
            _ => Token::Other,
        })
    }

    /// The number of the definition that comes next, if one does.
    pub(crate) fn definition(&mut self) -> Option<u32> {
        let mut ahead = self.clone();
        match ahead.next() {
            Some(Token::Numbered(Numbered::Definition(number))) => {
                *self = ahead;
                Some(number)
            }
            _ => None,
        }
    }

    /// Whether this is a value that goes by a number.
    pub(crate) fn is_defined(&self) -> bool {
        let mut ahead = self.clone();
        ahead.next() == Some(Token::Array(2)) && ahead.definition().is_some()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn len8(&mut self) -> Option<usize> {
        self.take().map(|bytes| u8::from_be_bytes(bytes).into())
    }

    fn len16(&mut self) -> Option<usize> {
        self.take().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn len32(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.take()?)).ok()
    }

    fn text(&mut self, len: usize) -> Option<Token<'a>> {
        self.bytes(len).map(Token::Text)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens<T: serde::Serialize>(value: &T) -> Vec<String> {
        let bytes = rmp_serde::to_vec_named(value).unwrap();
        let mut tokens = Tokens::of(&bytes);
        let mut all = Vec::new();
        while !tokens.is_at_end() {
            all.push(format!("{:?}", tokens.next().unwrap()));
        }
        all
    }

    #[test]
    fn integers_of_every_width_are_themselves() {
        for bits in 0..63 {
            for value in [
                (1_i64 << bits) - 1,
                1 << bits,
                -(1 << bits),
                -(1 << bits) - 1,
            ] {
                assert_eq!(tokens(&value), [format!("Integer({value})")]);
            }
        }
        assert_eq!(tokens(&i64::MIN), [format!("Integer({})", i64::MIN)]);
        assert_eq!(tokens(&i64::MAX), [format!("Integer({})", i64::MAX)]);
        assert_eq!(tokens(&u64::MAX), [format!("Large({})", u64::MAX)]);
    }

    #[test]
    fn what_has_a_length_has_it_in_every_width() {
        for len in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            let text = Token::Text(&vec![b'x'; len]);
            let texts = tokens(&"x".repeat(len));
            assert_eq!(texts, [format!("{text:?}")]);
            let mut bytes = Vec::new();
            rmp::encode::write_bin(&mut bytes, &vec![0xff; len]).unwrap();
            let token = Tokens::of(&bytes).next();
            assert_eq!(token, Some(Token::Bytes(&vec![0xff; len])));
            let array = tokens(&vec![true; len]);
            assert_eq!(array[0], format!("Array({len})"));
            assert_eq!(array.len(), len + 1);
            let map: std::collections::BTreeMap<_, _> = (0..len).map(|n| (n, ())).collect();
            let map = tokens(&map);
            assert_eq!(map[0], format!("Map({len})"));
            assert_eq!(map.len(), 2 * len + 1);
        }
    }

    #[test]
    fn the_rest_is_told_apart() {
        assert_eq!(tokens(&1.5_f32), ["Number(1.5)"]);
        assert_eq!(tokens(&-1e300), ["Number(-1e300)"]);
        assert_eq!(tokens(&(false, ())), ["Array(2)", "Boolean(false)", "Null"]);
        for bytes in [&[0xc7, 0, 1][..], &[0xd4, 1, 1], &[0xc1]] {
            assert_eq!(Tokens::of(bytes).next(), Some(Token::Other), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_of_shared_values() {
        for number in [0, 1, 256, u32::MAX] {
            for numbered in [Numbered::Definition(number), Numbered::Reference(number)] {
                assert_eq!(tokens(&numbered), [format!("Numbered({numbered:?})")]);
                let is_definition = numbered == Numbered::Definition(number);
                let bytes = rmp_serde::to_vec(&numbered).unwrap();
                let expected = is_definition.then_some(number);
                assert_eq!(Tokens::of(&bytes).definition(), expected);
                let pair = rmp_serde::to_vec(&(numbered, 1)).unwrap();
                assert_eq!(Tokens::of(&pair).is_defined(), is_definition);
            }
        }
        assert_eq!(
            Tokens::of(&[0xd6, 3, 0, 0, 0, 0]).next(),
            Some(Token::Other)
        );
    }

    #[test]
    fn bytes_that_end_too_early_are_nothing() {
        for value in [
            serde_json::json!("text"),
            serde_json::json!(70_000),
            serde_json::json!(0.5),
        ] {
            let bytes = rmp_serde::to_vec(&value).unwrap();
            for len in 0..bytes.len() {
                assert_eq!(Tokens::of(&bytes[..len]).next(), None, "{value} {len}");
            }
        }
    }
}

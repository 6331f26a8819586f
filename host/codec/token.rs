//! MessagePack, one token at a time: for whoever looks at values without reading them into anything.

use rmp::Marker;

/// What comes next. What follows a list or a map are its items: twice as many for a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'b> {
    Nil,
    Boolean(bool),
    Integer(i64),
    /// An integer beyond those.
    Large(u64),
    Number(f64),
    /// A string, which may hold anything.
    Text(&'b [u8]),
    Bytes(&'b [u8]),
    List(u32),
    Map(u32),
    Extension(i8, &'b [u8]),
}

/// The tokens of some bytes.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'b>(&'b [u8]);

impl<'b> Tokens<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Tokens<'b> {
        Tokens(bytes)
    }

    /// Bytes that are still to come.
    pub(crate) fn rest(&self) -> &'b [u8] {
        self.0
    }

    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of `len` bytes, big-endian.
    fn number(&mut self, len: usize) -> Option<u64> {
        let bytes = self.take(len)?.iter();
        Some(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn len(&mut self, len: usize) -> Option<usize> {
        self.number(len)?.try_into().ok()
    }

    fn text(&mut self, len: usize) -> Option<Token<'b>> {
        self.take(len).map(Token::Text)
    }

    fn extension(&mut self, len: usize) -> Option<Token<'b>> {
        let kind = self.take(1)?[0].cast_signed();
        Some(Token::Extension(kind, self.take(len)?))
    }

    /// A number with a sign, of `len` bytes.
    fn signed(&mut self, len: usize) -> Option<Token<'b>> {
        let unused = 64 - 8 * len;
        let number = self.number(len)? << unused;
        Some(Token::Integer(number.cast_signed() >> unused))
    }

    fn unsigned(&mut self, len: usize) -> Option<Token<'b>> {
        let number = self.number(len)?;
        Some(i64::try_from(number).map_or(Token::Large(number), Token::Integer))
    }

    fn count(&mut self, len: usize) -> Option<u32> {
        self.number(len)?.try_into().ok()
    }
}

/// Ends where there are no more bytes, or those that are there are no token.
impl<'b> Iterator for Tokens<'b> {
    type Item = Token<'b>;

    fn next(&mut self) -> Option<Token<'b>> {
        let marker = Marker::from_u8(self.take(1)?[0]);
        match marker {
            Marker::Null => Some(Token::Nil),
            Marker::True => Some(Token::Boolean(true)),
            Marker::False => Some(Token::Boolean(false)),
            Marker::FixPos(number) => Some(Token::Integer(number.into())),
            Marker::FixNeg(number) => Some(Token::Integer(number.into())),
            Marker::U8 => self.unsigned(1),
            Marker::U16 => self.unsigned(2),
            Marker::U32 => self.unsigned(4),
            Marker::U64 => self.unsigned(8),
            Marker::I8 => self.signed(1),
            Marker::I16 => self.signed(2),
            Marker::I32 => self.signed(4),
            Marker::I64 => self.signed(8),
            Marker::F32 => {
                let number = self.take(4)?.try_into().ok().map(f32::from_be_bytes)?;
                Some(Token::Number(number.into()))
            }
            Marker::F64 => {
                let number = self.take(8)?.try_into().ok().map(f64::from_be_bytes)?;
                Some(Token::Number(number))
            }
            Marker::FixStr(len) => self.text(len.into()),
            Marker::Str8 => self.len(1).and_then(|len| self.text(len)),
            Marker::Str16 => self.len(2).and_then(|len| self.text(len)),
            Marker::Str32 => self.len(4).and_then(|len| self.text(len)),
            Marker::Bin8 => self.len(1).and_then(|len| self.take(len)).map(Token::Bytes),
            Marker::Bin16 => self.len(2).and_then(|len| self.take(len)).map(Token::Bytes),
            Marker::Bin32 => self.len(4).and_then(|len| self.take(len)).map(Token::Bytes),
            Marker::FixArray(len) => Some(Token::List(len.into())),
            Marker::Array16 => self.count(2).map(Token::List),
            Marker::Array32 => self.count(4).map(Token::List),
            Marker::FixMap(len) => Some(Token::Map(len.into())),
            Marker::Map16 => self.count(2).map(Token::Map),
            Marker::Map32 => self.count(4).map(Token::Map),
            Marker::FixExt1 => self.extension(1),
            Marker::FixExt2 => self.extension(2),
            Marker::FixExt4 => self.extension(4),
            Marker::FixExt8 => self.extension(8),
            Marker::FixExt16 => self.extension(16),
            Marker::Ext8 => self.len(1).and_then(|len| self.extension(len)),
            Marker::Ext16 => self.len(2).and_then(|len| self.extension(len)),
            Marker::Ext32 => self.len(4).and_then(|len| self.extension(len)),
            Marker::Reserved => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_taken_apart() {
        let value = json!({"a": [null, true, 7, -7, 300, -300, 70_000, -70_000, 1.5, "é"]});
        let mut bytes = Vec::new();
        super::super::encode("value", &value, &mut bytes).unwrap();
        let tokens: Vec<_> = Tokens::new(&bytes).collect();
        use Token::{Boolean, Integer, Large, List, Map, Nil, Number, Text};
        let numbers = [7, -7, 300, -300, 70_000, -70_000].map(Integer);
        let mut expected = vec![Map(1), Text(b"a"), List(10), Nil, Boolean(true)];
        expected.extend(numbers);
        expected.extend([Number(1.5), Text("é".as_bytes())]);
        assert_eq!(tokens, expected);
        let large = b"\xcf\x80\0\0\0\0\0\0\0";
        assert_eq!(Tokens::new(large).next(), Some(Large(1 << 63)));
    }

    #[test]
    fn what_is_cut_off_ends_there() {
        for bytes in [
            &b"\xa5ab"[..],
            b"\xcd\x01",
            b"\xdb\xff\xff\xff\xff",
            b"\xc1",
            b"\xd6",
        ] {
            assert_eq!(Tokens::new(bytes).next(), None, "{bytes:?}");
        }
    }
}

//! What must not be seen, taken out of a journal.

use memchr::memmem;

use crate::codec::{Bytes, Token, Tokens};
use crate::journal::entry::{Answer, Asked, Call, Entry, Event, Note};
use crate::wire::{self, Service};

/// What is there in place of it.
const MASK: &[u8] = b"***";

/// Takes texts out of what it is given, and counts how often.
pub(crate) struct Mask<'m> {
    hidden: &'m [&'m str],
    pub(crate) count: u64,
}

impl<'m> Mask<'m> {
    /// One for these texts: the longest first, since one may be part of another.
    pub(crate) fn new(hidden: &'m [&'m str]) -> Mask<'m> {
        Mask { hidden, count: 0 }
    }

    /// Bytes that may be text.
    fn plain(&mut self, bytes: &mut Vec<u8>) {
        for text in self.hidden {
            let mut at = 0;
            while let Some(found) = memmem::find(&bytes[at..], text.as_bytes()) {
                let start = at + found;
                bytes.splice(start..start + text.len(), MASK.iter().copied());
                at = start + MASK.len();
                self.count += 1;
            }
        }
    }

    pub(crate) fn text(&mut self, text: &mut String) {
        let mut bytes = std::mem::take(text).into_bytes();
        self.plain(&mut bytes);
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }

    /// A value of MessagePack's, in whose texts it may be, also those of keys.
    fn value(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(bytes.len());
        let mut tokens = Tokens::new(bytes);
        loop {
            let before = tokens.rest();
            let Some(token) = tokens.next() else {
                // The end, or what is no value, which goes on as it is.
                masked.extend_from_slice(before);
                return masked;
            };
            let (Token::Text(text) | Token::Bytes(text)) = token else {
                masked.extend_from_slice(&before[..before.len() - tokens.rest().len()]);
                continue;
            };
            let mut text = text.to_vec();
            self.plain(&mut text);
            // Not longer than it was, but for a text of less than three bytes; and no vector fails.
            let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let written = match token {
                Token::Bytes(_) => rmp::encode::write_bin_len(&mut masked, len),
                _ => rmp::encode::write_str_len(&mut masked, len),
            };
            debug_assert!(written.is_ok());
            masked.extend_from_slice(&text);
        }
    }

    fn bytes(&mut self, bytes: &mut Bytes) {
        bytes.0 = self.value(&bytes.0);
    }

    /// A request: its header is code, or a name, and stays.
    fn request(&mut self, request: &mut Bytes) {
        if let Some((head, value)) = split(&request.0) {
            let masked = self.value(value);
            let head = head.len();
            request.0.truncate(head);
            request.0.extend(masked);
        }
    }

    /// An answer: a status, and a value or a failure, behind which there may be a value.
    fn answer(&mut self, answer: &mut Bytes) {
        let Some((&status, rest)) = answer.0.split_first() else {
            return;
        };
        let mut masked = vec![status];
        match split(rest) {
            Some((failure, value)) if status != wire::OK => {
                let failure = self.value(&failure[4..]);
                let len = u32::try_from(failure.len()).unwrap_or(u32::MAX);
                masked.extend(len.to_le_bytes());
                masked.extend(failure);
                masked.extend(self.value(value));
            }
            _ => masked.extend(self.value(rest)),
        }
        answer.0 = masked;
    }

    fn event(&mut self, event: &mut Event) {
        let mut is_value = false;
        let mut is_code = false;
        match &mut event.asked {
            Asked::Function { args, .. } => {
                is_value = true;
                self.bytes(args);
            }
            Asked::Service {
                number,
                subject,
                content,
            } => {
                is_code = *number == Service::Module as u32;
                self.plain(&mut subject.0);
                self.plain(&mut content.0);
            }
            Asked::Clock { .. } | Asked::Random { .. } | Asked::Missing { .. } => {}
        }
        match &mut event.answer {
            Answer::Done(bytes) if is_value => self.bytes(bytes),
            Answer::Done(_) if is_code => {}
            Answer::Done(bytes) | Answer::Raised(bytes) => self.plain(&mut bytes.0),
            Answer::Denied { message, .. } => self.text(message),
            _ => {}
        }
    }

    fn call(&mut self, call: &mut Call) {
        self.request(&mut call.request);
        if let Some(setup) = &mut call.setup {
            self.request(setup);
        }
        for event in &mut call.events {
            self.event(event);
        }
        self.plain(&mut call.output.0);
        if let Some(end) = &mut call.end {
            if let Some(answer) = &mut end.answer {
                self.answer(answer);
            }
            if let Some((_, message)) = &mut end.error {
                self.text(message);
            }
        }
    }

    pub(crate) fn entry(&mut self, entry: &mut Entry) {
        match entry {
            Entry::Call(call) => self.call(call),
            Entry::Note(Note::Text(text)) => self.text(text),
            Entry::Note(Note::Function { args, result, .. }) => {
                self.bytes(args);
                match result {
                    Ok(result) => self.bytes(result),
                    Err(message) => self.text(message),
                }
            }
        }
    }
}

/// What has a header in front of it: the header with its length, and the rest.
pub(crate) fn split(framed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, _) = framed.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    framed.split_at_checked(len.checked_add(4)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use serde_json::{Value, json};

    #[test]
    fn values_are_masked_at_any_depth_and_in_keys() {
        let value = json!({"s3cret": [{"a": "is s3cret, s3cret"}], "n": [1, 2.5, null, "other"]});
        let mut bytes = Vec::new();
        codec::encode("value", &value, &mut bytes).unwrap();
        let mut mask = Mask::new(&["s3cret"]);
        let masked = mask.value(&bytes);
        let value: Value = codec::decode("value", &masked, 10_000).unwrap();
        let expected = json!({"***": [{"a": "is ***, ***"}], "n": [1, 2.5, null, "other"]});
        assert_eq!((value, mask.count), (expected, 3));
    }

    #[test]
    fn a_text_that_grows_keeps_its_length_right() {
        let mut bytes = Vec::new();
        codec::encode("value", &"x".repeat(31), &mut bytes).unwrap();
        let masked = Mask::new(&["x"]).value(&bytes);
        let value: String = codec::decode("value", &masked, 10_000).unwrap();
        assert_eq!(value, "*".repeat(93));
    }

    #[test]
    fn the_longest_is_masked_first() {
        let mut text = "pass, password".to_owned();
        Mask::new(&["password", "pass"]).text(&mut text);
        assert_eq!(text, "***, ***");
    }
}

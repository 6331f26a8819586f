//! What is in a journal, as text: the same text for the same bytes, and in one line.

use std::fmt::Write;

use crate::capability;
use crate::codec::{Token, Tokens};
use crate::journal::entry::{Answer, Asked, Halt};
use crate::journal::mask::split;
use crate::wire::{MAX_DEPTH, Numbered, Op, Service};

/// What is shown of a value, unless all of it is asked for: characters, about.
pub(crate) const SHORT: usize = 400;

/// A value of MessagePack's, like JSON: what is beyond `max` bytes of text is left out.
pub(crate) fn value(bytes: &[u8], max: usize) -> String {
    let mut show = Show {
        tokens: Tokens::new(bytes),
        text: String::new(),
        // Nothing of what is behind that is looked at.
        max,
    };
    let whole = show.value(0);
    let mut text = show.text;
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        let _ = write!(text, "... ({} bytes in all)", bytes.len());
    } else if whole.is_none() {
        text.push_str("<damaged>");
    }
    text
}

struct Show<'b> {
    tokens: Tokens<'b>,
    text: String,
    max: usize,
}

impl Show<'_> {
    /// Nothing when there is no value, or enough was shown.
    fn value(&mut self, depth: usize) -> Option<()> {
        if self.text.len() > self.max || depth > 2 * MAX_DEPTH + 2 {
            return None;
        }
        match self.tokens.next()? {
            Token::Nil => self.text.push_str("null"),
            Token::Boolean(boolean) => write!(self.text, "{boolean}").ok()?,
            Token::Integer(number) => write!(self.text, "{number}").ok()?,
            Token::Large(number) => write!(self.text, "{number}").ok()?,
            Token::Number(number) => write!(self.text, "{number:?}").ok()?,
            Token::Text(text) | Token::Bytes(text) => quoted(text, &mut self.text),
            Token::List(len) => return self.list(len, depth),
            Token::Map(len) => return self.map(len, depth),
            Token::Extension(kind, number) => {
                let number = number.try_into().ok().map(u32::from_be_bytes)?;
                match Numbered::of(kind, number)? {
                    Numbered::Reference(number) | Numbered::Definition(number) => {
                        write!(self.text, "<value {number}>").ok()?;
                    }
                }
            }
        }
        Some(())
    }

    fn list(&mut self, len: u32, depth: usize) -> Option<()> {
        // A value that is there several times comes once, in a pair with its number.
        if len == 2
            && let Some(Token::Extension(kind, number)) = self.tokens.clone().next()
            && let Ok(number) = number.try_into()
            && let Some(Numbered::Definition(number)) =
                Numbered::of(kind, u32::from_be_bytes(number))
        {
            self.tokens.next();
            if number > 0 {
                write!(self.text, "<value {number}: ").ok()?;
            }
            self.value(depth + 1)?;
            if number > 0 {
                self.text.push('>');
            }
            return Some(());
        }
        self.text.push('[');
        for index in 0..len {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.value(depth + 1)?;
        }
        self.text.push(']');
        Some(())
    }

    fn map(&mut self, len: u32, depth: usize) -> Option<()> {
        self.text.push('{');
        for index in 0..len {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.value(depth + 1)?;
            self.text.push_str(": ");
            self.value(depth + 1)?;
        }
        self.text.push('}');
        Some(())
    }
}

/// Text in quotes, as JSON has it; bytes that are none as `\xff`.
fn quoted(bytes: &[u8], to: &mut String) {
    to.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => to.extend(['\\', c]),
                '\n' => to.push_str("\\n"),
                '\r' => to.push_str("\\r"),
                '\t' => to.push_str("\\t"),
                c if c.is_control() => {
                    let _ = write!(to, "\\u{:04x}", u32::from(c));
                }
                c => to.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(to, "\\x{byte:02x}");
        }
    }
    to.push('"');
}

/// Bytes that may be text, in quotes.
pub(crate) fn text(bytes: &[u8], max: usize) -> String {
    let mut text = String::new();
    quoted(&bytes[..bytes.len().min(max)], &mut text);
    if bytes.len() > max {
        let _ = write!(text, "... ({} bytes in all)", bytes.len());
    }
    text
}

/// The arguments of a call, in parentheses.
pub(crate) fn arguments(args: &[u8], max: usize) -> String {
    let shown = value(args, max);
    match shown.strip_prefix('[') {
        Some(inner) => format!("({})", inner.strip_suffix(']').unwrap_or(inner)),
        None => format!("({shown})"),
    }
}

/// What a script asks for.
pub(crate) fn asked(asked: &Asked) -> String {
    asked_to(asked, SHORT)
}

pub(crate) fn asked_to(asked: &Asked, max: usize) -> String {
    match asked {
        Asked::Function { name, args } => format!("{name}{}", arguments(&args.0, max)),
        Asked::Service {
            number,
            subject,
            content,
        } => {
            let name = service_name(*number);
            let subject = text(&subject.0, max);
            let written = [Service::Write as u32, Service::Append as u32];
            match number {
                number if *number == Service::Time as u32 => name.to_owned(),
                number if written.contains(number) => {
                    format!("{name}({subject}, {})", text(&content.0, max))
                }
                _ => format!("{name}({subject})"),
            }
        }
        Asked::Clock { id: 0 } => "the time".to_owned(),
        Asked::Clock { .. } => "the time since it began".to_owned(),
        Asked::Random { len } => format!("{len} random bytes"),
        Asked::Missing { name } => format!("the global '{name}'"),
    }
}

/// The name of a service, by its number.
fn service_name(number: u32) -> &'static str {
    let place = usize::try_from(number).ok();
    let service = place.and_then(|it| Service::ALL.get(it));
    service.map_or("?", |service| capability::service_name(*service))
}

/// What it was told.
pub(crate) fn answer(asked: &Asked, answer: &Answer, max: usize) -> String {
    match (asked, answer) {
        (Asked::Function { .. }, Answer::Done(bytes)) => value(&bytes.0, max),
        (Asked::Service { number, .. }, Answer::Done(bytes)) => match *number {
            number if number == Service::Module as u32 => format!("{} bytes", bytes.0.len()),
            _ => text(&bytes.0, max),
        },
        (_, Answer::Done(bytes)) => format!("{} bytes", bytes.0.len()),
        (_, Answer::Nothing) => "nothing".to_owned(),
        (_, Answer::Raised(message)) => {
            format!("error: {}", String::from_utf8_lossy(&message.0))
        }
        (
            _,
            Answer::Denied {
                capability,
                message,
            },
        ) => {
            format!("denied ({capability}): {message}")
        }
        (_, Answer::Time(nanoseconds)) => {
            let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            format!("{seconds}.{rest:09} s")
        }
        (_, Answer::Missing(Some(capability))) => format!("denied ({capability})"),
        (_, Answer::Missing(None)) => "nothing".to_owned(),
        (_, Answer::Stopped(halt)) => match halt {
            Halt::Deadline => "stopped: its time was over".to_owned(),
            Halt::Cancelled => "stopped: the run was cancelled".to_owned(),
            Halt::Panic { function, message } => {
                format!("stopped: host function '{function}' panicked: {message}")
            }
            Halt::Failed(message) => format!("stopped: {message}"),
        },
    }
}

/// What has a header in front of it: the header, and the rest.
pub(crate) fn framed(request: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = split(request)?;
    Some((&head[4..], rest))
}

/// What the instance was asked to do: a word, and what it is about.
pub(crate) fn request(op: u32, request: &[u8], max: usize) -> String {
    let Some((head, value_of)) = framed(request) else {
        return "a damaged request".to_owned();
    };
    let name = String::from_utf8_lossy(head);
    let is = |other: Op| op == other as u32;
    if is(Op::Eval) || is(Op::Check) {
        let verb = if is(Op::Check) { "check" } else { "run" };
        let what = match chunk(head) {
            Some(chunk) if chunk.line > 1 => {
                format!("{verb} {} (from line {})", chunk.name, chunk.line)
            }
            Some(chunk) => format!("{verb} {}", chunk.name),
            None => return "a damaged request".to_owned(),
        };
        return match value_of.is_empty() {
            true => what,
            false => format!("{what} with state = {}", value(value_of, max)),
        };
    }
    if is(Op::Call) {
        return format!("call {name}{}", arguments(value_of, max));
    }
    if is(Op::Get) {
        return format!("read the global {name}");
    }
    if is(Op::Set) {
        return format!("set the global {name} = {}", value(value_of, max));
    }
    format!("operation {op}")
}

/// A chunk in a request.
pub(crate) struct Shown<'h> {
    pub(crate) expression: bool,
    pub(crate) line: u32,
    pub(crate) name: std::borrow::Cow<'h, str>,
}

/// The chunk in the header of a request that has one.
pub(crate) fn chunk(head: &[u8]) -> Option<Shown<'_>> {
    let (&expression, rest) = head.split_first()?;
    let (line, rest) = rest.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    let name = rest.get(..len)?;
    Some(Shown {
        expression: expression != 0,
        line: u32::from_le_bytes(*line),
        name: String::from_utf8_lossy(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use serde_json::json;

    fn encoded(value: &serde_json::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode("value", value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn values_are_shown_on_one_line() {
        let bytes = encoded(&json!({"a": [1, -2, 1.0, null, true], "b": "x\ny\u{1}\"é"}));
        let shown = r#"{"a": [1, -2, 1.0, null, true], "b": "x\ny\u0001\"é"}"#;
        assert_eq!(value(&bytes, 1000), shown);
        assert_eq!(value(&bytes, 9), "{\"a\": [1,... (27 bytes in all)");
        assert_eq!(text(b"a\xff\n", 10), "\"a\\xff\\n\"");
        assert_eq!(text(b"abcdef", 2), "\"ab\"... (6 bytes in all)");
    }

    #[test]
    fn damaged_values_are_said_to_be() {
        let bytes = encoded(&json!({"a": [1, 2]}));
        for end in 0..bytes.len() {
            let shown = value(&bytes[..end], 1000);
            assert!(shown.ends_with("<damaged>"), "{shown}");
        }
    }

    #[test]
    fn arguments_are_in_parentheses() {
        assert_eq!(arguments(&encoded(&json!([1, "a"])), 100), "(1, \"a\")");
        assert_eq!(arguments(&encoded(&json!([])), 100), "()");
    }
}

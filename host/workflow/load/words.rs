//! The words of some Lua, as far as that can be told without running it: all of them, and whether
//! the keys that it returns may be others.

use std::collections::BTreeSet;

/// Lua's keywords that may stand before a parenthesis.
const KEYWORDS: [&str; 12] = [
    "and", "elseif", "for", "function", "if", "in", "not", "or", "return", "then", "until", "while",
];

/// Lua's own functions, and the sandbox's.
const OWN: [&str; 21] = [
    "array",
    "assert",
    "collectgarbage",
    "error",
    "getmetatable",
    "ipairs",
    "load",
    "next",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "xpcall",
];

/// What some Lua sources say, all of which see what the others define.
#[derive(Default)]
pub(crate) struct Words {
    /// Every word, those in strings and comments too.
    pub(crate) all: BTreeSet<String>,
    /// Names that are called as functions.
    called: BTreeSet<String>,
    /// Names that occur otherwise: as what is defined, among others.
    mentioned: BTreeSet<String>,
    /// Whether a value is passed on whose keys aren't written anywhere.
    passes_on: bool,
}

impl Words {
    /// Takes in one more source.
    pub(crate) fn add(&mut self, text: &str) {
        let words = text.split(|c| !is_part(c)).filter(|it| !it.is_empty());
        for word in words {
            if !self.all.contains(word) {
                self.all.insert(word.to_owned());
            }
        }
        let tokens = tokens(text);
        for (index, token) in tokens.iter().enumerate() {
            let Token::Name(name) = token else {
                continue;
            };
            let before = index.checked_sub(1).and_then(|before| tokens.get(before));
            let is_field = matches!(before, Some(Token::Sign('.' | ':')));
            let is_call = matches!(
                tokens.get(index + 1),
                Some(Token::Sign('(' | '{') | Token::Text)
            );
            let is_defined = matches!(before, Some(Token::Name("function")));
            match (is_call && !is_defined, is_field) {
                // What was text, and what is another's: JSON, a file of it, the values in it.
                (true, true) => self.passes_on |= *name == "decode",
                (true, false) => {
                    self.called.insert((*name).to_owned());
                }
                (false, false) => {
                    self.mentioned.insert((*name).to_owned());
                }
                (false, true) => {}
            }
            self.passes_on |= *name == "return" && is_part_of_state(&tokens[index + 1..]);
        }
    }

    /// Whether keys may be returned that are no words of any source: what was JSON text, a part of
    /// the state as it is, what a function gave that none of the sources defines.
    pub(crate) fn are_open(&self) -> bool {
        let is_own = |name: &str| KEYWORDS.contains(&name) || OWN.contains(&name);
        let mut called = self.called.iter().map(String::as_str);
        self.passes_on || called.any(|name| !is_own(name) && !self.mentioned.contains(name))
    }
}

/// Whether what follows `return` is a value in the state, and nothing else.
fn is_part_of_state(tokens: &[Token<'_>]) -> bool {
    let [Token::Name("state"), rest @ ..] = tokens else {
        return false;
    };
    let mut rest = rest;
    let mut is_part = false;
    loop {
        rest = match rest {
            [Token::Sign('.'), Token::Name(_), rest @ ..] => rest,
            [
                Token::Sign('['),
                Token::Name(_) | Token::Text,
                Token::Sign(']'),
                rest @ ..,
            ] => rest,
            _ => break,
        };
        is_part = true;
    }
    let ends = match rest.first() {
        None | Some(Token::Sign(';')) => true,
        Some(Token::Name(word)) => ["else", "elseif", "end", "until"].contains(word),
        Some(_) => false,
    };
    is_part && ends
}

/// A part of Lua. Numbers are names here.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Name(&'t str),
    Text,
    Sign(char),
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The parts of some Lua, which needn't parse.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            c if c.is_whitespace() => after,
            '-' if after.starts_with('-') => {
                let comment = &after[1..];
                match long_bracket(comment) {
                    Some(behind) => behind,
                    None => comment.split_once('\n').map_or("", |(_, behind)| behind),
                }
            }
            '\'' | '"' => {
                tokens.push(Token::Text);
                behind_string(after, first)
            }
            '[' => match long_bracket(rest) {
                Some(behind) => {
                    tokens.push(Token::Text);
                    behind
                }
                None => {
                    tokens.push(Token::Sign('['));
                    after
                }
            },
            c if is_part(c) => {
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                tokens.push(Token::Name(&rest[..end]));
                &rest[end..]
            }
            c => {
                tokens.push(Token::Sign(c));
                after
            }
        };
    }
    tokens
}

/// What is behind a string that began with `quote`.
fn behind_string(text: &str, quote: char) -> &str {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            c if c == quote => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// What is behind the long bracket that `text` begins with, if it does: `[[...]]`, `[==[...]==]`.
fn long_bracket(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let level = inside.len() - inside.trim_start_matches('=').len();
    let inside = inside[level..].strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    Some(inside.split_once(&end).map_or("", |(_, behind)| behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_open(sources: &[&str]) -> bool {
        let mut words = Words::default();
        sources.iter().for_each(|source| words.add(source));
        words.are_open()
    }

    #[test]
    fn what_is_written_out_is_known() {
        for source in [
            "return {count = 1}",
            "local t = {} t.total = math.max(1, 2) return t",
            "return state",
            "return state.n + 1",
            "return {order = state.order}",
            "if (state.n) then return nil end",
            "return string.format('%d', state.n)",
            "local function f(x) return x end return f(1)",
            "g = function(x) return x end return g {1}",
            "local apply = function(f) return f(1) end return apply(tostring)",
            "-- decode(this) and order(that)\nreturn {text = 'order(1)', more = [[ load_it() ]]}",
            "--[==[ order()\n ]] ]==] return 1",
            "local s = 'it\\'s order(1)' return #s",
        ] {
            assert!(!are_open(&[source]), "{source}");
        }
        assert!(!are_open(&[
            "function total(t) return {sum = t} end",
            "return total(1)"
        ]));
    }

    #[test]
    fn what_comes_from_elsewhere_is_not() {
        for source in [
            "return get_order(state.id)",
            "return get_order{id = 1}",
            "return get_order 'one'",
            "local order = find(1) return order",
            "return json.decode(state.text)",
            "return require('host').order()",
            "return state.order",
            "if state.x then return state['order'] end",
            "return state.orders[1];",
        ] {
            assert!(are_open(&[source]), "{source}");
        }
    }

    #[test]
    fn whatever_it_is_it_comes_to_an_end() {
        for source in [
            "'", "\"\\", "[[", "[==[ ]=]", "--", "--[[", "[", "é(", "\\", "",
        ] {
            tokens(source);
        }
        assert_eq!(
            tokens("a.b"),
            [Token::Name("a"), Token::Sign('.'), Token::Name("b")]
        );
    }
}

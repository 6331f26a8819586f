//! `--input`: what a script sees as `state`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use super::end::Mistake;
use super::json;

/// The arguments that make up the input.
#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// What the script sees as `state`: JSON, @FILE with JSON in it, - for JSON from standard
    /// input; or one key of it, KEY=TEXT, KEY:=JSON, KEY=@FILE for a file's text, KEY:=@FILE for
    /// the JSON in a file.
    ///
    /// Can be given several times: keys of a later one replace those of an earlier one.
    #[arg(
        short,
        long = "input",
        value_name = "JSON|@FILE|-|KEY=TEXT|KEY:=JSON",
        allow_negative_numbers = true
    )]
    input: Vec<Input>,
}

/// One `--input`.
#[derive(Clone, Debug, PartialEq)]
enum Input {
    Whole(Content),
    Key { key: String, content: Content },
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Value(Value),
    TextOf(Origin),
    JsonOf(Origin),
}

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    File(PathBuf),
    StandardInput,
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" || text.starts_with('@') {
            let origin = text.strip_prefix('@').unwrap_or(text).parse()?;
            return Ok(Input::Whole(Content::JsonOf(origin)));
        }
        let is_json = text.trim_start().starts_with(['{', '[', '"']);
        let Some((left, right)) = text.split_once('=').filter(|_| !is_json) else {
            let value = json::parse(text, "", "state");
            return match value {
                Ok(value) => Ok(Input::Whole(Content::Value(value))),
                Err(error) if is_json => Err(error.to_string()),
                Err(error) => Err(format!(
                    "{error}; neither is it @FILE, - or one of KEY=TEXT, KEY:=JSON, KEY=@FILE, \
                     KEY:=@FILE"
                )),
            };
        };
        let (key, is_raw) = match left.strip_suffix(':') {
            Some(key) => (key, true),
            None => (left, false),
        };
        if key.is_empty() {
            return Err("there is no key before the `=`".to_owned());
        }
        if key.ends_with(']') && key.contains('[') {
            return Err(format!(
                "keys inside of keys are written as JSON, as in {}:='{{\"b\": 1}}'",
                &key[..key.find('[').unwrap_or_default()]
            ));
        }
        let content = match (right.strip_prefix('@'), is_raw) {
            (Some(path), true) => Content::JsonOf(path.parse()?),
            (Some(path), false) => Content::TextOf(path.parse()?),
            (None, true) => {
                let root = format!("state.{key}");
                let value = json::parse(right, key, &root).map_err(|error| error.to_string())?;
                Content::Value(value)
            }
            (None, false) => Content::Value(Value::String(right.to_owned())),
        };
        let key = key.to_owned();
        Ok(Input::Key { key, content })
    }
}

impl FromStr for Origin {
    type Err = String;

    /// Reads what stands for `FILE`.
    fn from_str(text: &str) -> Result<Origin, String> {
        match text {
            "" => Err("there is no file behind the `@`".to_owned()),
            "-" => Ok(Origin::StandardInput),
            path => Ok(Origin::File(path.into())),
        }
    }
}

impl InputArgs {
    /// All of the input, put together: any JSON value; an empty object if there is none.
    ///
    /// # Errors
    /// If something can't be read, or doesn't hold what it should.
    pub(super) fn load(self) -> anyhow::Result<Value> {
        match &*self.input {
            [Input::Whole(content)] => content.load("state"),
            _ => self.load_object().map(Value::Object),
        }
    }

    /// The same where only an object will do.
    ///
    /// # Errors
    /// As [`load`](Self::load), and if there is anything else.
    pub(super) fn load_object(self) -> anyhow::Result<Map<String, Value>> {
        let origins = self.input.iter().filter_map(|input| match input {
            Input::Whole(content) | Input::Key { content, .. } => content.origin(),
        });
        if origins.filter(|it| **it == Origin::StandardInput).count() > 1 {
            return Err(Mistake::error(
                "--input: standard input can be read once only",
            ));
        }
        let mut all = Map::new();
        for input in self.input {
            match input {
                Input::Whole(content) => all.extend(object(content.load("state")?, &content)?),
                Input::Key { key, content } => {
                    let value = content.load(&format!("state.{key}"))?;
                    all.insert(key, value);
                }
            }
        }
        Ok(all)
    }
}

impl Content {
    fn origin(&self) -> Option<&Origin> {
        match self {
            Content::Value(_) => None,
            Content::TextOf(origin) | Content::JsonOf(origin) => Some(origin),
        }
    }

    /// The value; `root` is how messages call it.
    fn load(&self, root: &str) -> anyhow::Result<Value> {
        Ok(match self {
            Content::Value(value) => value.clone(),
            Content::TextOf(origin) => Value::String(origin.text()?),
            Content::JsonOf(origin) => json::parse(&origin.text()?, &origin.name(), root)?,
        })
    }
}

impl Origin {
    fn name(&self) -> String {
        match self {
            Origin::File(path) => path.display().to_string(),
            Origin::StandardInput => "standard input".to_owned(),
        }
    }

    fn text(&self) -> anyhow::Result<String> {
        let bytes = match self {
            Origin::File(path) => fs::read(path),
            Origin::StandardInput => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            }
        };
        utf8(bytes.with_context(|| self.name())?, &self.name())
    }
}

/// The object in `value`, which came from `content`.
fn object(value: Value, content: &Content) -> anyhow::Result<Map<String, Value>> {
    let what = match value {
        Value::Object(object) => return Ok(object),
        Value::Array(_) => "an array".to_owned(),
        other => format!("`{other}`"),
    };
    let why = format!("must be a JSON object, not {what}");
    match content.origin() {
        Some(origin) => bail!("{}: the input {why}", origin.name()),
        None => Err(Mistake::error(format!("--input: it {why}"))),
    }
}

/// The content of a file.
///
/// # Errors
/// If it can't be read, with its name.
pub(super) fn file(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

/// The JSON value in a file.
///
/// # Errors
/// If it can't be read or holds something else, with its name.
pub(super) fn json_file(path: &Path, root: &str) -> anyhow::Result<Value> {
    Content::JsonOf(Origin::File(path.to_owned())).load(root)
}

fn utf8(bytes: Vec<u8>, name: &str) -> anyhow::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        anyhow::anyhow!("{name}: not UTF-8: the byte at offset {offset}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn input(text: &str) -> Input {
        text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn the_forms_of_a_whole() {
        for text in ["{\"a\": \"b=@c\"}", "[1, \"x=y\"]", "\"a=b\"", "5", "null"] {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(input(text), Input::Whole(Content::Value(value)));
        }
        let file = Origin::File("in.json".into());
        assert_eq!(input("@in.json"), Input::Whole(Content::JsonOf(file)));
        for text in ["-", "@-"] {
            let whole = Input::Whole(Content::JsonOf(Origin::StandardInput));
            assert_eq!(input(text), whole);
        }
        let file = Origin::File("./-".into());
        assert_eq!(input("@./-"), Input::Whole(Content::JsonOf(file)));
    }

    #[test]
    fn the_forms_of_a_key() {
        let lock = || Origin::File("Cargo.lock".into());
        for (text, key, content) in [
            ("a=", "a", Content::Value(json!(""))),
            ("a=1", "a", Content::Value(json!("1"))),
            ("a==b:=c=@d", "a", Content::Value(json!("=b:=c=@d"))),
            ("a b=c", "a b", Content::Value(json!("c"))),
            ("a:=1.5", "a", Content::Value(json!(1.5))),
            ("a:={\"b\": \"=\"}", "a", Content::Value(json!({"b": "="}))),
            ("a::=true", "a:", Content::Value(json!(true))),
            ("a=@Cargo.lock", "a", Content::TextOf(lock())),
            ("a:=@Cargo.lock", "a", Content::JsonOf(lock())),
            ("a=@-", "a", Content::TextOf(Origin::StandardInput)),
        ] {
            let key = key.to_owned();
            assert_eq!(input(text), Input::Key { key, content }, "{text}");
        }
    }

    #[test]
    fn anything_else_is_a_mistake_that_says_what_is_wrong() {
        for (text, said) in [
            ("", "KEY:=JSON"),
            ("hello", "KEY=TEXT"),
            ("{", "not JSON"),
            ("{\"a\": 1, \"a\": 2}", "state.a is there twice"),
            ("=a", "no key"),
            (":=1", "no key"),
            ("a:=", "not JSON"),
            ("a:=b", "a:1:1: not JSON"),
            ("n:=9223372036854775808", "state.n is 9223372036854775808"),
            ("a[b]=1", "a:='{\"b\": 1}'"),
            ("@", "no file"),
            ("a=@", "no file"),
        ] {
            let why = text.parse::<Input>().expect_err(text);
            assert!(why.contains(said), "{text}: {why}");
        }
    }
}

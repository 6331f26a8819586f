//! `--input`: what a script sees as `state`.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// The arguments that make up the input.
#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// What the script sees as `state`: a JSON object, @FILE with a JSON object in it, or
    /// KEY=@FILE for a file's text under a key.
    ///
    /// Can be given several times: keys of a later one replace those of an earlier one.
    #[arg(short, long = "input", value_name = "JSON|@FILE|KEY=@FILE")]
    input: Vec<Input>,
}

/// One `--input`.
#[derive(Clone, Debug, PartialEq)]
enum Input {
    Object(Map<String, Value>),
    ObjectFile(PathBuf),
    TextFile { key: String, path: PathBuf },
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix('@') {
            return Ok(Input::ObjectFile(path.into()));
        }
        if !text.trim_start().starts_with(['{', '[', '"'])
            && let Some((key, path)) = text.split_once("=@")
        {
            return Ok(Input::TextFile {
                key: key.to_owned(),
                path: path.into(),
            });
        }
        let value = serde_json::from_str(text)
            .map_err(|error| format!("neither JSON ({error}) nor @FILE nor KEY=@FILE"))?;
        object(value).map(Input::Object)
    }
}

impl InputArgs {
    /// All of the input, put together.
    ///
    /// # Errors
    /// If a file can't be read, or doesn't hold what it should.
    pub(super) fn load(self) -> anyhow::Result<Map<String, Value>> {
        let mut all = Map::new();
        for input in self.input {
            match input {
                Input::Object(object) => all.extend(object),
                Input::ObjectFile(path) => all.extend(object_file(&path)?),
                Input::TextFile { key, path } => {
                    all.insert(key, Value::String(text_file(&path)?));
                }
            }
        }
        Ok(all)
    }
}

/// The content of a file.
///
/// # Errors
/// If it can't be read, with its name.
pub(super) fn file(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

/// The text of a file.
///
/// # Errors
/// If it can't be read or is not UTF-8, with its name.
pub(super) fn text_file(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn object_file(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = text_file(path)?;
    let value = serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow::anyhow!("{}:{line}:{column}: not JSON: {error}", path.display())
    })?;
    match object(value) {
        Ok(object) => Ok(object),
        Err(why) => bail!("{}: {why}", path.display()),
    }
}

fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Array(_) => Err("the input must be a JSON object, not an array".to_owned()),
        other => Err(format!("the input must be a JSON object, not `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_three_forms() {
        let Value::Object(object) = json!({"a": "b=@c"}) else {
            unreachable!("it is an object");
        };
        assert_eq!("{\"a\": \"b=@c\"}".parse(), Ok(Input::Object(object)));
        assert_eq!("@in.json".parse(), Ok(Input::ObjectFile("in.json".into())));
        let text = Input::TextFile {
            key: "lock".to_owned(),
            path: "Cargo.lock".into(),
        };
        assert_eq!("lock=@Cargo.lock".parse(), Ok(text));
    }

    #[test]
    fn anything_else_is_a_mistake() {
        for text in ["", "a=b", "[1]", "5", "{"] {
            assert!(text.parse::<Input>().is_err(), "{text:?}");
        }
    }
}

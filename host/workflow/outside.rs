//! Secrets and environment variables: values that conditions and the arguments of host functions
//! may use, and that are to be seen nowhere else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::diagnostics::Place;

/// Where a value comes from, by the name that expressions have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `secrets`.
    Secrets,
    /// `env`.
    Env,
}

impl Origin {
    /// The origin of a name.
    pub(crate) fn named(name: &str) -> Option<Origin> {
        match name {
            "secrets" => Some(Origin::Secrets),
            "env" => Some(Origin::Env),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Secrets => "secrets",
            Origin::Env => "env",
        })
    }
}

/// A place in a workflow where such a value is used; any of them, where there is no name.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    pub(crate) origin: Origin,
    pub(crate) name: Option<String>,
    pub(crate) place: Place,
}

/// What a run is given.
#[derive(Clone, Default)]
pub(crate) struct Outside {
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
}

/// What is shown in place of a value.
const MASK: &str = "***";

/// Bytes that a value of the environment has that is hidden: `1` and `yes` are everywhere.
const MIN_HIDDEN: usize = 4;

impl Outside {
    pub(crate) fn of(&self, origin: Origin) -> &BTreeMap<String, String> {
        match origin {
            Origin::Secrets => &self.secrets,
            Origin::Env => &self.env,
        }
    }

    /// Whether there is a value of this name, or any at all.
    pub(crate) fn has(&self, origin: Origin, name: Option<&str>) -> bool {
        let values = self.of(origin);
        match name {
            Some(name) => values.contains_key(name),
            None => !values.is_empty(),
        }
    }

    /// The values that are not to be seen, the longest first: one may be part of another.
    pub(crate) fn hidden(&self) -> Vec<&str> {
        let secrets = self.secrets.values().filter(|value| !value.is_empty());
        let env = self.env.values().filter(|value| value.len() >= MIN_HIDDEN);
        let mut hidden: Vec<&str> = secrets.chain(env).map(String::as_str).collect();
        hidden.sort_by_key(|value| std::cmp::Reverse(value.len()));
        hidden
    }

    /// `text` without any of the values.
    pub(crate) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        mask(&self.hidden(), text)
    }

    /// `value` without any of the values, at any depth.
    pub(crate) fn mask_value(&self, value: Value) -> Value {
        let hidden = self.hidden();
        match hidden.is_empty() {
            true => value,
            false => mask_value(&hidden, value),
        }
    }
}

fn mask<'t>(hidden: &[&str], text: &'t str) -> Cow<'t, str> {
    let mut masked = Cow::Borrowed(text);
    for value in hidden {
        if masked.contains(value) {
            masked = Cow::Owned(masked.replace(value, MASK));
        }
    }
    masked
}

fn mask_value(hidden: &[&str], value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(mask(hidden, &text).into_owned()),
        Value::Array(items) => {
            let masked = items.into_iter().map(|item| mask_value(hidden, item));
            masked.collect()
        }
        Value::Object(entries) => {
            let masked = entries
                .into_iter()
                .map(|(key, value)| (mask(hidden, &key).into_owned(), mask_value(hidden, value)));
            Value::Object(masked.collect())
        }
        other => other,
    }
}

impl fmt::Debug for Outside {
    /// Names, and no values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside")
            .field("secrets", &self.secrets.keys())
            .field("env", &self.env.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outside() -> Outside {
        let owned = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        Outside {
            secrets: owned(&[
                ("token", "s3cret"),
                ("short", "x1"),
                ("long", "s3cret-and-more"),
            ]),
            env: owned(&[("HOME", "/home/ann"), ("CI", "1")]),
        }
    }

    #[test]
    fn values_are_masked_wherever_they_are_in_a_text() {
        let text = "s3cret-and-more, s3cret and x1, in /home/ann/x, 1";
        assert_eq!(outside().mask(text), "***, *** and ***, in ***/x, 1");
        assert_eq!(Outside::default().mask(text), text);
    }

    #[test]
    fn values_are_masked_at_any_depth_and_in_keys() {
        let value = json!({"s3cret": [{"a": "is s3cret"}], "n": 1, "home": "/home/ann"});
        let masked = json!({"***": [{"a": "is ***"}], "n": 1, "home": "***"});
        assert_eq!(outside().mask_value(value), masked);
    }

    #[test]
    fn no_value_is_printed() {
        let shown = format!("{:?}", outside());
        assert!(
            shown.contains("token") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}

//! Host functions: Rust that scripts may call.

use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::codec;

/// A host function as the sandbox calls it: encoded arguments in, and what they may cost;
/// encoded result out.
type Erased = dyn Fn(&[u8], usize) -> Result<Vec<u8>, String> + Send + Sync;

/// The host functions of a pool; a function's number is its place.
#[derive(Default)]
pub(crate) struct Functions {
    entries: Vec<(String, Box<Erased>)>,
}

/// An empty array and null, encoded.
const NO_ARGUMENTS: &[u8] = &[0x90];
const NULL: &[u8] = &[0xc0];

/// How a host function ended that gave no result.
pub(crate) enum Failed {
    /// With a message for the script, which can catch it.
    Raised(String),
    /// It panicked: a fault of the host, which no script may carry on from.
    Panicked(String),
}

impl Functions {
    /// Adds `function` under `name`. Its arguments are read from an array, as a tuple is.
    pub(crate) fn add<A, R>(
        &mut self,
        name: String,
        function: impl Fn(A) -> Result<R, String> + Send + Sync + 'static,
    ) where
        A: DeserializeOwned,
        R: Serialize,
    {
        let erased = move |args: &[u8], max: usize| {
            let args = match codec::decode("args", args, max) {
                // No arguments are an empty array, which `()` doesn't take itself for.
                Err(_) if args == NO_ARGUMENTS => codec::decode("args", NULL, max),
                decoded => decoded,
            };
            let args = args.map_err(|error| error.to_string())?;
            let result = function(args)?;
            let mut encoded = Vec::new();
            codec::encode(&result, &mut encoded)
                .map_err(|error| format!("the result can't be passed to Lua: {error}"))?;
            Ok(encoded)
        };
        self.entries.push((name, Box::new(erased)));
    }

    /// Refuses names that can't be globals of their own.
    pub(crate) fn check(&self) -> crate::Result<()> {
        let mut seen = HashSet::new();
        for name in self.names() {
            let mut chars = name.chars();
            let starts = chars
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            if !starts || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(Error::setup(format_args!(
                    "a host function is named {name:?}, which no script could call; use \
                     letters, digits and underscores"
                )));
            }
            if !seen.insert(name) {
                return Err(Error::setup(format_args!(
                    "two host functions are named '{name}'"
                )));
            }
        }
        Ok(())
    }

    /// The names, in the order of the numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// Calls function `number` with arguments that cost `max` at the most; nothing that it does
    /// unwinds into the sandbox.
    pub(crate) fn call(&self, number: u32, args: &[u8], max: usize) -> Result<Vec<u8>, Failed> {
        let entry = usize::try_from(number)
            .ok()
            .and_then(|n| self.entries.get(n));
        let Some((name, function)) = entry else {
            return Err(Failed::Panicked(format!(
                "there is no host function {number}"
            )));
        };
        match panic::catch_unwind(AssertUnwindSafe(|| function(args, max))) {
            Ok(result) => result.map_err(|message| Failed::Raised(format!("{name}: {message}"))),
            Err(payload) => {
                let message = payload
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
                    .unwrap_or("no message");
                Err(Failed::Panicked(format!(
                    "host function '{name}' panicked: {message}"
                )))
            }
        }
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

//! Host functions: Rust that scripts may call.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::error::panic_message;
use crate::grants::driver::{Driver, Unfinished};
use crate::grants::host_call::HostCall;
use crate::grants::host_error::HostError;
use crate::{Error, Result};

/// A host function as the sandbox calls it: who calls, encoded arguments, and what they may
/// cost; encoded result out.
type Erased = dyn Fn(&HostCall, &Driver, &[u8], usize) -> Result<Vec<u8>, Failed> + Send + Sync;

/// The host functions of a pool; a function's number is its place.
#[derive(Default)]
pub(crate) struct Functions {
    entries: Vec<(String, Box<Erased>)>,
    numbers: HashMap<String, u32>,
    twice: Option<String>,
    driver: Driver,
}

/// How a host function ended that gave no result.
#[derive(Debug)]
pub(crate) enum Failed {
    /// With a message for the script, which can catch it.
    Raised(String),
    /// Its run's time was over, or the run was cancelled.
    Stopped,
    /// It panicked: a fault of the host, which no script may carry on from.
    Panicked {
        /// The function.
        function: String,
        /// The panic's message.
        message: String,
    },
}

impl From<HostError> for Failed {
    fn from(error: HostError) -> Failed {
        Failed::Raised(error.into_message())
    }
}

impl Functions {
    /// Adds `function` under `name`. Its arguments are read by [`codec::decode_arguments`].
    pub(crate) fn add<A, R>(
        &mut self,
        name: String,
        function: impl Fn(&HostCall, A) -> Result<R, HostError> + Send + Sync + 'static,
    ) where
        A: DeserializeOwned,
        R: Serialize,
    {
        self.push(
            name,
            Box::new(move |call, _, args, max| {
                let args = decode(args, max)?;
                encode(&function(call, args).map_err(Failed::from)?)
            }),
        );
    }

    /// Adds an async function.
    pub(crate) fn add_async<A, R, F>(
        &mut self,
        name: String,
        function: impl Fn(HostCall, A) -> F + Send + Sync + 'static,
    ) where
        A: DeserializeOwned,
        R: Serialize + Send + 'static,
        F: Future<Output = Result<R, HostError>> + Send + 'static,
    {
        let called = name.clone();
        self.push(
            name,
            Box::new(move |call, driver, args, max| {
                let future = function(call.clone(), decode(args, max)?);
                match driver.drive(call, future) {
                    Ok(result) => encode(&result.map_err(Failed::from)?),
                    Err(Unfinished::Stopped) => Err(Failed::Stopped),
                    Err(Unfinished::Panicked(message)) => Err(Failed::Panicked {
                        function: called.clone(),
                        message,
                    }),
                    Err(Unfinished::NoRuntime(why)) => {
                        Err(Failed::Raised(format!("it can't be awaited: {why}")))
                    }
                }
            }),
        );
    }

    fn push(&mut self, name: String, function: Box<Erased>) {
        let number = u32::try_from(self.entries.len()).expect("nobody has that many functions");
        if self.numbers.insert(name.clone(), number).is_some() {
            self.twice = Some(name.clone());
        }
        self.entries.push((name, function));
    }

    /// Async functions run on this runtime.
    pub(crate) fn drive_on(&mut self, handle: tokio::runtime::Handle) {
        self.driver = Driver::given(handle);
    }

    /// Refuses names that can't be globals of their own.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(name) = &self.twice {
            return Err(Error::setup(format_args!(
                "two host functions are named '{name}'"
            )));
        }
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
        }
        Ok(())
    }

    /// The names, in the order of the numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// The number of the function with this name.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name of function `number`.
    pub(crate) fn name(&self, number: u32) -> Option<&str> {
        let place = usize::try_from(number).ok()?;
        self.entries.get(place).map(|(name, _)| name.as_str())
    }

    /// Calls function `number`, which there is, with arguments that cost `max` at the most;
    /// nothing that it does unwinds into the sandbox.
    pub(crate) fn call(
        &self,
        number: u32,
        call: &HostCall,
        args: &[u8],
        max: usize,
    ) -> Result<Vec<u8>, Failed> {
        let (name, function) = &self.entries[number as usize];
        match panic::catch_unwind(AssertUnwindSafe(|| function(call, &self.driver, args, max))) {
            Ok(Err(Failed::Raised(message))) => Err(Failed::Raised(format!("{name}: {message}"))),
            Ok(result) => result,
            Err(payload) => Err(Failed::Panicked {
                function: name.clone(),
                message: panic_message(&*payload),
            }),
        }
    }
}

fn decode<A: DeserializeOwned>(args: &[u8], max: usize) -> Result<A, Failed> {
    codec::decode_arguments("args", args, max).map_err(|error| Failed::Raised(error.to_string()))
}

fn encode(result: &impl Serialize) -> Result<Vec<u8>, Failed> {
    let mut encoded = Vec::new();
    codec::encode("result", result, &mut encoded).map_err(Failed::Raised)?;
    Ok(encoded)
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

//! Host functions called from Rust, as a script would call them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::capability::Capability;
use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::grants::function::Failed;
use crate::grants::host_call::{CallKeys, HostCall};
use crate::instance::shared::Shared;
use crate::instance::stack;
use crate::run::options::RunOptions;
use crate::run::terms::refuse_journal;
use crate::sync::deadline::Deadline;

/// Calls the host function `name` with the elements of `args`, within `options`.
///
/// # Errors
///
/// As [`Pool::call_function`](crate::Pool::call_function).
pub(crate) fn call<A, R>(shared: &Shared, name: &str, args: &A, options: &RunOptions) -> Result<R>
where
    A: Serialize + ?Sized,
    R: DeserializeOwned,
{
    // Values are converted here as on the way into a sandbox.
    stack::with_room(|| call_here(shared, name, args, options))
}

fn call_here<A, R>(shared: &Shared, name: &str, args: &A, options: &RunOptions) -> Result<R>
where
    A: Serialize + ?Sized,
    R: DeserializeOwned,
{
    refuse_journal(options)?;
    let terms = shared.terms(options)?;
    let granted = terms.granted.as_deref().unwrap_or(&shared.granted);
    let Some(number) = granted.registry().number(name) else {
        return Err(Error::from(ErrorKind::NotCallable {
            message: format!("can't call '{name}': there is no such host function"),
        }));
    };
    if !granted.has_function(name) {
        return Err(Error::from(ErrorKind::Denied {
            capability: Capability::Function(name.to_owned()),
            message: format!("the host function '{name}' is not granted to this run"),
            at: None,
            traceback: None,
        }));
    }
    let wall = Deadline::after(terms.limits.wall);
    let call = HostCall {
        store_id: None,
        deadline: Deadline::earlier(terms.deadline, Some(wall)),
        cancels: [terms.cancel, None],
        key: terms.keys.as_ref().map(CallKeys::next),
    };
    if call.is_cancelled() || call.remaining().is_some_and(|left| left.is_zero()) {
        return Err(stopped(&call));
    }
    let mut encoded = Vec::new();
    codec::encode("args", args, &mut encoded)
        .map_err(|message| Error::from(ErrorKind::Argument { message }))?;
    let max = terms.limits.value;
    let failed = match granted.registry().call(number, &call, &encoded, max) {
        Ok(result) => {
            return codec::decode("result", &result, max).map_err(|error| {
                let message = error.to_string();
                ErrorKind::Mismatch { message }.into()
            });
        }
        Err(failed) => failed,
    };
    Err(Error::from(match failed {
        Failed::Raised(message) => ErrorKind::Script {
            message,
            at: None,
            traceback: None,
            value: None,
        },
        Failed::Stopped => return Err(stopped(&call)),
        Failed::Panicked { function, message } => ErrorKind::HostPanic { function, message },
    }))
}

/// What it means that `call` may not go on. No instance was involved that it could have ended.
fn stopped(call: &HostCall) -> Error {
    Error::from(if call.is_cancelled() {
        ErrorKind::Cancelled {
            at: None,
            begun: false,
        }
    } else {
        ErrorKind::Timeout {
            limit: call.deadline.and_then(|deadline| deadline.time()),
            at: None,
            begun: false,
        }
    })
}

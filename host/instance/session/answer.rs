//! Answers of the guest: values, and failures with what they mean for who asked.

use serde::de::DeserializeOwned;

use super::request::HEADROOM;
use crate::codec::{self, Unreadable};
use crate::error::ErrorKind;
use crate::run::limits::Limits;
use crate::store::context::Context;
use crate::wire::{Failure, FailureKind};
use crate::{Error, Result};

/// What it means that the script of the call under way failed: it may lack a capability.
pub(super) fn failed(
    context: &Context,
    failure: Failure,
    value: Option<serde_json::Value>,
) -> Error {
    if failure.kind == FailureKind::Runtime {
        let mut denials = context.call.denials.iter();
        if let Some(denial) = denials.find(|denial| failure.message.ends_with(&denial.message)) {
            let denial = denial.clone();
            return denial.into_error(failure.message, failure.traceback);
        }
        let missing = nil_global(&failure.message)
            .and_then(|name| Some((name, context.granted().missing_global(name)?)));
        if let Some((name, capability)) = missing {
            let message = format!(
                "{}; '{name}' needs the capability '{capability}', which was not granted",
                failure.message
            );
            return ErrorKind::Denied {
                capability,
                message,
                traceback: failure.traceback,
            }
            .into();
        }
    }
    Error::from_guest(failure, value, context.call.limits.memory)
}

/// The global that a script used though it is nil, by Lua's own words.
fn nil_global(message: &str) -> Option<&str> {
    let (_, used) = message.rsplit_once(" a nil value (global '")?;
    used.strip_suffix("')")
}

/// Reads the value of an answer.
pub(super) fn read_value<R: DeserializeOwned>(
    answer: &[u8],
    limits: &Limits,
) -> Result<R, Unreadable> {
    codec::decode("result", answer, limits.value)
}

/// Reads a failure, and the value behind it that the script raised, if there is one.
pub(super) fn read_failure(
    answer: &[u8],
    limits: &Limits,
) -> Result<(Failure, Option<serde_json::Value>), Unreadable> {
    let framed = answer.split_first_chunk::<4>().and_then(|(len, rest)| {
        rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
    });
    let (failure, value) =
        framed.ok_or_else(|| Unreadable::Malformed("the guest's error is cut off".into()))?;
    let failure = codec::decode("the guest's error", failure, HEADROOM)?;
    let value = (!value.is_empty())
        .then(|| codec::decode("the error's value", value, limits.value))
        .transpose()?;
    Ok((failure, value))
}

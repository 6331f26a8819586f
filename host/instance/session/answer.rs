//! Answers of the guest: values, and failures with what they mean for who asked.

use serde::de::DeserializeOwned;

use super::request::HEADROOM;
use crate::Error;
use crate::codec::{self, Unreadable};
use crate::run::limits::Limits;
use crate::store::context::Context;
use crate::wire::{Denied, Failure};

/// What it means that the script of the call under way failed: it may lack a capability. The guest
/// says what it was that was denied; only what is denied indeed counts.
pub(super) fn failed(
    context: &mut Context,
    mut failure: Failure,
    value: Option<serde_json::Value>,
) -> Error {
    let capability = match failure.denied.take() {
        Some(Denied::Refusal(number)) => {
            let mut denials = context.call.denials.iter();
            let denial = denials.find(|denial| denial.number == number);
            denial.map(|denial| denial.capability.clone())
        }
        Some(Denied::Global(name)) => {
            let capability = context.missing_global(&name);
            if let Some(capability) = &capability {
                let needs = format!(
                    "; '{name}' needs the capability '{capability}', which was not granted"
                );
                failure.message.push_str(&needs);
            }
            capability
        }
        None => None,
    };
    Error::from_guest(failure, value, capability, context.call.limits.memory)
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

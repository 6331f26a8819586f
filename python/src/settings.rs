//! Keyword arguments as the library's settings.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use moonfork::{
    Access, Amount, Clock, Folder, Grants, Limit, Limits, PartialLimits, RunOptions, Unit,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use serde_json::Value;

use crate::calls::Ended;
use crate::errors::exception;
use crate::value::{ToLua, take_fault};

/// Limits, as far as they are given.
#[derive(Default)]
pub(crate) struct SomeLimits(PartialLimits);

impl SomeLimits {
    /// Takes `name` if it is the name of a limit.
    pub(crate) fn take(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(&limit) = Limit::ALL.iter().find(|limit| limit.name() == name) else {
            return Ok(false);
        };
        let amount = match limit.unit() {
            Unit::Time => Amount::Time(duration(name, value)?),
            Unit::Bytes => Amount::Bytes(bytes(name, value)? as u64),
            _ => Amount::Count(whole(name, value)?),
        };
        let set = self.0.set(limit, amount);
        set.map_err(|error| PyValueError::new_err(format!("{name}: {error}")))?;
        Ok(true)
    }

    /// All limits, where those that aren't given are `others`.
    pub(crate) fn or(&self, others: Limits) -> Limits {
        others.with(&self.0)
    }

    /// Narrows `options` by what is given.
    pub(crate) fn narrow(&self, options: RunOptions) -> RunOptions {
        options.limits(self.0)
    }

    /// Whether fuel is among them.
    pub(crate) fn has_fuel(&self) -> bool {
        self.0.fuel.is_some()
    }
}

/// Grants as they are asked for; what isn't mentioned stays as it is elsewhere.
#[derive(Default)]
pub(crate) struct SomeGrants {
    functions: Option<Vec<String>>,
    modules: Option<Vec<String>>,
    clock: Option<Option<Clock>>,
    seed: Option<u64>,
    variables: Option<Vec<(String, Value)>>,
    folders: Option<Vec<(String, Folder)>>,
}

impl SomeGrants {
    /// Takes `name` if it is the name of a grant.
    pub(crate) fn take(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        match name {
            "functions" => self.functions = Some(names(name, value)?),
            "modules" => self.modules = Some(names(name, value)?),
            _ => return self.take_values(name, value),
        }
        Ok(true)
    }

    /// As [`take`](Self::take), but for what a pool is given whole: functions and modules.
    pub(crate) fn take_values(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        match name {
            "clock" => self.clock = Some(clock(value)?),
            "seed" => self.seed = Some(whole(name, value)?),
            "variables" => self.variables = Some(variables(value)?),
            "folders" => self.folders = Some(folders(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether anything is asked for.
    pub(crate) fn is_some(&self) -> bool {
        self.functions.is_some()
            || self.modules.is_some()
            || self.clock.is_some()
            || self.seed.is_some()
            || self.variables.is_some()
            || self.folders.is_some()
    }

    /// What is asked for, and what `pool` grants where nothing is said.
    pub(crate) fn or(&self, pool: &moonfork::Pool) -> Grants {
        let others = pool.grants();
        let mut grants = Grants::none().output_of(others);
        grants = match &self.functions {
            Some(names) => names
                .iter()
                .fold(grants, |grants, name| grants.function(name)),
            None => pool
                .function_names()
                .filter(|name| others.grants_function(name))
                .fold(grants, |grants, name| grants.function(name)),
        };
        grants = match &self.modules {
            Some(names) => names
                .iter()
                .fold(grants, |grants, name| grants.module(name)),
            None => pool
                .module_names()
                .filter(|name| others.grants_module(name))
                .fold(grants, |grants, name| grants.module(name)),
        };
        self.rest_or(grants, others)
    }

    /// `grants`, and besides functions and modules what is asked for, or what `others` has.
    pub(crate) fn rest_or(&self, grants: Grants, others: &Grants) -> Grants {
        let mut grants = grants;
        let clock = match &self.clock {
            Some(clock) => clock.as_ref(),
            None => others.granted_clock(),
        };
        if let Some(clock) = clock {
            grants = grants.clock(clock.clone());
        }
        if let Some(seed) = self.seed.or_else(|| others.granted_seed()) {
            grants = grants.seed(seed);
        }
        grants = match &self.variables {
            Some(variables) => variables.iter().fold(grants, |grants, (name, value)| {
                grants.variable(name, value.clone())
            }),
            None => others
                .granted_variables()
                .iter()
                .fold(grants, |grants, (name, value)| {
                    grants.variable(name, value.clone())
                }),
        };
        match &self.folders {
            Some(folders) => folders.iter().fold(grants, |grants, (name, folder)| {
                grants.folder(name, folder.clone())
            }),
            None => others
                .granted_folders()
                .iter()
                .fold(grants, |grants, (name, folder)| {
                    grants.folder(name, folder.clone())
                }),
        }
    }
}

/// Keyword arguments of a run: limits and grants.
///
/// # Errors
///
/// `TypeError` for a name that is neither, and for values that don't fit.
pub(crate) fn run_options(
    pool: &moonfork::Pool,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<RunOptions> {
    let Some(keywords) = keywords else {
        return Ok(RunOptions::new());
    };
    let (mut limits, mut grants) = (SomeLimits::default(), SomeGrants::default());
    for (name, value) in keywords {
        let name = name.cast::<PyString>()?.to_str()?.to_owned();
        if value.is_none() {
            continue;
        }
        if !limits.take(&name, &value)? && !grants.take(&name, &value)? {
            return Err(unexpected(&name));
        }
    }
    let options = limits.narrow(RunOptions::new());
    Ok(if grants.is_some() {
        options.grants(grants.or(pool))
    } else {
        options
    })
}

/// That a keyword argument isn't known.
pub(crate) fn unexpected(name: &str) -> PyErr {
    unexpected_beside(
        name,
        "limits are wall, fuel, memory, output, host_calls, value, depth",
    )
}

/// As [`unexpected`], where there are others than limits beside grants.
pub(crate) fn unexpected_beside(name: &str, others: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "unexpected keyword argument '{name}'; {others}; grants are functions, modules, clock, \
         seed, variables, folders"
    ))
}

/// Seconds as a number, or a `timedelta`.
pub(crate) fn duration(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let refused = || {
        PyTypeError::new_err(format!(
            "{name} must be a number of seconds or a timedelta, not {value:?}"
        ))
    };
    if let Ok(duration) = value.extract::<Duration>() {
        return Ok(duration);
    }
    let seconds: f64 = value.extract().map_err(|_| refused())?;
    if seconds == f64::INFINITY {
        return Ok(Duration::MAX);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!(
            "{name} must be a positive number of seconds, not {seconds}"
        ))
    })
}

/// A number of bytes, or a text such as `16MiB`.
pub(crate) fn bytes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<usize> {
    let Ok(text) = value.cast::<PyString>() else {
        return whole(name, value);
    };
    let text = text.to_str()?;
    let size: ByteSize = text.parse().map_err(|_| {
        PyValueError::new_err(format!(
            "{name} must be a number of bytes or a text such as '16MiB', not {text:?}"
        ))
    })?;
    usize::try_from(size.as_u64())
        .map_err(|_| PyValueError::new_err(format!("{name} is more than this machine can address")))
}

/// A whole number that isn't negative.
pub(crate) fn whole<T: TryFrom<u64>>(name: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    if value.cast::<PyBool>().is_ok() || !value.hasattr("__index__")? {
        return Err(PyTypeError::new_err(format!(
            "{name} must be a whole number, not {value:?}"
        )));
    }
    let number = value.extract::<u64>().ok();
    number
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| {
            PyValueError::new_err(format!(
                "{name} is out of range: it must be a whole number from 0 to 2**{} - 1, not {value:?}",
                8 * size_of::<T>()
            ))
        })
}

/// A whole number from 1 on.
pub(crate) fn count(name: &str, value: &Bound<'_, PyAny>) -> PyResult<NonZeroUsize> {
    NonZeroUsize::new(whole(name, value)?)
        .ok_or_else(|| PyValueError::new_err(format!("{name} must be at least 1, not 0")))
}

/// Names of what a pool has.
fn names(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    names_of(
        name,
        value,
        "that the pool has",
        "; what they are is given to the pool",
    )
}

/// A list of names, which are `what` in the message.
pub(crate) fn names_of(
    name: &str,
    value: &Bound<'_, PyAny>,
    what: &str,
    hint: &str,
) -> PyResult<Vec<String>> {
    let refused = || {
        PyTypeError::new_err(format!(
            "{name} must be a list of names {what}, not {value:?}{hint}"
        ))
    };
    if value.cast::<PyString>().is_ok() || value.cast::<PyDict>().is_ok() {
        return Err(refused());
    }
    let items = value.try_iter().map_err(|_| refused())?;
    items
        .map(|item| item?.extract().map_err(|_| refused()))
        .collect()
}

fn clock(value: &Bound<'_, PyAny>) -> PyResult<Option<Clock>> {
    if let Ok(granted) = value.cast::<PyBool>() {
        return Ok(granted.is_true().then(Clock::system));
    }
    if let Ok(fixed) = value.extract::<f64>() {
        return Duration::try_from_secs_f64(fixed)
            .map(|fixed| Some(Clock::fixed(fixed)))
            .map_err(|_| PyValueError::new_err("clock must be seconds since 1970"));
    }
    Err(PyTypeError::new_err(format!(
        "clock must be True, False, or a time in seconds since 1970, not {value:?}"
    )))
}

fn variables(value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Value)>> {
    let Ok(dict) = value.cast::<PyDict>() else {
        return Err(PyTypeError::new_err(format!(
            "variables must be a dict, not {value:?}"
        )));
    };
    dict.iter()
        .map(|(name, value)| {
            let name: String = name.extract()?;
            let value = serde_json::to_value(ToLua::new(&value)).map_err(|error| {
                take_fault(&format!("variables.{name}"))
                    .unwrap_or_else(|| PyValueError::new_err(format!("variables.{name}: {error}")))
            })?;
            Ok((name, value))
        })
        .collect()
}

fn folders(value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Folder)>> {
    let Ok(dict) = value.cast::<PyDict>() else {
        return Err(PyTypeError::new_err(format!(
            "folders must be a dict of name to path, or to (path, 'rw'), not {value:?}"
        )));
    };
    dict.iter()
        .map(|(name, value)| {
            let (path, access): (PathBuf, String) = match value.extract() {
                Ok(both) => both,
                Err(_) => (value.extract()?, "r".to_owned()),
            };
            let access = match &*access {
                "r" => Access::ReadOnly,
                "rw" => Access::ReadWrite,
                other => {
                    return Err(PyValueError::new_err(format!(
                        "the access of a folder must be 'r' or 'rw', not {other:?}"
                    )));
                }
            };
            let folder = Folder::open(path, access).map_err(|error| {
                exception(value.py(), &error, None, Ended::with_nothing("folders"))
            })?;
            Ok((name.extract()?, folder))
        })
        .collect()
}

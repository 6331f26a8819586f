//! What one run may do that its pool lets every run do: less, as a rule.

use std::sync::Arc;
use std::time::Duration;

use crate::grants::Grants;
use crate::grants::host_call::CallKeys;
use crate::run::limits::{Limits, PartialLimits, table};
use crate::sync::cancel::Cancel;
use crate::sync::deadline::Deadline;
use crate::sync::monitor::Until;
use crate::{Error, Result};

/// How long to wait for an instance: see [`Pool::branch_for`](crate::Pool::branch_for).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Wait {
    deadline: Option<Deadline>,
    cancel: Option<Cancel>,
}

impl Wait {
    /// As long as the pool lets anybody wait.
    pub fn new() -> Wait {
        Wait::default()
    }

    /// When waiting must have ended.
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.deadline = Some(deadline.into());
        self
    }

    /// Ends waiting when it is fired.
    pub fn cancel_handle(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// When waiting must have ended.
    #[cfg(feature = "plugin")]
    pub(crate) fn get_deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    pub(crate) fn until(&self) -> Until<'_> {
        Until {
            patience: None,
            deadline: self.deadline,
            cancel: self.cancel.as_ref(),
        }
    }
}

/// Settings of one run: limits narrower than the pool's, a deadline, a way to stop it, and what
/// it is granted.
///
/// Given to an instance when it is made ([`Pool::branch_with`](crate::Pool::branch_with)), they
/// hold for all its calls; given to some calls ([`Branch::with`](crate::Branch::with)), for
/// those, on top of the instance's own.
///
/// ```
/// use std::time::Duration;
/// use moonfork::{Pool, RunOptions};
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// let mut branch = pool.branch_with(&RunOptions::new().memory(16 << 20))?;
/// let quick = RunOptions::new().wall(Duration::from_millis(300));
/// let error = branch.with(&quick).eval::<()>("while true do end").unwrap_err();
/// assert!(error.is_timeout());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RunOptions {
    limits: PartialLimits,
    deadline: Option<Deadline>,
    cancel: Option<Cancel>,
    grants: Option<Grants>,
    journal: Option<usize>,
    keys: Option<Arc<CallKeys>>,
}

macro_rules! setters {
    ($(
        $(#[$doc:meta])*
        $field:ident $limit:ident: $type:ty { $($about:tt)* }
    )*) => {
        impl RunOptions {
            $(
                #[doc = concat!("[`Limits::", stringify!($field), "`](crate::Limits::", stringify!($field), ") of each call.")]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.limits.$field = Some($field);
                    self
                }
            )*
        }
    };
}

table!(setters);

impl RunOptions {
    /// Nothing narrower than what the pool has.
    pub fn new() -> RunOptions {
        RunOptions::default()
    }

    /// All of these limits, in place of any that were set before.
    pub fn limits(self, limits: impl Into<PartialLimits>) -> Self {
        RunOptions {
            limits: limits.into(),
            ..self
        }
    }

    /// When all calls together must have ended: a moment, or a [`Deadline`], whose time errors
    /// tell as it was given. A call under way is then stopped as by [`wall`](Self::wall). Waiting
    /// for an instance ends then as well.
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.deadline = Some(deadline.into());
        self
    }

    /// Stops the run when it is fired: its calls, and its wait for an instance.
    pub fn cancel_handle(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// What the instance may do besides computing: when it is made, in place of what the pool
    /// grants; for some calls, a part of what the instance was granted.
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = Some(grants);
        self
    }

    /// Has the instance keep a journal of its calls, of at most about so many bytes
    /// ([`Journal::BYTES`](crate::Journal::BYTES) is a good number): see
    /// [`Branch::take_journal`](crate::Branch::take_journal). What there is no room for isn't in it, and it says so.
    ///
    /// Asked for when the instance is made. It costs a copy of what passes between the host and the instance; of its
    /// memory, where it is a fork or begins with a snapshot; and chunks that come again are compiled again.
    pub fn journal(mut self, bytes: usize) -> Self {
        self.journal = Some(bytes);
        self
    }

    /// What calls of host functions go by that are made under these options, with the number of each behind it, from zero:
    /// see [`HostCall::idempotency_key`](crate::HostCall::idempotency_key). Clones of the options go on with
    /// the same numbers; so make new ones, with the same text, for what is done again.
    ///
    /// ```
    /// use moonfork::{Grants, HostCall, Pool, RunOptions};
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder()
    ///     .function_with("charge", |call: &HostCall, (): ()| Ok(call.idempotency_key()))
    ///     .grants(Grants::none().all_functions())
    ///     .build()?;
    /// for _ in 0..2 {
    ///     let options = RunOptions::new().idempotency_key("order-17");
    ///     let keys: (String, String) = pool.branch_with(&options)?.eval("return {charge(), charge()}")?;
    ///     assert_eq!(keys, ("order-17-0".to_owned(), "order-17-1".to_owned()));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.keys = Some(Arc::new(CallKeys::new(key.into())));
        self
    }

    /// For a run that ends when waiting for its instance would have.
    #[cfg(feature = "plugin")]
    pub(crate) fn within(wait: &Wait) -> RunOptions {
        RunOptions {
            deadline: wait.deadline,
            cancel: wait.cancel.clone(),
            ..RunOptions::default()
        }
    }

    pub(crate) fn get_deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    pub(crate) fn get_cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    pub(crate) fn get_journal(&self) -> Option<usize> {
        self.journal
    }

    pub(crate) fn get_keys(&self) -> Option<&Arc<CallKeys>> {
        self.keys.as_ref()
    }

    pub(crate) fn get_grants(&self) -> Option<&Grants> {
        self.grants.as_ref()
    }

    /// `limits` with what is narrower here.
    ///
    /// # Errors
    ///
    /// `Options` for what is wider here, and for limits that can't be kept.
    pub(crate) fn narrow(&self, limits: &Limits, metered: bool) -> Result<Limits> {
        if self.limits == PartialLimits::default() {
            return Ok(*limits);
        }
        let narrowed = limits.narrowed(&self.limits);
        let narrowed = narrowed.map_err(|(limit, asked, given)| {
            Error::options(format_args!(
                "the limit `{}` is {asked}, more than the {given} that it is part of; limits can \
                 only be narrowed",
                limit.name()
            ))
        })?;
        narrowed.check(metered).map_err(Error::options)?;
        Ok(narrowed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn narrower_limits_hold() {
        let options = RunOptions::new().memory(8 << 20).host_calls(0).depth(1);
        let narrowed = options.narrow(&Limits::default(), false).unwrap();
        assert_eq!(
            (narrowed.memory, narrowed.host_calls, narrowed.depth),
            (8 << 20, 0, 1)
        );
        assert_eq!(narrowed.wall, Limits::default().wall);
    }

    #[test]
    fn wider_limits_are_refused() {
        for (name, options) in [
            ("wall", RunOptions::new().wall(Duration::from_secs(31))),
            ("memory", RunOptions::new().memory(65 << 20)),
            ("output", RunOptions::new().output(2 << 20)),
            ("host_calls", RunOptions::new().host_calls(100_001)),
            ("value", RunOptions::new().value(65 << 20)),
            ("depth", RunOptions::new().depth(101)),
        ] {
            let error = options.narrow(&Limits::default(), false).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn limits_that_nothing_could_keep_are_refused() {
        for options in [
            RunOptions::new().wall(Duration::ZERO),
            RunOptions::new().memory(1),
            RunOptions::new().value(1),
            RunOptions::new().depth(0),
        ] {
            assert!(options.narrow(&Limits::default(), false).is_err());
        }
    }

    #[test]
    fn fuel_needs_a_meter() {
        let options = RunOptions::new().fuel(1000);
        assert!(options.narrow(&Limits::default(), false).is_err());
        let narrowed = options.narrow(&Limits::default(), true).unwrap();
        assert_eq!(narrowed.fuel, 1000);
        assert!(
            RunOptions::new()
                .fuel(1001)
                .narrow(&narrowed, true)
                .is_err()
        );
    }
}

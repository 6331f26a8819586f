//! Options of a run that were checked, with what they leave of the pool's.

use std::sync::Arc;
use std::time::Instant;

use crate::Cancel;
use crate::grants::Granted;
use crate::run::limits::Limits;

/// What an instance may do, or some of its calls: options that were checked.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) limits: Limits,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: Option<Cancel>,
    /// Of some calls: `None` where they may do all that the instance may.
    pub(crate) granted: Option<Arc<Granted>>,
}

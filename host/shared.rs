//! What all instances of a pool have in common. Main is not part of it: what an instance can
//! reach never leads to another instance.

use std::hash::RandomState;
use std::sync::Arc;

use crate::function::Functions;
use crate::image::Image;
use crate::limits::Limits;

/// The shared parts of a pool.
pub(crate) struct Shared {
    pub(crate) image: Image,
    pub(crate) limits: Limits,
    pub(crate) functions: Arc<Functions>,
    /// What the random numbers of its instances come from: keyed afresh for each pool.
    pub(crate) random: RandomState,
}

//! A value that knows where it was written.

use serde::Serialize;

use crate::diagnostics::Place;

/// A value and where it was written.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    #[serde(skip)]
    pub(crate) place: Place,
}

impl PartialEq for Spanned<String> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Spanned<String> {}

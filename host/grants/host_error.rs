//! Why a host function failed.

use std::fmt;

/// Why a host function failed: a message, which the script gets as an error that it can catch,
/// behind the function's name.
///
/// Any type that can be displayed becomes one, so that `?` works for every error, and `.into()` for
/// a text. Where the type shows what caused it in its alternate form (`{:#}`), as `anyhow::Error`
/// does, that is in the message too.
///
/// ```
/// use moonfork::{Grants, HostError, Pool};
///
/// # fn main() -> moonfork::Result<()> {
/// fn port(text: &str) -> Result<u16, HostError> {
///     match text.parse()? {
///         0 => Err("no port has the number 0".into()),
///         port => Ok(port),
///     }
/// }
///
/// let pool = Pool::builder()
///     .function("port", |text: String| port(&text))
///     .grants(Grants::none().all_functions())
///     .build()?;
/// let mut branch = pool.branch()?;
/// assert_eq!(branch.eval::<u16>("return port('80')")?, 80);
/// let caught: String = branch.eval("return select(2, pcall(port, 'http'))")?;
/// assert!(caught.contains("port: invalid digit found in string"));
/// # Ok(())
/// # }
/// ```
// It can't be displayed itself: then `From` would be there twice for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError(String);

impl HostError {
    /// What the script is told, without the function's name.
    pub fn message(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_message(self) -> String {
        self.0
    }
}

impl<E: fmt::Display> From<E> for HostError {
    fn from(error: E) -> HostError {
        HostError(format!("{error:#}"))
    }
}

//! The world outside of the virtual machine.

use crate::wire::Service;

/// Why the world didn't do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the script is to see.
    pub message: String,
    /// The number of the refusal, where it wasn't granted.
    pub denied: Option<u32>,
}

impl From<String> for Refused {
    fn from(message: String) -> Refused {
        Refused {
            message,
            denied: None,
        }
    }
}

/// What the virtual machine can ask of the world: in the guest module these are imports.
pub trait Host {
    /// Takes text that a script printed.
    fn print(&self, text: &[u8]);

    /// Calls host function number `function` with an encoded array of arguments.
    ///
    /// # Errors
    ///
    /// When it fails, or isn't granted.
    fn call(&self, function: u32, args: &[u8]) -> Result<Vec<u8>, Refused>;

    /// Asks for one of the services that the guest's own libraries are made of; nothing, where
    /// the service has nothing to give.
    ///
    /// # Errors
    ///
    /// When it fails, or isn't granted.
    fn ask(
        &self,
        service: Service,
        subject: &[u8],
        content: &[u8],
    ) -> Result<Option<Vec<u8>>, Refused>;
}

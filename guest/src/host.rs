//! The world outside of the virtual machine.

use crate::wire::Service;

/// What the virtual machine can ask of the world: in the guest module these are imports.
pub trait Host {
    /// Takes text that a script printed.
    fn print(&self, text: &[u8]);

    /// Calls host function number `function` with an encoded array of arguments.
    ///
    /// # Errors
    ///
    /// With the message that the script is to see.
    fn call(&self, function: u32, args: &[u8]) -> Result<Vec<u8>, String>;

    /// Asks for one of the services that the guest's own libraries are made of; nothing, where
    /// the service has nothing to give.
    ///
    /// # Errors
    ///
    /// With the message that the script is to see.
    fn ask(
        &self,
        service: Service,
        subject: &[u8],
        content: &[u8],
    ) -> Result<Option<Vec<u8>>, String>;
}

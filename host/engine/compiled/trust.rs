//! Whether anybody but this user, or root, could have written a file or its folder.

use std::io;

use cap_std::fs::Metadata;

/// Refuses what others may have written.
///
/// # Errors
///
/// When it belongs to another user than this one or root, or others may write to it. (What access
/// control lists allow shows in the group's bits.)
#[cfg(unix)]
pub(crate) fn check(what: &str, metadata: &Metadata) -> io::Result<()> {
    use cap_std::fs::MetadataExt;
    const ROOT: u32 = 0;
    const OTHERS_MAY_WRITE: u32 = 0o022;
    let user = rustix::process::geteuid().as_raw();
    if ![ROOT, user].contains(&metadata.uid()) {
        return Err(io::Error::other(format!(
            "{what} belongs to another user (number {}), who could make it run anything",
            metadata.uid()
        )));
    }
    if metadata.mode() & OTHERS_MAY_WRITE != 0 {
        return Err(io::Error::other(format!(
            "others may write to {what}, and could make it run anything (chmod go-w)"
        )));
    }
    Ok(())
}

/// Elsewhere there is no such look: a user's own folders are private there by default.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub(crate) fn check(_what: &str, _metadata: &Metadata) -> io::Result<()> {
    Ok(())
}

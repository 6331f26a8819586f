//! What to do about what was not granted.

use moonfork::{Access, Capability, Error};

/// The flag that would grant what a script was denied, where there is one.
pub(super) fn of_error(error: &Error) -> Option<String> {
    error.capability().and_then(to_grant)
}

/// How to grant a capability, by which flag, where there is one.
pub(super) fn to_grant(capability: &Capability) -> Option<String> {
    let flag = match capability {
        Capability::Clock => "--clock".to_owned(),
        Capability::Modules => "--module NAME=FILE".to_owned(),
        Capability::Module(name) => format!("--module {name}=FILE"),
        Capability::Folders => "--folder NAME=PATH".to_owned(),
        Capability::Folder { name, access, .. } => match access {
            Access::ReadOnly => format!("--folder {name}=PATH"),
            Access::ReadWrite => format!("--folder {name}=PATH:rw"),
        },
        Capability::Function(name) => match name.as_str() {
            "read_file" | "run_json_lines" => "--folder NAME=PATH".to_owned(),
            "write_file" => "--folder NAME=PATH:rw".to_owned(),
            _ => return None,
        },
        Capability::Secret(name) => format!("--secret {name}=@FILE"),
        Capability::Env(name) => format!("--env {name}"),
        _ => return None,
    };
    Some(format!("{flag} grants it"))
}

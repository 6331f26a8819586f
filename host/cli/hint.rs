//! What to do about what was not granted.

use moonfork::{Error, ErrorKind};

/// The flag that would grant what a script was denied, where there is one.
pub(super) fn to_grant(error: &Error) -> Option<String> {
    let ErrorKind::Denied { capability, .. } = error.kind() else {
        return None;
    };
    let capability = capability.to_string();
    let (kind, name) = capability.split_once(' ').unwrap_or((&capability, ""));
    let named = |fallback: &'static str| match name {
        "" => fallback.to_owned(),
        name => name.to_owned(),
    };
    let flag = match kind {
        "clock" => "--clock".to_owned(),
        "module" | "modules" => format!("--module {}=FILE", named("NAME")),
        "folder" | "folders" => match name.strip_suffix(" read-write") {
            Some(name) => format!("--folder {name}=PATH:rw"),
            None => format!("--folder {}=PATH", named("NAME")),
        },
        "function" => match name {
            "read_file" | "run_json_lines" => "--folder NAME=PATH".to_owned(),
            "write_file" => "--folder NAME=PATH:rw".to_owned(),
            _ => return None,
        },
        _ => return None,
    };
    Some(format!("{flag} grants it"))
}

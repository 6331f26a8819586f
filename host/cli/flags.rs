//! What was said on the command line, to be said once more.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches};

/// The flags that were given of those that `command` takes, but for those in `without`, as words.
pub(super) fn given(
    command: &clap::Command,
    matches: &ArgMatches,
    without: &[&str],
) -> Vec<OsString> {
    let mut flags = Vec::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let is_known = matches.try_contains_id(id).is_ok_and(|is_there| is_there);
        let Some(long) = arg.get_long().filter(|_| is_known) else {
            continue;
        };
        if without.contains(&id) || matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let flag = OsString::from(format!("--{long}"));
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            flags.push(flag);
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            flags.push(flag.clone());
            flags.push(value.to_owned());
        }
    }
    flags
}

//! Whether a plugin's Lua is what its manifest says, found out in a sandbox.

use serde::de::IgnoredAny;

use super::source::{File, Source};
use crate::diagnostics::{Code, Place, Problem, Problems};
use crate::{Chunk, Error, Grants, Pool, Report, Result, RunOptions};

/// The types of the values at dotted paths, as a call looks for them.
const TYPES: &str = "\
local types = {}
for i, path in ipairs(state) do
  local value = _G
  for key in string.gmatch(path, '[^.]+') do
    if type(value) ~= 'table' then value = nil break end
    value = value[key]
  end
  types[i] = type(value)
end
return types";

/// Reports what is wrong with the Lua of a plugin: a module that doesn't parse, an entry
/// that fails, an exported function that isn't there. Runs the entry, on the plugin's own
/// terms, and says what that took, unless it failed.
pub(super) fn check(
    source: &Source,
    options: &RunOptions,
    pool: &Pool,
    problems: &mut Problems,
) -> Option<Report> {
    let before = problems.count();
    if let Err(error) = check_modules(source, pool, problems) {
        fail(source, &error, "the modules can't be checked", problems);
    }
    // What an entry says when a module of its own doesn't parse is nothing new.
    if problems.count() > before {
        return None;
    }
    check_entry(source, options, pool, problems).unwrap_or_else(|error| {
        fail(source, &error, "the entry can't be checked", problems);
        None
    })
}

fn check_modules(source: &Source, pool: &Pool, problems: &mut Problems) -> Result<()> {
    if source.modules.is_empty() {
        return Ok(());
    }
    /// Nobody sees it: each problem names its file.
    const CHUNK: &str = "module";

    let mut parser = pool.branch_with(&RunOptions::new().grants(Grants::none()))?;
    for (name, file) in &source.modules {
        let chunk = Chunk::body(&*file.text).named(CHUNK);
        let error = match parser.check(chunk) {
            Err(error) if error.is_syntax() => error,
            other => {
                other?;
                continue;
            }
        };
        let what = format!("the module `{name}` doesn't parse");
        in_lua(Code::LuaSyntax, file, CHUNK, &what, &error, problems);
    }
    Ok(())
}

fn check_entry(
    source: &Source,
    options: &RunOptions,
    pool: &Pool,
    problems: &mut Problems,
) -> Result<Option<Report>> {
    let mut branch = pool.branch_with(options)?;
    let chunk = Chunk::body(&*source.entry.text).named(source.chunk_name());
    if let Err(error) = branch.eval::<IgnoredAny>(chunk) {
        let (code, what) = if error.is_syntax() {
            (Code::LuaSyntax, "the entry doesn't parse")
        } else {
            (Code::EntryFailed, "the entry fails")
        };
        let problem = in_lua(
            code,
            &source.entry,
            &source.chunk_name(),
            what,
            &error,
            problems,
        );
        if error.is_value() || error.is_mismatch() {
            problem.with_hint("exported functions are globals; the entry returns nothing");
        } else if error.is_denied() {
            problem.with_hint("the manifest's `wants` says what the plugin may use");
        }
        return Ok(None);
    }
    let report = branch.take_report();
    let exports: Vec<&String> = source.manifest.exports.keys().collect();
    let types: Vec<String> = branch.eval_with(Chunk::body(TYPES), &exports)?;
    for (name, found) in exports.iter().zip(types) {
        if found == "function" {
            continue;
        }
        let message = match found.as_str() {
            "nil" => format!("the plugin exports `{name}`, and its entry defines no such function"),
            found => format!("the plugin exports `{name}`, which is a {found} value"),
        };
        let place = source.places.of(&format!("exports.{name}"));
        let problem = problems.error_in(&source.manifest_file, Code::ExportMissing, place, message);
        if found == "nil" {
            problem.with_hint("exported functions are globals, so not `local` ones");
        }
    }
    Ok(Some(report))
}

/// An error of the check itself, or of the sandbox.
fn fail(source: &Source, error: &Error, what: &str, problems: &mut Problems) {
    let message = format!("{what}: {error}");
    problems.error_in(
        &source.manifest_file,
        Code::EntryFailed,
        source.places.of("entry"),
        message,
    );
}

/// A problem that `error` says, at its line of `file` if it is about one of that chunk.
fn in_lua<'p>(
    code: Code,
    file: &File,
    chunk: &str,
    what: &str,
    error: &Error,
    problems: &'p mut Problems,
) -> &'p mut Problem {
    match error.position() {
        Some(position) if position.chunk == chunk => {
            let place = usize::try_from(position.line).ok().map(Place::line);
            let message = format!("{what}: {}", error.bare_message());
            problems.error_in(&file.path, code, place, message)
        }
        _ => problems.error_in(&file.path, code, None, format!("{what}: {error}")),
    }
}

//! Whether a plugin's Lua is what its manifest says, found out in a sandbox.

use serde::Serialize;
use serde::de::IgnoredAny;

use super::source::{File, Source};
use crate::diagnostics::{Code, Place, Problem, Problems};
use crate::{Chunk, Error, Grants, Pool, Result, RunOptions};

/// Parses a text as a chunk, and gives Lua's message if it isn't one.
const PARSE: &str = "\
local chunk, message = load(state.text, '=' .. state.name, 't')
return message";

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
/// terms.
pub(super) fn check(source: &Source, options: &RunOptions, pool: &Pool, problems: &mut Problems) {
    let before = problems.count();
    if let Err(error) = check_modules(source, pool, problems) {
        fail(source, &error, "the modules can't be checked", problems);
    }
    // What an entry says when a module of its own doesn't parse is nothing new.
    if problems.count() == before
        && let Err(error) = check_entry(source, options, pool, problems)
    {
        fail(source, &error, "the entry can't be checked", problems);
    }
}

fn check_modules(source: &Source, pool: &Pool, problems: &mut Problems) -> Result<()> {
    #[derive(Serialize)]
    struct Module<'m> {
        name: &'m str,
        text: &'m str,
    }
    if source.modules.is_empty() {
        return Ok(());
    }
    let mut parser = pool.branch_with(&RunOptions::new().grants(Grants::none()))?;
    for (name, file) in &source.modules {
        let module = Module {
            name: "module",
            text: &file.text,
        };
        let message: Option<String> = parser.eval_with(Chunk::body(PARSE), &module)?;
        if let Some(message) = message {
            let what = format!("the module `{name}` doesn't parse");
            in_lua(Code::LuaSyntax, file, "module", &what, &message, problems);
        }
    }
    Ok(())
}

fn check_entry(
    source: &Source,
    options: &RunOptions,
    pool: &Pool,
    problems: &mut Problems,
) -> Result<()> {
    let mut branch = pool.branch_with(options)?;
    let chunk = Chunk::body(&*source.entry.text).named(source.chunk_name());
    if let Err(error) = branch.eval::<IgnoredAny>(chunk) {
        let (code, what) = if error.is_syntax() {
            (Code::LuaSyntax, "the entry doesn't parse")
        } else {
            (Code::EntryFailed, "the entry fails")
        };
        let name = source.chunk_name();
        // What was stopped says where it was behind its message.
        let message = match error.site() {
            Some(site) => format!("{}: {error}", site.position),
            None => error.to_string(),
        };
        let problem = in_lua(code, &source.entry, &name, what, &message, problems);
        if error.is_value() {
            problem.with_hint("exported functions are globals; the entry returns nothing");
        } else if error.is_denied() {
            problem.with_hint("the manifest's `wants` says what the plugin may use");
        }
        return Ok(());
    }
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
    Ok(())
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

/// A problem at the line of `file` that Lua's message begins with, where it does.
fn in_lua<'p>(
    code: Code,
    file: &File,
    chunk: &str,
    what: &str,
    message: &str,
    problems: &'p mut Problems,
) -> &'p mut Problem {
    let line_and_rest = || {
        let rest = message.strip_prefix(chunk)?.strip_prefix(':')?;
        let (line, rest) = rest.split_once(": ")?;
        Some((line.parse().ok()?, rest))
    };
    match line_and_rest() {
        Some((line, rest)) => {
            let place = Some(Place::line(line));
            problems.error_in(&file.path, code, place, format!("{what}: {rest}"))
        }
        None => problems.error_in(&file.path, code, None, format!("{what}: {message}")),
    }
}

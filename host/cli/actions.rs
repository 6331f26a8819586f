//! Host functions that workflows can use as actions: reading and writing files, and running
//! Lua on each line of a file. They reach what is in folders that are granted, and are
//! themselves granted only where there is one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, OnceLock};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use moonfork::workflow::{self, Argument, Signature};
use moonfork::{Access, Chunk, Grants, HostCall, Pool, PoolBuilder, RunOptions};
use serde::Deserialize;
use serde_json::Value;

use super::grants::GrantArgs;
use super::json;

/// The folders that actions reach, by name.
struct Folders(BTreeMap<String, (Dir, Access)>);

/// The pool that actions run Lua on, once there is one.
pub(super) type OwnPool = Arc<OnceLock<Pool>>;

/// Bytes that an action reads at once, or takes for one line.
const MAX_READ: u64 = 64 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteFile {
    path: String,
    content: Value,
    #[serde(default)]
    append: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunJsonLines {
    path: String,
    run: String,
    output: Option<String>,
}

/// Adds the actions to a pool, and what of them is granted.
///
/// # Errors
/// If a folder can't be opened.
pub(super) fn install(
    pool: PoolBuilder,
    mut grants: Grants,
    args: &GrantArgs,
    own: &OwnPool,
) -> anyhow::Result<(PoolBuilder, Grants)> {
    let mut folders = BTreeMap::new();
    for (name, path, access) in args.folders() {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        folders.insert(name.to_owned(), (dir, access));
    }
    let can_read = !folders.is_empty();
    let can_write = folders.values().any(|it| it.1 == Access::ReadWrite);
    let folders = Arc::new(Folders(folders));
    if can_read {
        grants = grants.function("read_file").function("run_json_lines");
    }
    if can_write {
        grants = grants.function("write_file");
    }
    let of_read = Arc::clone(&folders);
    let of_write = Arc::clone(&folders);
    let own = Arc::clone(own);
    let pool = pool
        .function("read_file", move |(args,): (ReadFile,)| {
            Ok(of_read.read(&args.path)?)
        })
        .function("write_file", move |(args,): (WriteFile,)| {
            Ok(of_write.write_value(&args)?)
        })
        .function_with("run_json_lines", move |call, (args,): (RunJsonLines,)| {
            let pool = own.get().ok_or("there is no pool yet")?;
            Ok(run_json_lines(&folders, pool, call, &args)?)
        });
    Ok((pool, grants))
}

/// Describes the arguments of the actions, for workflows to be held against before they run.
pub(super) fn describe(options: workflow::RunSettings) -> workflow::RunSettings {
    let read = Signature::new().required("path", Argument::Reads);
    let write = Signature::new()
        .required("path", Argument::Writes)
        .required("content", Argument::Value)
        .optional("append", Argument::Value);
    let lines = Signature::new()
        .required("path", Argument::Reads)
        .required("run", Argument::Lua)
        .optional("output", Argument::Writes);
    options
        .describe("read_file", read)
        .describe("write_file", write)
        .describe("run_json_lines", lines)
}

impl Folders {
    /// The folder that a path is in, and the rest of the path.
    fn find<'p>(&self, path: &'p str, access: Access) -> Result<(&Dir, &'p str), String> {
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let Some((dir, granted)) = self.0.get(name) else {
            return Err(format!(
                "`{path}`: no folder `{name}` is granted; grant one with --folder {name}=PATH"
            ));
        };
        if *granted < access {
            return Err(format!(
                "`{path}`: the folder `{name}` may only be read; grant more with --folder \
                 {name}=PATH:rw"
            ));
        }
        Ok((dir, rest))
    }

    fn read(&self, path: &str) -> Result<String, String> {
        let (dir, rest) = self.find(path, Access::ReadOnly)?;
        let file = dir
            .open(rest)
            .map_err(|error| format!("`{path}`: {error}"))?;
        let mut text = String::new();
        let read = file.take(MAX_READ + 1).read_to_string(&mut text);
        read.map_err(|error| format!("`{path}`: {error}"))?;
        if text.len() as u64 > MAX_READ {
            return Err(format!("`{path}`: more than {MAX_READ} bytes"));
        }
        Ok(text)
    }

    /// Writes text as it is, and anything else as JSON.
    fn write_value(&self, args: &WriteFile) -> Result<Value, String> {
        let text = match &args.content {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let path = &args.path;
        let mut file = self.create(path, args.append)?;
        file.write_all(text.as_bytes())
            .map_err(|error| format!("`{path}`: {error}"))?;
        Ok(serde_json::json!({"path": path, "bytes": text.len()}))
    }

    fn create(&self, path: &str, append: bool) -> Result<cap_std::fs::File, String> {
        let (dir, rest) = self.find(path, Access::ReadWrite)?;
        let mut options = OpenOptions::new();
        match append {
            true => options.append(true).create(true),
            false => options.write(true).create(true).truncate(true),
        };
        dir.open_with(rest, &options)
            .map_err(|error| format!("`{path}`: {error}"))
    }
}

/// Runs Lua on each line of a file, each time on a fresh instance: the line's value is its
/// `state`. The results are a list, or lines of another file.
fn run_json_lines(
    folders: &Folders,
    pool: &Pool,
    call: &HostCall,
    args: &RunJsonLines,
) -> Result<Value, String> {
    let path = &args.path;
    let (dir, rest) = folders.find(path, Access::ReadOnly)?;
    let file = dir
        .open(rest)
        .map_err(|error| format!("`{path}`: {error}"))?;
    let mut output = match &args.output {
        Some(output) => Some((output, folders.create(output, false)?)),
        None => None,
    };
    let cancel = call.cancel_handle();
    let mut options = RunOptions::new()
        .cancel_handle(&cancel)
        .grants(Grants::none());
    if let Some(deadline) = call.deadline() {
        options = options.deadline(deadline);
    }
    let mut results = Vec::new();
    let mut count = 0;
    let mut lines = BufReader::new(file);
    for number in 1.. {
        let fail = |why: String| format!("`{path}`, line {number}: {why}");
        if call.is_cancelled() || call.deadline().is_some_and(|it| it.is_over()) {
            return Err(fail("stopped".to_owned()));
        }
        let mut line = Vec::new();
        let read = lines.by_ref().take(MAX_READ).read_until(b'\n', &mut line);
        if read.map_err(|error| fail(error.to_string()))? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let text = str::from_utf8(&line).map_err(|error| fail(format!("not UTF-8: {error}")))?;
        let state = json::parse(text, "", "state").map_err(|bad| fail(bad.messages()))?;
        let mut branch = pool
            .branch_with(&options)
            .map_err(|error| fail(error.to_string()))?;
        let chunk = Chunk::body(args.run.as_str()).named(format!("{path}:{number}"));
        let result: Value = branch
            .eval_with(chunk, &state)
            .map_err(|error| fail(error.to_string()))?;
        count += 1;
        match &mut output {
            Some((output, file)) => {
                let line = format!("{result}\n");
                file.write_all(line.as_bytes())
                    .map_err(|error| format!("`{output}`: {error}"))?;
            }
            None => results.push(result),
        }
    }
    Ok(match output {
        Some((output, _)) => serde_json::json!({"path": output, "lines": count}),
        None => Value::Array(results),
    })
}

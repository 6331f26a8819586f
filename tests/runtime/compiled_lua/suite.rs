//! Lua's own test suite, with every function translated, as far as the sandbox goes: what needs a library or a file that
//! isn't there is left out, statement by statement, and the rest has to pass natively, interpreted, and translated.
//!
//! `MOONFORK_LUA_TESTS` says where the suite is, the folder `testes` of Lua's repository at `v5.4.8`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use moonfork::{Chunk, Limits, Pool};
use serde::de::IgnoredAny;

use super::has_places;
use crate::common;

const WORLD: &str = include_str!("suite/world.lua");

/// Files of the suite that others of it require.
const MODULES: [&str; 2] = ["bwcoercion", "tracegc"];

/// The sources of [`MODULES`], by their names.
type Modules = BTreeMap<&'static str, String>;

/// Files of the suite that are about something else than what the sandbox has: the program `lua`, its interface for C, files,
/// libraries to be loaded, the library `debug`; or that take all memory there is.
const LEFT_OUT: [&str; 12] = [
    "all", "api", "attrib", "big", "code", "db", "files", "heavy", "main", "memerr", "tracegc",
    "verybig",
];

/// Statements that don't end in the sandbox, by the file and the beginning of a line in them: they wait for what comes of a
/// collector that is stopped, which no script can do here.
const ENDLESS: [(&str, &str); 1] = [(
    "gc",
    "  collectgarbage(\"step\", 0)   -- steps should not unblock",
)];

/// Lines that are about something else than what translated functions do, by the file: whether equal long texts of a chunk are
/// one object, which [`long_texts_are_one_object_until_they_are_dumped`] is about.
const ELSE: [(&str, &str); 3] = [
    ("literals", "  assert(a1 == getadd(foo()))"),
    ("literals", "  assert(a1 == getadd(foo1()))"),
    ("literals", "  assert(a1 == getadd(foo2()))"),
];

/// Statements of a file that may be left out.
const MOST: usize = 120;

/// What came of a file.
enum Ran {
    /// It came to its end, with so many assertions.
    Passed(u64),
    /// It failed in a statement that begins at this line or above, of the file itself.
    Failed { line: usize, message: String },
}

fn sandboxed(pool: &Pool, modules: &Modules, name: &str, code: &str) -> Ran {
    let mut branch = pool.branch().unwrap();
    branch.exec(Chunk::body(WORLD).named("world")).unwrap();
    branch.set_global("MODULES", modules).unwrap();
    match branch.eval::<IgnoredAny>(Chunk::body(code).named(name)) {
        Ok(_) => Ran::Passed(branch.global("ASSERTIONS").unwrap()),
        Err(error) => {
            let traceback = error.traceback().unwrap_or_default();
            let line = line_of_chunk(traceback, name)
                .or_else(|| Some(usize::try_from(error.site()?.position.line).unwrap()));
            Ran::Failed {
                line: line.unwrap_or(0),
                message: error.to_string(),
            }
        }
    }
}

fn natively(modules: &Modules, name: &str, code: &str) -> Ran {
    let lua = mlua::Lua::new();
    lua.load(WORLD).set_name("=world").exec().unwrap();
    lua.globals().set("MODULES", modules.clone()).unwrap();
    match lua.load(code).set_name(format!("={name}")).exec() {
        Ok(()) => Ran::Passed(lua.globals().get("ASSERTIONS").unwrap()),
        Err(error) => {
            let message = error.to_string();
            Ran::Failed {
                line: line_of_chunk(&message, name).unwrap_or(0),
                message,
            }
        }
    }
}

/// The line of the chunk itself that a traceback says.
fn line_of_chunk(traceback: &str, name: &str) -> Option<usize> {
    let mut frames = traceback.lines().filter_map(|line| {
        let rest = line.trim().strip_prefix(name)?.strip_prefix(':')?;
        rest.contains("in main chunk").then_some(rest)
    });
    frames.next()?.split(':').next()?.parse().ok()
}

/// Whether a line begins a statement of the file itself, as the suite is indented.
fn begins(line: &str) -> bool {
    let ends = ["end", "until", "else", ")", "}", "]", "--"];
    line.starts_with(|first: char| !first.is_whitespace())
        && !ends.iter().any(|end| line.starts_with(end))
}

/// Leaves out the statement that `line` is in, and gives how many lines are before it; nothing where there is none.
fn leave_out(lines: &mut [String], line: usize) -> Option<usize> {
    let at = line.checked_sub(1).filter(|at| *at < lines.len())?;
    let first = (0..=at).rev().find(|at| begins(&lines[*at]))?;
    // A block whose first line isn't indented.
    let is_in_block = first > 0 && lines[first - 1] == "do";
    let first = first - usize::from(is_in_block);
    let last = (at + 1..lines.len()).find(|at| begins(&lines[*at]));
    for line in &mut lines[first..last.unwrap_or(at + 1)] {
        line.clear();
    }
    Some(first)
}

/// What of a file runs in the sandbox.
struct Reduced {
    code: String,
    /// How many statements don't.
    left_out: usize,
    /// How many assertions there are, interpreted.
    assertions: u64,
}

fn reduced(pool: &Pool, modules: &Modules, name: &str, code: &str) -> Option<Reduced> {
    let mut lines: Vec<String> = code.lines().map(str::to_owned).collect();
    if lines.first().is_some_and(|line| line.starts_with('#')) {
        lines[0].clear();
    }
    let place = |lines: &[String], text: &str| lines.iter().position(|line| line.starts_with(text));
    for (_, text) in ENDLESS.iter().filter(|(file, _)| *file == name) {
        let at = place(&lines, text)?;
        leave_out(&mut lines, at + 1)?;
    }
    for (_, text) in ELSE.iter().filter(|(file, _)| *file == name) {
        let at = place(&lines, text)?;
        lines[at].clear();
    }
    let mut broken = lines.len();
    for left_out in 0..MOST {
        let code = lines.join("\n");
        let (assertions, ran) = match sandboxed(pool, modules, name, &code) {
            Ran::Passed(assertions) => (assertions, natively(modules, name, &code)),
            failed @ Ran::Failed { .. } => (0, failed),
        };
        match ran {
            Ran::Passed(_) => {
                return Some(Reduced {
                    code,
                    left_out,
                    assertions,
                });
            }
            Ran::Failed { line, message } => {
                if std::env::var_os("MOONFORK_LUA_TESTS_TELL").is_some() {
                    eprintln!("  {name}: left out at line {line}: {message}");
                }
                // A statement was left out that doesn't end where it seemed to: there is no more to be had.
                let is_broken = message.contains("near <eof>");
                if is_broken {
                    lines.truncate(broken);
                    continue;
                }
                // What the file returns can't leave the sandbox.
                let line = match message.starts_with("result:") {
                    true => lines.iter().rposition(|line| begins(line))? + 1,
                    false => line,
                };
                broken = leave_out(&mut lines, line)?;
            }
        }
    }
    None
}

/// A chunk's long texts are one object where the parser has read them, and in one function; those that two functions have are two
/// where they come from bytecode, as what is translated does: so it is natively.
#[test]
fn long_texts_are_one_object_until_they_are_dumped() {
    let text = "0123456789".repeat(5);
    let of = |other: &str| {
        format!(
            "local function f() return '{text}' end return ('%p'):format('{text}') == ('%p'):format({other})"
        )
    };
    let same = |code: &str, dumped: bool| -> bool {
        let lua = mlua::Lua::new();
        lua.globals().set("code", code).unwrap();
        lua.load(match dumped {
            true => "return load(string.dump(load(code)), 'dumped', 'b')()",
            false => "return load(code)()",
        })
        .eval()
        .unwrap()
    };
    let (one, two) = (of(&format!("'{text}'")), of("f()"));
    assert_eq!((same(&one, false), same(&two, false)), (true, true));
    assert_eq!((same(&one, true), same(&two, true)), (true, false));
}

#[test]
fn luas_own_tests_pass_with_every_function_translated() {
    let Some(folder) = std::env::var_os("MOONFORK_LUA_TESTS") else {
        eprintln!("skipped: MOONFORK_LUA_TESTS doesn't say where Lua's tests are");
        return;
    };
    if !has_places() {
        return;
    }
    let limits = Limits::unlimited()
        .memory(512 << 20)
        .wall(Duration::from_mins(2));
    let build = |compiling: bool| {
        let builder = common::interpreting_builder()
            .max_branches(1)
            .limits(limits);
        let builder = match compiling {
            true => builder.compile_all().compile_without_limits(),
            false => builder,
        };
        builder.build().unwrap()
    };
    let interpreting = build(false);
    let modules = MODULES.map(|name| {
        let path = Path::new(&folder).join(name).with_extension("lua");
        (name, std::fs::read_to_string(path).unwrap())
    });
    let modules = Modules::from(modules);
    let mut files: Vec<_> = std::fs::read_dir(Path::new(&folder))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem()?.to_str()?.to_owned();
            (path.extension()? == "lua" && !LEFT_OUT.contains(&&*name)).then_some((name, path))
        })
        .collect();
    files.sort();
    let mut differ = Vec::new();
    let (mut passed, mut assertions) = (0, 0);
    for (name, path) in files {
        // One of them isn't UTF-8, in texts that nothing depends on.
        let bytes = std::fs::read(path).unwrap();
        let code = String::from_utf8_lossy(&bytes);
        let Some(reduced) = reduced(&interpreting, &modules, &name, &code) else {
            differ.push(format!("{name}: nothing of it runs in the sandbox"));
            continue;
        };
        let Reduced { code, left_out, .. } = reduced;
        let count = |ran: Ran, way: &str, differ: &mut Vec<String>| match ran {
            Ran::Passed(count) => Some(count),
            Ran::Failed { message, .. } => {
                differ.push(format!("{name}, {way}: {message}"));
                None
            }
        };
        let native = count(natively(&modules, &name, &code), "natively", &mut differ);
        let start = Instant::now();
        let compiling = build(true);
        let ours = count(
            sandboxed(&compiling, &modules, &name, &code),
            "translated",
            &mut differ,
        );
        let chunks = compiling.compiled_lua();
        let functions: usize = chunks.iter().map(|chunk| chunk.functions()).sum();
        let refused: Vec<_> = chunks.iter().flat_map(|it| it.interpreted()).collect();
        eprintln!(
            "{name}: {ours:?} assertions, natively {native:?}, interpreted {}; {left_out} statements left out; {functions} \
             functions translated, not {refused:?}; {:.1} s",
            reduced.assertions,
            start.elapsed().as_secs_f64()
        );
        if let Some(ours) = ours {
            passed += 1;
            assertions += ours;
        }
    }
    eprintln!("{passed} files passed, with {assertions} assertions");
    assert_eq!(differ, [""; 0]);
    assert!(passed > 15 && assertions > 10_000, "{passed}, {assertions}");
}

//! Manifests: what they may say, and what is wrong with those that say anything else.

use std::collections::BTreeMap;
use std::time::Duration;

use moonfork::Access;
use moonfork::plugin::{Lifetime, Manifest, read_manifests};
use rstest::rstest;

use crate::plugins::{Plugins, one_file};

const WHOLE: &str = r#"
name = "orders-2"
version = "1.2.3-rc.1"
description = "All there is to say."
entry = "lua/main.lua"
instance = "kept"

[exports]
price = "A price."
"orders.total" = ""

[wants]
functions = ["lookup", "store"]
modules = ["tax"]
clock = true
variables = ["currency"]
seed = 0x2A

[wants.folders]
input = "read-only"
output = "read-write"

[limits]
wall = "1m 30s"
fuel = 1_000_000
memory = "16MiB"
output = 1000
host_calls = 0
value = "1MiB"
depth = 8
"#;

fn manifest(text: &str) -> Manifest {
    let plugins = Plugins::new([
        ("plugin.toml", text),
        ("main.lua", ""),
        ("lua/main.lua", ""),
    ]);
    let mut manifests = read_manifests(plugins.path("")).unwrap();
    assert_eq!(manifests.len(), 1);
    manifests.remove(0)
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let read = manifest(WHOLE);
    assert_eq!(
        (read.name.as_str(), read.version.to_string()),
        ("orders-2", "1.2.3-rc.1".into())
    );
    assert_eq!(read.description.as_deref(), Some("All there is to say."));
    assert_eq!(
        (read.entry.as_str(), read.instance),
        ("lua/main.lua", Lifetime::Kept)
    );
    let exports: Vec<_> = read.exports.iter().collect();
    assert_eq!(
        exports,
        [
            (&"orders.total".to_owned(), &String::new()),
            (&"price".to_owned(), &"A price.".to_owned())
        ]
    );
    assert_eq!(read.wants.functions, ["lookup", "store"]);
    assert_eq!(read.wants.modules, ["tax"]);
    assert!(read.wants.clock);
    assert_eq!(read.wants.variables, ["currency"]);
    assert_eq!(read.wants.seed, Some(42));
    let folders = [
        ("input".to_owned(), Access::ReadOnly),
        ("output".to_owned(), Access::ReadWrite),
    ];
    assert_eq!(read.wants.folders, BTreeMap::from(folders));
    let limits = read.limits;
    assert_eq!(limits.wall, Some(Duration::from_secs(90)));
    assert_eq!(limits.fuel, Some(1_000_000));
    assert_eq!((limits.memory, limits.output), (Some(16 << 20), Some(1000)));
    assert_eq!((limits.value, limits.depth), (Some(1 << 20), Some(8)));
    assert_eq!(limits.host_calls, Some(0));
}

#[test]
fn little_need_be_said() {
    let read =
        manifest("name = 'a'\nversion = '0.1.0'\nentry = 'main.lua'\n[exports]\nrun = 'Runs.'\n");
    assert_eq!(read.instance, Lifetime::Fresh);
    assert_eq!(read.wants, Default::default());
    assert_eq!(read.limits, Default::default());
}

#[test]
fn a_manifest_is_serialised_as_it_is_written() {
    let read = serde_json::to_value(manifest(WHOLE)).unwrap();
    assert_eq!(read["version"], "1.2.3-rc.1");
    assert_eq!(read["limits"]["wall"], "1m 30s");
    assert_eq!(read["wants"]["folders"]["input"], "read-only");
    assert_eq!(read["instance"], "kept");
}

/// Each line replaces the line of its key in a sound manifest; the problem has this place and
/// says this.
#[rstest]
#[case::name_with_capitals(
    "name = \"Orders\"",
    "2:8: error [INVALID_VALUE]: `name` is \"Orders\""
)]
#[case::name_of_no_text(
    "name = 5",
    "2:8: error [INVALID_VALUE]: `name` must be a string, not the integer 5"
)]
#[case::version(
    "version = \"1.2\"",
    "3:11: error [INVALID_VALUE]: `version` is \"1.2\": "
)]
#[case::description(
    "description = []",
    "4:15: error [INVALID_VALUE]: `description` must be a string"
)]
#[case::entry_outside(
    "entry = \"../main.lua\"",
    "5:9: error [INVALID_VALUE]: `entry` is \"../main.lua\": it must be a path beneath"
)]
#[case::entry_absolute(
    "entry = \"/main.lua\"",
    "5:9: error [INVALID_VALUE]: `entry` is \"/main.lua\": it must be a path beneath"
)]
#[case::entry_of_another_kind(
    "entry = \"main.py\"",
    "5:9: error [INVALID_VALUE]: `entry` is \"main.py\": it must be a file whose name ends in .lua"
)]
#[case::entry_absent(
    "entry = \"none.lua\"",
    "5:1: error [FILE_UNREADABLE]: the entry `none.lua` can't be read"
)]
#[case::instance(
    "instance = \"forever\"",
    "6:12: error [INVALID_VALUE]: `instance` is \"forever\": it must be \"fresh\" or \"kept\""
)]
#[case::exported_name(
    "price = \"A price.\"\n\"a b\" = \"\"",
    "10:1: error [INVALID_VALUE]: `exports.a b` is not the name of a Lua function"
)]
#[case::exported_without_description(
    "price = true",
    "9:9: error [INVALID_VALUE]: `exports.price` must be a string that describes it, not a boolean"
)]
#[case::functions(
    "functions = \"lookup\"",
    "13:13: error [INVALID_VALUE]: `wants.functions` must be a list of names, not a string"
)]
#[case::functions_of_no_text(
    "functions = [\"a\", 1]",
    "13:19: error [INVALID_VALUE]: `wants.functions` must be a list of names, not the integer 1"
)]
#[case::functions_twice(
    "functions = [\"a\", \"a\"]",
    "13:19: error [INVALID_VALUE]: `wants.functions` names `a` twice"
)]
#[case::clock(
    "clock = \"yes\"",
    "15:9: error [INVALID_VALUE]: `wants.clock` must be true or false, not a string"
)]
#[case::seed(
    "seed = -1",
    "17:8: error [INVALID_VALUE]: `wants.seed` must be a whole number, not negative, not the integer -1"
)]
#[case::folder(
    "input = \"write\"",
    "20:9: error [INVALID_VALUE]: `wants.folders.input` is \"write\": it must be \"read-only\" or \"read-write\""
)]
#[case::wall_without_unit(
    "wall = \"90\"",
    "24:8: error [INVALID_VALUE]: `limits.wall` is \"90\": "
)]
#[case::wall_zero(
    "wall = \"0s\"",
    "24:8: error [INVALID_VALUE]: `limits.wall` is \"0s\": nothing could run in no time"
)]
#[case::fuel_zero(
    "fuel = 0",
    "25:8: error [INVALID_VALUE]: `limits.fuel` is 0; it must be at least 1"
)]
#[case::fuel_float(
    "fuel = 1.5",
    "25:8: error [INVALID_VALUE]: `limits.fuel` must be a whole number, not negative, not a float"
)]
#[case::memory_too_small(
    "memory = \"1KiB\"",
    "26:10: error [INVALID_VALUE]: `limits.memory` is \"1KiB\": it must be between 4MiB and 4GiB"
)]
#[case::memory_no_size(
    "memory = \"much\"",
    "26:10: error [INVALID_VALUE]: `limits.memory` is \"much\": "
)]
#[case::memory_beyond_all_numbers(
    "memory = \"999999999999GiB\"",
    "26:10: error [INVALID_VALUE]: `limits.memory` is \"999999999999GiB\": more bytes than 64 bits can count"
)]
#[case::value_too_small(
    "value = 10",
    "29:9: error [INVALID_VALUE]: `limits.value` is 10B; it must be at least 1KiB"
)]
#[case::depth(
    "depth = 101",
    "30:9: error [INVALID_VALUE]: `limits.depth` is 101; it must be between 1 and 100"
)]
#[case::unknown_key("clok = true", "31:1: error [UNKNOWN_KEY]: `limits` has no key `clok`")]
#[case::twice(
    "name = \"a\"\nname = \"b\"",
    "3:1: error [TOML_PARSE]: the manifest is not TOML: duplicate key"
)]
#[case::no_toml("name: orders", "2:5: error [TOML_PARSE]: the manifest is not TOML: ")]
fn what_is_wrong_has_a_place(#[case] line: &str, #[case] expected: &str) {
    let key = line.split(['=', ':']).next().unwrap().trim();
    let mut found = false;
    let mut text: String = WHOLE
        .lines()
        .map(|known| {
            let same = known.split('=').next().unwrap().trim() == key;
            found |= same;
            format!("{}\n", if same { line } else { known })
        })
        .collect();
    if !found {
        text += line;
    }
    let plugins = Plugins::new([("plugin.toml", text.as_str()), ("lua/main.lua", "")]);
    let error = read_manifests(plugins.path("")).unwrap_err();
    let file = plugins.path("plugin.toml").display().to_string();
    let shown = error.to_string();
    assert!(
        shown.starts_with(&format!("{file}:{expected}")),
        "{expected:?} is not what it says: {shown}"
    );
    assert_eq!(error.problems().len(), 1, "{shown}");
}

#[rstest]
#[case::near("[limits]\nwal = \"1s\"", "did you mean `wall`?")]
#[case::at_the_top("exprots = {}", "did you mean `exports`?")]
#[case::far(
    "[limits]\nbandwidth = 1",
    "there is: wall, fuel, memory, output, host_calls, value, depth"
)]
fn a_key_that_means_nothing_gets_a_hint(#[case] lines: &str, #[case] hint: &str) {
    let base = "name = 'a'\nversion = '0.1.0'\nentry = 'main.lua'\nexports = {run = ''}\n";
    let text = format!("{base}{lines}\n");
    let plugins = Plugins::new([("plugin.toml", text.as_str()), ("main.lua", "")]);
    let error = read_manifests(plugins.path("")).unwrap_err();
    assert_eq!(error.problems()[0].hint(), Some(hint), "{error}");
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let plugins = Plugins::new([("plugin.toml", "description = 'x'\n")]);
    let error = read_manifests(plugins.path("")).unwrap_err();
    for key in ["name", "version", "entry", "exports"] {
        let said = format!("the manifest has no `{key}`");
        assert!(
            error
                .problems()
                .iter()
                .any(|problem| problem.message() == said),
            "{error}"
        );
    }
    assert_eq!(error.problems().len(), 4, "{error}");
}

#[test]
fn a_function_in_a_table_is_named_in_quotes() {
    let plugins = Plugins::one("one", "[exports]\norders.price = 'A price.'", "");
    let error = read_manifests(plugins.path("")).unwrap_err();
    assert!(error.to_string().contains(":5:1: error [INVALID_VALUE]: `exports.orders` is a table; the name of a function in a table needs quotes"), "{error}");
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn what_a_stranger_wrote_is_shown_on_one_line() {
    let key = "\"a\\u001b[2J\\nb\" = 1\n[exports]\nrun = ''";
    let plugins = Plugins::one("one", key, "");
    let error = read_manifests(plugins.path("")).unwrap_err();
    let message = error.problems()[0].message();
    assert_eq!(message, "a manifest has no key `a\\u{1b}[2J\\nb`");
}

#[test]
fn a_manifest_is_not_larger_than_anyone_would_read() {
    let plugins = Plugins::one("one", &format!("#{}", "x".repeat(64 << 10)), "");
    let error = read_manifests(plugins.path("")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more than the 65536 that it may have"),
        "{error}"
    );
    assert_eq!(error.problems().len(), 1);
}

#[test]
fn a_plugin_has_no_more_modules_than_anyone_would_load() {
    let module = vec![b' '; 4 << 20];
    let base = "name = 'a'\nversion = '0.1.0'\nentry = 'main.lua'\nexports = {run = ''}\n";
    let plugins = |modules: usize| {
        let plugins = Plugins::new([("plugin.toml", base), ("main.lua", "")]);
        for n in 0..modules {
            std::fs::write(plugins.path(format!("m{n}.lua")), &module).unwrap();
        }
        plugins
    };
    read_manifests(plugins(4).path("")).unwrap();
    let error = read_manifests(plugins(6).path("")).unwrap_err();
    assert!(
        error.to_string().contains("a plugin can't have more than"),
        "{error}"
    );
    let large = plugins(1);
    std::fs::write(large.path("m0.lua"), vec![b' '; (4 << 20) + 1]).unwrap();
    let error = read_manifests(large.path("")).unwrap_err();
    assert!(
        error.to_string().contains("it is larger than the"),
        "{error}"
    );
}

#[test]
fn a_plugin_exports_something() {
    let plugins = Plugins::one("empty", "exports = {}", "");
    let error = read_manifests(plugins.path("")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(":4:11: error [INVALID_VALUE]: `exports` is empty"),
        "{error}"
    );
}

#[test]
fn a_file_begins_with_its_manifest_and_places_count_from_its_first_line() {
    let plugins = Plugins::one("one", "x = 1\n[exports]\nrun = ''", "");
    let error = read_manifests(plugins.path("")).unwrap_err();
    let file = plugins.path("one.lua").display().to_string();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{file}:4:1: error [UNKNOWN_KEY]")),
        "{error}"
    );

    let plugins = Plugins::new([("bare.lua", "function run() end\n")]);
    let error = read_manifests(plugins.path("")).unwrap_err();
    assert_eq!(error.problems()[0].code().as_str(), "MANIFEST_MISSING");
    assert!(
        error.problems()[0].hint().unwrap().contains("--[[ plugin"),
        "{error}"
    );
}

#[test]
fn a_plugin_in_one_file_names_no_entry() {
    let plugins = Plugins::one("one", "entry = 'one.lua'\n[exports]\nrun = ''", "");
    let error = read_manifests(plugins.path("")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(":4:9: error [INVALID_VALUE]: `entry` has no effect here"),
        "{error}"
    );
}

#[test]
fn a_folder_in_a_folder_of_plugins_is_one_and_other_files_are_not() {
    let one = one_file("one", "[exports]\nrun = ''", "");
    let plugins = Plugins::new([
        ("one.lua", one.as_str()),
        ("README.md", "Plugins."),
        (".hidden/plugin.toml", "none of this"),
    ]);
    assert_eq!(read_manifests(plugins.path("")).unwrap().len(), 1);
    std::fs::create_dir(plugins.path("misspelt")).unwrap();
    std::fs::write(plugins.path("misspelt/plugins.toml"), "").unwrap();
    let error = read_manifests(plugins.path("")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("misspelt: error [MANIFEST_MISSING]"),
        "{error}"
    );
}

#[test]
fn what_is_not_there_is_said() {
    let plugins = Plugins::new([("one.txt", "")]);
    let error = read_manifests(plugins.path("absent")).unwrap_err();
    assert_eq!(error.problems()[0].code().as_str(), "FILE_UNREADABLE");
}

#[cfg(unix)]
#[test]
fn no_link_leads_out_of_a_plugins_folder() {
    let base = "name = 'a'\nversion = '0.1.0'\nentry = 'main.lua'\nexports = {run = ''}\n";
    let outside = Plugins::new([("secret.lua", "function run() return 'secret' end")]);
    for link in ["main.lua", "module.lua", "plugin.toml"] {
        let plugins = Plugins::new([
            ("a/plugin.toml", base),
            ("a/main.lua", "function run() end"),
        ]);
        let _ = std::fs::remove_file(plugins.path("a").join(link));
        std::os::unix::fs::symlink(outside.path("secret.lua"), plugins.path("a").join(link))
            .unwrap();
        let error = read_manifests(plugins.path("")).unwrap_err();
        assert_eq!(
            error.problems()[0].code().as_str(),
            "FILE_UNREADABLE",
            "{link}: {error}"
        );
        assert!(
            error.to_string().contains("links are not followed"),
            "{link}: {error}"
        );
    }
}

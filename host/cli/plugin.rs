//! `moonfork plugin`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

use moonfork::diagnostics::{Code, LoadError};
use moonfork::plugin::{
    CallOptions, Lifetime, Manifest, PluginHost, PluginHostBuilder, read_manifests,
    read_sound_manifests,
};
use moonfork::{Access, Grants, PoolBuilder, Report};
use serde_json::Value;

use super::end::Mistake;
use super::signal::Signal;
use super::target::{ReportArgs, ResultArgs, Targets};
use super::{compile, grants, input, json, limits, log, stream};

/// The arguments of `plugin`.
#[derive(Debug, clap::Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PluginCommand {
    /// Lists plugins by their manifests. Runs none of their Lua.
    List(ListArgs),
    /// Looks for mistakes in plugins: in their manifests, in their Lua, in what they export.
    ///
    /// Runs their entries in a sandbox. Host functions that they want are taken to be there,
    /// and fail when they are called.
    Check(CheckArgs),
    /// Calls a function that a plugin exports, and prints its result as JSON.
    Call(CallArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// A plugin, or a folder of plugins.
    path: PathBuf,

    /// Print the manifests as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Plugins, or folders of plugins.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    host: HostArgs,

    #[command(flatten)]
    limits: limits::LimitArgs,

    /// Say on standard error why compiled code isn't kept where it isn't.
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, clap::Args)]
struct CallArgs {
    /// A plugin, or a folder of plugins.
    path: PathBuf,

    /// The plugin's name.
    plugin: String,

    /// The function.
    function: String,

    /// What it is called with: JSON values, or @FILE for one in a file.
    #[arg(value_name = "JSON|@FILE", allow_negative_numbers = true)]
    args: Vec<Argument>,

    /// For whom it is called, in the report.
    #[arg(long, value_name = "NAME", default_value = "")]
    tenant: String,

    #[command(flatten)]
    result: ResultArgs,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    compile: compile::CompileArgs,

    #[command(flatten)]
    host: HostArgs,

    #[command(flatten)]
    limits: limits::LimitArgs,

    #[command(flatten)]
    log: log::LogArgs,
}

/// What plugins may do besides computing, if they want it.
#[derive(Debug, clap::Args)]
struct HostArgs {
    #[command(flatten)]
    grants: grants::GrantArgs,

    /// Grant a variable. Can be given several times.
    #[arg(long = "variable", value_name = "KEY=JSON", help_heading = "Grants")]
    variables: Vec<Variable>,

    /// Allow plugins to keep an instance from call to call.
    #[arg(long, help_heading = "Grants")]
    kept: bool,
}

/// One `--variable`.
#[derive(Clone, Debug)]
struct Variable {
    key: String,
    value: Argument,
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("write it as KEY=JSON")?;
        Ok(Variable {
            key: key.to_owned(),
            value: value.parse()?,
        })
    }
}

/// A JSON value, or the file that it is in.
#[derive(Clone, Debug)]
enum Argument {
    Json(Value),
    File(PathBuf),
}

impl FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix('@') {
            return Ok(Argument::File(path.into()));
        }
        json::parse(text, "", "argument")
            .map(Argument::Json)
            .map_err(|error| format!("{error}; neither is it @FILE; a string needs quotes"))
    }
}

impl Argument {
    fn load(self) -> anyhow::Result<Value> {
        match self {
            Argument::Json(value) => Ok(value),
            Argument::File(path) => input::json_file(&path, "argument"),
        }
    }
}

/// Lists, checks or calls plugins.
pub(super) fn plugin(args: PluginArgs) -> anyhow::Result<()> {
    match args.command {
        PluginCommand::List(args) => list(&args),
        PluginCommand::Check(args) => check(args),
        PluginCommand::Call(args) => call(args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let manifests = read_manifests(&args.path)?;
    if args.json {
        return stream::print_json(&manifests);
    }
    let lines: Vec<String> = manifests.iter().map(listed).collect();
    stream::print(&lines.concat())
}

/// A plugin and its functions, a line each.
fn listed(manifest: &Manifest) -> String {
    let Manifest { name, version, .. } = manifest;
    let mut text = format!("{name} {version}");
    if let Some(description) = &manifest.description {
        text += &format!(": {description}");
    }
    if manifest.instance == Lifetime::Kept {
        text += " (keeps instances)";
    }
    text.push('\n');
    for (name, description) in &manifest.exports {
        text += &format!("  {name}: {description}\n");
    }
    text
}

fn check(args: CheckArgs) -> anyhow::Result<()> {
    let (mut pool, mut grants) = args.host.apply(args.limits.builder(1)?)?;
    for name in functions_wanted(&args.paths) {
        let message = format!("the check has no host functions, so '{name}' can't be called");
        pool = pool.function(name.clone(), move |_: Vec<Value>| {
            Err::<(), _>(message.clone().into())
        });
        grants = grants.function(name);
    }
    let pool = pool.build()?;
    let log = log::LogArgs {
        quiet: false,
        verbose: args.verbose,
    };
    log.pool(&pool)?;
    let mut host = PluginHost::builder(&pool)
        .grants(grants)
        .run_entry_once(false);
    if args.host.kept {
        host = host.max_kept(0);
    }
    let host = args.paths.iter().fold(host, PluginHostBuilder::path);
    let host = host.load().map_err(|error| {
        let manifests = args
            .paths
            .iter()
            .flat_map(|path| read_sound_manifests(path).0);
        // Host functions are there already.
        let manifests = manifests.map(|mut manifest| {
            manifest.wants.functions.clear();
            manifest
        });
        args.host.advise(error, manifests)
    })?;
    let sound = host.plugins();
    let sound = sound.iter().map(|plugin| (&plugin.name, &plugin.version));
    let lines: Vec<String> = sound
        .map(|(name, version)| format!("{name} {version}: ok\n"))
        .collect();
    stream::print(&lines.concat())
}

/// The host functions that sound manifests want. What is wrong with others is found later.
fn functions_wanted(paths: &[PathBuf]) -> Vec<String> {
    let manifests = paths.iter().flat_map(|path| read_sound_manifests(path).0);
    let mut names: Vec<String> = manifests
        .flat_map(|manifest| manifest.wants.functions)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn call(args: CallArgs) -> anyhow::Result<()> {
    let values: Vec<Value> = args
        .args
        .into_iter()
        .map(Argument::load)
        .collect::<anyhow::Result<_>>()?;
    let mut targets = Targets::open(&args.result, &args.report)?;
    let signal = Signal::handle()?;
    let (pool, grants) = args.host.apply(args.limits.builder(1)?)?;
    let pool = pool.build()?;
    args.log.pool(&pool)?;
    let mut host = PluginHost::builder(&pool)
        .path(&args.path)
        .only(&args.plugin)
        .grants(grants)
        // There is one call.
        .run_entry_once(false);
    if args.host.kept {
        host = host.max_kept(1);
    }
    if args.compile.compile {
        host = host.compile(&args.plugin);
    }
    let host = host.load().map_err(|error| {
        let manifests = read_sound_manifests(&args.path).0.into_iter();
        let manifests = manifests.filter(|it| it.name == args.plugin);
        args.host.advise(error, manifests)
    })?;
    let tenant = host.tenant(args.tenant);
    let options = CallOptions::new().cancel_handle(&signal.watch());
    let result = tenant.call_with::<_, Value>(&args.plugin, &args.function, &values, &options);
    signal.unwatch();
    let report = match &result {
        Ok(reply) => Some(&reply.report),
        Err(error) => error.report(),
    };
    if let Some(report) = report.filter(|_| !args.log.quiet) {
        pass_on(&report.run);
    }
    let written = report.map_or(Ok(()), |report| targets.write_report(report));
    // What the function did comes first.
    let value = result?.value;
    targets.write_result(&value)?;
    written
}

/// Passes on what the plugin printed: after the call, since the check printed the same before.
fn pass_on(report: &Report) {
    stream::pass_on_bytes(report.output.as_bytes());
    if !report.output.is_empty() && !report.output.ends_with('\n') {
        stream::pass_on_bytes(b"\n");
    }
    if report.output_truncated {
        stream::note_truncated();
    }
}

impl HostArgs {
    /// The pool with what is granted by name, and what is granted.
    fn apply(&self, pool: PoolBuilder) -> anyhow::Result<(PoolBuilder, Grants)> {
        let (pool, mut grants) = self.grants.apply(pool)?;
        let mut values = BTreeMap::new();
        for Variable { key, value } in &self.variables {
            if values.insert(key, value).is_some() {
                return Err(Mistake::error(format!("two variables are named '{key}'")));
            }
            grants = grants.variable(key, value.clone().load()?);
        }
        Ok((pool, grants))
    }

    /// Adds to what is wrong with plugins, of which these are the manifests, the flags that would
    /// grant what they want.
    fn advise(&self, error: LoadError, manifests: impl Iterator<Item = Manifest>) -> anyhow::Error {
        let is_denied = |error: &LoadError| {
            let mut codes = error.problems().iter().map(|problem| problem.code());
            codes.any(|code| code == Code::NotGranted)
        };
        if !is_denied(&error) {
            return error.into();
        }
        let mut flags = BTreeSet::new();
        let mut functions = BTreeSet::new();
        for Manifest {
            wants, instance, ..
        } in manifests
        {
            if wants.clock && !self.grants.has_clock() {
                flags.insert("--clock".to_owned());
            }
            if instance == Lifetime::Kept && !self.kept {
                flags.insert("--kept".to_owned());
            }
            for (name, access) in &wants.folders {
                if !self.grants.has_folder(name, *access) {
                    let end = match access {
                        Access::ReadOnly => "",
                        Access::ReadWrite => ":rw",
                    };
                    flags.insert(format!("--folder {name}=PATH{end}"));
                }
            }
            let missing = wants
                .modules
                .iter()
                .filter(|it| !self.grants.has_module(it));
            flags.extend(missing.map(|name| format!("--module {name}=FILE")));
            let is_given = |name: &&String| self.variables.iter().any(|it| it.key == **name);
            let missing = wants.variables.iter().filter(|name| !is_given(name));
            flags.extend(missing.map(|name| format!("--variable {name}=JSON")));
            functions.extend(wants.functions);
        }
        Advised {
            error,
            flags: flags.into_iter().collect(),
            functions: functions.into_iter().collect(),
        }
        .into()
    }
}

/// What is wrong with plugins, and how they could be granted what they want.
#[derive(Debug)]
pub(super) struct Advised {
    error: LoadError,
    flags: Vec<String>,
    functions: Vec<String>,
}

impl std::fmt::Display for Advised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)?;
        if !self.flags.is_empty() {
            write!(f, "\nto grant what is wanted: {}", self.flags.join(" "))?;
        }
        if !self.functions.is_empty() {
            let functions = self.functions.join(", ");
            write!(
                f,
                "\nthe command line has no such host functions to grant: {functions}"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Advised {}

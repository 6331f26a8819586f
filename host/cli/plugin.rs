//! `moonfork plugin`.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use moonfork::plugin::{
    Lifetime, Manifest, PluginHost, PluginHostBuilder, read_manifests, read_sound_manifests,
};
use moonfork::{Grants, PoolBuilder, Report};
use serde_json::Value;

use super::{grants, input, limits, stream};

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

    /// Where to write what the call cost, as JSON, also when it fails.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    #[command(flatten)]
    host: HostArgs,

    #[command(flatten)]
    limits: limits::LimitArgs,
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
        serde_json::from_str(text)
            .map(Argument::Json)
            .map_err(|error| format!("neither JSON ({error}) nor @FILE; a string needs quotes"))
    }
}

impl Argument {
    fn load(self) -> anyhow::Result<Value> {
        match self {
            Argument::Json(value) => Ok(value),
            Argument::File(path) => {
                let text = input::text_file(&path)?;
                serde_json::from_str(&text).map_err(|error| {
                    let (line, column) = (error.line(), error.column());
                    anyhow::anyhow!("{}:{line}:{column}: not JSON: {error}", path.display())
                })
            }
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
            Err::<(), _>(message.clone())
        });
        grants = grants.function(name);
    }
    let mut host = PluginHost::builder(&pool.build()?).grants(grants);
    if args.host.kept {
        host = host.max_kept(0);
    }
    let host = args
        .paths
        .iter()
        .fold(host, PluginHostBuilder::path)
        .load()?;
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
    let (pool, grants) = args.host.apply(args.limits.builder(1)?)?;
    let mut host = PluginHost::builder(&pool.build()?)
        .path(&args.path)
        .grants(grants);
    if args.host.kept {
        host = host.max_kept(1);
    }
    // What is wrong with other plugins in the folder is no reason not to call this one.
    let (host, problems) = host.load_sound();
    for problem in &problems {
        stream::note(format_args!("{problem}"));
    }
    let tenant = host.tenant(args.tenant);
    let result = tenant.call::<_, Value>(&args.plugin, &args.function, &values);
    let report = match &result {
        Ok(reply) => Some(&reply.report),
        Err(error) => error.report(),
    };
    if let Some(report) = report {
        pass_on(&report.run);
    }
    if let (Some(path), Some(report)) = (&args.report, report) {
        write(report, path)?;
    }
    stream::print_json(&result?.value)
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

fn write(report: &impl serde::Serialize, path: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    fs::write(path, text).with_context(|| format!("the report: {}", path.display()))
}

impl HostArgs {
    /// The pool with what is granted by name, and what is granted.
    fn apply(&self, pool: PoolBuilder) -> anyhow::Result<(PoolBuilder, Grants)> {
        let (pool, mut grants) = self.grants.apply(pool)?;
        for Variable { key, value } in &self.variables {
            grants = grants.variable(key, value.clone().load()?);
        }
        Ok((pool, grants))
    }
}

//! Secrets and environment variables as flags: what workflows may give to host functions.

use std::env;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use moonfork::workflow::RunSettings;

use super::input;

/// Values that a workflow may use as `{{ secrets.NAME }}` and `{{ env.NAME }}`: none, unless they
/// are granted here. Scripts don't see them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Grants")]
pub(super) struct SecretArgs {
    /// Let the workflow give what a file holds to host functions, as {{ secrets.NAME }}. A line
    /// feed at its end is no part of it. Can be given several times.
    #[arg(long = "secret", value_name = "NAME=@FILE")]
    secrets: Vec<Secret>,

    /// Let it give environment variables whose names begin with PREFIX, as {{ secrets.NAME }},
    /// where NAME is what follows.
    #[arg(long, value_name = "PREFIX")]
    secrets_env: Option<String>,

    /// Let it give this environment variable, as {{ env.NAME }}. Can be given several times.
    #[arg(long = "env", value_name = "NAME")]
    env: Vec<String>,
}

/// One `--secret`. Its value never stands on the command line, which others can see.
#[derive(Clone, Debug, PartialEq)]
struct Secret {
    name: String,
    file: PathBuf,
}

impl SecretArgs {
    /// Grants them to a run.
    ///
    /// # Errors
    /// If a file can't be read, or a variable isn't there or not UTF-8.
    pub(super) fn apply(&self, mut options: RunSettings) -> anyhow::Result<RunSettings> {
        if let Some(prefix) = &self.secrets_env {
            let mut found = false;
            for (name, value) in env::vars_os() {
                let name = name.into_string().ok();
                let Some(name) = name.as_deref().and_then(|name| name.strip_prefix(prefix)) else {
                    continue;
                };
                if !name.is_empty() {
                    found = true;
                    options = options.secret(name, utf8(value, &format!("{prefix}{name}"))?);
                }
            }
            if !found {
                bail!("--secrets-env {prefix}: no environment variable begins with that");
            }
        }
        for Secret { name, file } in &self.secrets {
            let text = input::file(file).with_context(|| format!("the secret '{name}'"))?;
            let text = String::from_utf8(text)
                .with_context(|| format!("the secret '{name}' in {}", file.display()))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            options = options.secret(name, text.strip_suffix('\r').unwrap_or(text));
        }
        for name in &self.env {
            let value = env::var_os(name);
            let value =
                value.with_context(|| format!("--env {name}: there is no such variable"))?;
            options = options.env(name, utf8(value, name)?);
        }
        Ok(options)
    }
}

fn utf8(value: std::ffi::OsString, name: &str) -> anyhow::Result<String> {
    match value.into_string() {
        Ok(value) => Ok(value),
        Err(_) => bail!("the environment variable {name} is not UTF-8"),
    }
}

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Secret, &'static str> {
        match text.split_once("=@") {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok(Secret {
                name: name.to_owned(),
                file: Path::new(file).to_owned(),
            }),
            _ => Err("write it as NAME=@FILE: values on the command line can be seen by others"),
        }
    }
}

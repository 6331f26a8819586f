//! `--compile`.

/// Whether Lua is translated to WebAssembly.
#[derive(Debug, clap::Args)]
pub(super) struct CompileArgs {
    /// Translate the Lua to WebAssembly before it runs: it does the same in less time. Only for Lua that you approved of.
    /// Compiled code is kept with the guest's.
    #[arg(long)]
    pub(super) compile: bool,
}

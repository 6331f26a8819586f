//! Where the lines of the repl come from: somebody who types, or a file.

use std::env;
use std::fs::DirBuilder;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use etcetera::BaseStrategy;
use rustyline::config::Behavior;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

/// Reads lines.
pub(super) enum Prompt {
    /// From a terminal, with editing and a history.
    Terminal(Box<Terminal>),
    /// From anything else.
    Plain {
        /// Whether to ask for them.
        is_shown: bool,
    },
}

/// What was read.
pub(super) enum Line {
    Text(String),
    /// Ctrl-C instead of a line.
    Interrupted,
    End,
}

pub(super) struct Terminal {
    editor: Editor<(), FileHistory>,
    /// The file that keeps the history.
    history: Option<PathBuf>,
}

impl Prompt {
    /// For lines that are typed, or that come from a file.
    ///
    /// # Errors
    /// If the terminal can't be used.
    pub(super) fn new(is_typed: bool) -> anyhow::Result<Prompt> {
        // A terminal that understands no more than text is one for plain lines.
        let is_dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if !is_typed || (cfg!(unix) && is_dumb) {
            return Ok(Prompt::Plain { is_shown: is_typed });
        }
        let config = Config::builder()
            .auto_add_history(false)
            .history_ignore_space(true)
            // Standard output is for values alone.
            .behavior(Behavior::PreferTerm)
            .build();
        let mut editor = Editor::with_config(config)?;
        let history = history_file();
        if let Some(file) = &history {
            // Nothing to remember from before is as good a start.
            let _ = editor.load_history(file);
        }
        Ok(Prompt::Terminal(Box::new(Terminal { editor, history })))
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// If it can't be read.
    pub(super) fn read(&mut self, prompt: &str) -> anyhow::Result<Line> {
        match self {
            Prompt::Terminal(terminal) => match terminal.editor.readline(prompt) {
                Ok(line) => Ok(Line::Text(line)),
                Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
                Err(ReadlineError::Eof) => Ok(Line::End),
                Err(error) => Err(error.into()),
            },
            Prompt::Plain { is_shown } => {
                if *is_shown {
                    let mut err = io::stderr().lock();
                    let _ = err.write_all(prompt.as_bytes()).and_then(|()| err.flush());
                }
                let line = io::stdin().lock().lines().next().transpose()?;
                Ok(line.map_or(Line::End, Line::Text))
            }
        }
    }

    /// Adds what was entered to the history, where there is one.
    pub(super) fn remember(&mut self, code: &str) {
        let Prompt::Terminal(terminal) = self else {
            return;
        };
        let is_new = terminal.editor.add_history_entry(code.trim_end());
        if let (Ok(true), Some(file)) = (is_new, &terminal.history) {
            // A history that can't be kept is no reason to stop.
            let _ = terminal.editor.append_history(file);
        }
    }
}

/// The file that keeps the history, in a folder that is there and the user's alone; `None` if there
/// is no place for it, or none is wanted.
fn history_file() -> Option<PathBuf> {
    if let Some(file) = env::var_os("MOONFORK_HISTORY") {
        return Some(PathBuf::from(file)).filter(|file| !file.as_os_str().is_empty());
    }
    let strategy = etcetera::choose_base_strategy().ok()?;
    let state = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    let folder = state.join("moonfork");
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).ok()?;
    Some(folder.join("history"))
}

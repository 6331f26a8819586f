//! A server of its own.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A server, which ends with this, or with this process.
pub(crate) struct Server {
    shell: Child,
    pid: String,
    port: u16,
    folder: PathBuf,
}

impl Server {
    /// Starts one that stores what it has in this folder.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Server> {
        let free = TcpListener::bind("127.0.0.1:0")?;
        let port = free.local_addr()?.port();
        drop(free);
        let (shell, pid) = run(folder, port)?;
        Ok(Server {
            shell,
            pid,
            port,
            folder: folder.to_owned(),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it, and starts it again.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.end();
        (self.shell, self.pid) = run(&self.folder, self.port)?;
        Ok(())
    }

    fn end(&mut self) {
        let _ = Command::new("kill")
            .args(["-9", &self.pid])
            .stderr(Stdio::null())
            .status();
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(folder: &Path, port: u16) -> anyhow::Result<(Child, String)> {
    let program = std::env::var_os("MOONFORK_NATS_SERVER").unwrap_or("nats-server".into());
    let script = r#""$0" -a 127.0.0.1 -p "$1" -js -sd "$2" > "$2/log" 2>&1 & echo $!; cat > /dev/null; kill -9 $! 2> /dev/null"#;
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .arg(port.to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("a shell for the server")?;
    let mut pid = String::new();
    let output = shell.stdout.take().context("the output of the server")?;
    BufReader::new(output).read_line(&mut pid)?;
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > Duration::from_secs(30) {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            bail!("the server doesn't serve: {log}");
        }
        sleep(Duration::from_millis(5));
    }
    Ok((shell, pid.trim().to_owned()))
}

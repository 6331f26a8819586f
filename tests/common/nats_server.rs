//! A server of NATS of its own for a test, where there is a program for it.

#![allow(dead_code, reason = "not every test needs everything")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server, which ends with this, or with the process of the test however that ends.
pub(crate) struct Server {
    shell: Child,
    pid: String,
    pub(crate) port: u16,
    /// Where it says what has passed.
    monitor: u16,
    folder: TempDir,
    program: PathBuf,
}

/// The program, if there is one: a line says so once where there is none.
fn program() -> Option<PathBuf> {
    static TOLD: Once = Once::new();
    if let Some(named) = std::env::var_os("MOONFORK_NATS_SERVER").filter(|it| !it.is_empty()) {
        return Some(named.into());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .map(|folder| folder.join("nats-server"))
        .find(|file| file.is_file());
    if found.is_none() {
        TOLD.call_once(|| {
            let text = "SKIPPED: tests with a server of NATS, since neither MOONFORK_NATS_SERVER nor PATH has one\n";
            // Past the test harness, which would keep it to itself.
            let _ = std::io::stderr().write_all(text.as_bytes());
        });
    }
    found
}

/// What has passed through a server, in and out of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Server {
    /// A new one, unless there is no program for it.
    pub(crate) fn start() -> Option<Server> {
        Server::start_with("")
    }

    /// One with more in its configuration.
    pub(crate) fn start_with(configuration: &str) -> Option<Server> {
        let program = program()?;
        let folder = TempDir::new().expect("a folder");
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let [port, monitor] = free.map(|it| it.local_addr().expect("its address").port());
        let store = folder.path().join("store");
        let text = format!(
            "listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor}\njetstream {{store_dir: {store:?}}}\n{configuration}\n"
        );
        std::fs::write(folder.path().join("server.conf"), text).expect("a file");
        let (shell, pid) = run(&program, &folder, port);
        Some(Server {
            shell,
            pid,
            port,
            monitor,
            folder,
            program,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// What has passed since it was started.
    pub(crate) fn traffic(&self) -> Traffic {
        let mut stream = TcpStream::connect(("127.0.0.1", self.monitor)).expect("it answers");
        let asked = stream.write_all(b"GET /varz HTTP/1.0\r\n\r\n");
        asked.expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let said: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let number = |key: &str| said[key].as_u64().expect("a number");
        Traffic {
            messages: number("in_msgs") + number("out_msgs"),
            bytes: number("in_bytes") + number("out_bytes"),
        }
    }

    /// Where it stores what it has.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Kills it, and starts it again on what it has stored.
    pub(crate) fn restart(&mut self) {
        self.end();
        (self.shell, self.pid) = run(&self.program, &self.folder, self.port);
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

/// Starts the program under a shell that kills it when this process is gone, and waits until it serves.
fn run(program: &PathBuf, folder: &TempDir, port: u16) -> (Child, String) {
    let script = r#""$0" -c "$1" -l "$2" & echo $!; cat > /dev/null; kill -9 $! 2> /dev/null"#;
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .arg(folder.path().join("server.conf"))
        .arg(folder.path().join("log"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut pid = String::new();
    let output = shell.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut pid).expect("a line");
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(began.elapsed() < Duration::from_secs(30), "{}", log());
        std::thread::sleep(Duration::from_millis(5));
    }
    (shell, pid.trim().to_owned())
}

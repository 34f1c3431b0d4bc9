//! Programs under test: started with a clean environment, always ended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

/// Long enough for a busy machine; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The path of the program.
pub static PROGRAM: LazyLock<String> = LazyLock::new(|| built("mcp-state-sidecar"));

/// The path of the program under its second name.
pub static HTTP_PROGRAM: LazyLock<String> = LazyLock::new(|| built("mcp-state-sidecar-http"));

/// Cargo builds the programs beside the folder of the test that runs.
fn built(program: &str) -> String {
    let test = std::env::current_exe().expect("a test knows where it is");
    let folder = test.ancestors().nth(2).expect("tests lie in a folder of the target");
    folder.join(program).display().to_string()
}

/// The program with no settings but those of the test.
pub fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", dir).current_dir(dir);
    command
}

/// Runs to its end.
pub fn run(dir: &Path, env: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = command(&PROGRAM, dir);
    command.envs(env.iter().copied()).args(args).stdin(Stdio::null());
    command.output().expect("the program starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that runs; killed when the test ends, however it ends.
pub struct Running {
    pub child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    /// Starts it and reads what it writes to standard error.
    pub fn start(mut command: Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let (send, lines) = mpsc::channel();
        let errors = child.stderr.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Running { child, lines, seen: Vec::new() }
    }

    /// Waits for a line with `part` in it.
    pub fn line_with(&mut self, part: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with {part:?} in:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// The port that a node says it serves on.
    pub fn port(&mut self) -> u16 {
        let line = self.line_with("serving MCP");
        let port = line.split("port=").nth(1).and_then(|rest| rest.split(' ').next());
        port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {line}"))
    }

    /// Sends a signal by its number.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end and gives the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it still runs; it said:\n{}", self.seen.join("\n"));
    }

    /// All that it wrote to standard error. It must have ended.
    pub fn rest(&mut self) -> String {
        self.seen.extend(self.lines.iter());
        self.seen.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.seen.extend(self.lines.try_iter());
            eprintln!("the program said:\n{}", self.seen.join("\n"));
        }
    }
}

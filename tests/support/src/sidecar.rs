//! One sidecar: the real program as a process of its own, serving MCP on a port
//! of loopback, to be killed and started again.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::command_line::PROGRAM;

/// A sidecar that does not answer by then does not work.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Its process, and how it is started.
pub struct Sidecar {
    pub host: String,
    pub port: u16,
    /// What the program is started with, such as `ip netns exec NAME`.
    pub through: Vec<String>,
    name: String,
    process: Option<Child>,
    log: PathBuf,
    settings: Vec<(String, String)>,
}

/// `count` sidecars with the same settings, which share what these name. All
/// are ready.
pub async fn start_all(count: usize, dir: &Path, settings: &[(&str, &str)]) -> Vec<Sidecar> {
    let mut all = Vec::new();
    for (number, port) in free_ports(count).into_iter().enumerate() {
        let mut sidecar = Sidecar::new(&format!("sidecar{number}"), dir, port, settings);
        sidecar.start();
        all.push(sidecar);
    }
    for sidecar in &mut all {
        sidecar.ready().await;
    }
    all
}

impl Sidecar {
    /// One that does not run yet. It serves callers on this machine on `port`
    /// and writes its log into `dir`.
    pub fn new(name: &str, dir: &Path, port: u16, settings: &[(&str, &str)]) -> Sidecar {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Sidecar {
            host: "127.0.0.1".to_owned(),
            port,
            through: Vec::new(),
            name: name.to_owned(),
            process: None,
            log: dir.join(format!("{name}.log")),
            settings: settings.iter().map(owned).collect(),
        }
    }

    /// Starts the process; it takes up what its settings name.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).expect("a log");
        let program = PROGRAM.clone();
        let words: Vec<String> = self.through.iter().cloned().chain([program]).collect();
        let process = Command::new(&words[0])
            .args(&words[1..])
            .arg("serve")
            .env("SIDECAR_PORT", self.port.to_string())
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.process = Some(process);
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a sidecar that runs");
        process.kill().expect("it is ours");
        process.wait().expect("it is ours");
    }

    /// Whether it was started and has not ended by itself.
    pub fn runs(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.try_wait().expect("it is ours").is_none())
    }

    /// SIGTERM; how it ended.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        let mut process = self.process.take().expect("a sidecar that runs");
        process.wait().expect("it is ours")
    }

    /// SIGSTOP: it is there, but it does nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("a sidecar that runs");
        kill_process(Pid::from_child(process), signal).expect("it is ours");
    }

    /// Waits until it serves.
    pub async fn ready(&mut self) {
        let deadline = Instant::now() + READY_WITHIN;
        let client = Client::at(&self.host, self.port);
        while !client.is_ready().await {
            let process = self.process.as_mut().expect("a sidecar that runs");
            let ended = process.try_wait().expect("it is ours");
            assert_eq!(ended, None, "{} has ended; it said:\n{}", self.name, self.last_lines());
            let log = self.last_lines();
            assert!(Instant::now() < deadline, "{} is not ready; it said:\n{log}", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("{} said:\n{}", self.name, self.last_lines());
        }
    }
}

/// Ports that were free a moment ago.
pub fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
}

//! One node of `dev`: a process of its own, in a process group of its own so
//! that a terminal's Ctrl-C reaches `dev` alone, which stops nodes in order.
//! Its lines are printed with its name before them.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::layout::Layout;
use crate::config::settings::SETTINGS;

/// Settings that `dev` decides in each node's file: from the environment they
/// would win over it and make all nodes one.
const DECIDED: [&str; 9] = [
    "state_backend",
    "cluster_name",
    "node_id",
    "members",
    "host",
    "port",
    "advertise_url",
    "raft_addr",
    "data_dir",
];

/// Colours of the names, in turn: all can be read on light and on dark.
const COLOURS: [&str; 6] = ["36", "35", "33", "32", "34", "31"];

/// A running node.
pub struct Node {
    pub id: u16,
    pub pid: u32,
    process: Child,
}

impl Node {
    /// Starts the node. Call it on a thread that lives as long as `dev`: the
    /// kernel watches the thread that started a process, not its parent.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(program: &PathBuf, layout: &Layout, id: u16, colour: bool) -> io::Result<Node> {
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg("--config")
            .arg(layout.file(id))
            .arg(format!("--die-with={}", std::process::id()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for setting in SETTINGS.iter().filter(|setting| DECIDED.contains(&setting.name)) {
            command.env_remove(setting.env);
        }
        command.env_remove(crate::config::CONFIG_ENV);
        let mut process = command.spawn()?;
        let name = name(id, colour);
        if let Some(output) = process.stdout.take() {
            tokio::spawn(print_lines(name.clone(), output));
        }
        if let Some(output) = process.stderr.take() {
            tokio::spawn(print_lines(name, output));
        }
        // Not yet waited for, so it still has its number.
        let pid = process.id().unwrap_or_default();
        std::fs::write(layout.pid_file(id), format!("{pid}\n"))?;
        Ok(Node { id, pid, process })
    }

    /// Waits until the process has ended. May be dropped and called again.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Asks it to stop in order, and after `patience` makes it stop.
    pub async fn stop(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        if let Some(pid) = self.process.id().and_then(|pid| Pid::from_raw(pid as i32)) {
            // Fails where it has just ended by itself: then there is nothing to do.
            let _ = kill_process(pid, Signal::TERM);
        }
        match tokio::time::timeout(patience, self.process.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.process.start_kill()?;
                self.process.wait().await
            }
        }
    }

    /// Makes it stop at once.
    pub fn kill(&mut self) {
        // Fails where it has ended already.
        let _ = self.process.start_kill();
    }
}

async fn print_lines(name: String, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        // One call, so that lines of several nodes never mix.
        eprintln!("{name} {}", String::from_utf8_lossy(&line));
    }
}

fn name(id: u16, colour: bool) -> String {
    if !colour {
        return format!("node {id} |");
    }
    let colour = COLOURS[usize::from(id - 1) % COLOURS.len()];
    format!("\x1b[{colour}mnode {id} |\x1b[0m")
}

//! One node of `dev`: a process in a process group of its own. Ctrl-C in the terminal
//! therefore reaches `dev` alone, which stops the nodes in order. The lines that a node
//! prints are repeated with its name before them.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::layout::DevLayout;
use crate::config::settings::SETTINGS;

/// The settings that `dev` decides in the file of each node. In the environment they would
/// win over the file, and all nodes would have the same ports and directory.
const DECIDED_SETTINGS: [&str; 9] = [
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

/// The colours of the names, in turn. All are readable on light and dark backgrounds.
const COLOURS: [&str; 6] = ["36", "35", "33", "32", "34", "31"];

/// A running node.
pub struct DevNode {
    pub id: u16,
    pub pid: u32,
    process: Child,
}

impl DevNode {
    /// Starts the node. The thread that calls this must live as long as `dev`, since the
    /// kernel ends the node when the thread that started it ends.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(
        program: &PathBuf,
        layout: &DevLayout,
        id: u16,
        colour: bool,
    ) -> io::Result<DevNode> {
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
        for setting in SETTINGS.iter().filter(|setting| DECIDED_SETTINGS.contains(&setting.name)) {
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
        // Nobody has waited for the process yet, so it still has its id.
        let pid = process.id().unwrap_or_default();
        std::fs::write(layout.pid_file(id), format!("{pid}\n"))?;
        Ok(DevNode { id, pid, process })
    }

    /// Waits until the process has ended. The future may be dropped and called again.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Asks the process to stop, and kills it if it takes longer than `timeout`.
    pub async fn stop(&mut self, timeout: Duration) -> io::Result<ExitStatus> {
        if let Some(pid) = self.process.id().and_then(|pid| Pid::from_raw(pid as i32)) {
            // This fails if the process has just ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        match tokio::time::timeout(timeout, self.process.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.process.start_kill()?;
                self.process.wait().await
            }
        }
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        // This fails if the process has ended already.
        let _ = self.process.start_kill();
    }
}

async fn print_lines(name: String, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        // One call for each line, so that lines of several nodes never mix.
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

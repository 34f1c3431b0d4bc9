//! One command with a deadline, or one that keeps running until it is told to
//! stop. Either runs in a process group of its own, so that nothing which it
//! started outlives it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt;

use rustix::process::{Pid, Signal, kill_process_group};

/// How long one block may take. A debug build on a busy machine needs a few
/// seconds for the slowest of them.
const BLOCK_DEADLINE: Duration = Duration::from_secs(120);
/// How long a server may take to stop: longer than its own patience.
const STOP_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// How a command ended.
pub struct Ended {
    pub status: ExitStatus,
    /// Standard output and standard error, in the order in which they came.
    pub output: String,
}

/// A command that runs.
pub struct Running {
    child: Child,
    output: PathBuf,
    over: bool,
}

impl Running {
    /// Starts `command`, and writes what it prints to the file `output`.
    pub fn start(mut command: Command, output: PathBuf) -> Running {
        let file = File::create(&output).expect("a file for the output");
        let errors = file.try_clone().expect("a second handle");
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .expect("the command starts");
        Running { child, output, over: false }
    }

    /// Waits for the command to end by itself.
    pub fn wait(mut self) -> Result<Ended, String> {
        self.end_within(BLOCK_DEADLINE)
    }

    /// Asks the command to stop, as systemd does, and waits for it.
    pub fn stop(mut self) -> Result<Ended, String> {
        if !self.has_ended() {
            let _ = kill_process_group(self.pid(), Signal::TERM);
        }
        self.end_within(STOP_DEADLINE)
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    fn end_within(&mut self, patience: Duration) -> Result<Ended, String> {
        let give_up = Instant::now() + patience;
        while Instant::now() < give_up {
            if let Some(status) = self.child.try_wait().expect("a child's status") {
                self.over = true;
                return Ok(Ended { status, output: self.output() });
            }
            sleep(POLL);
        }
        Err(format!("did not end within {} s:\n{}", patience.as_secs(), self.output()))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group outlives its leader where a block left something running.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        if !self.over {
            let _ = self.child.wait();
        }
    }
}

/// Waits until `condition` holds; false if it never does.
pub fn holds_soon(mut condition: impl FnMut() -> bool) -> bool {
    let give_up = Instant::now() + BLOCK_DEADLINE;
    while Instant::now() < give_up {
        if condition() {
            return true;
        }
        sleep(POLL);
    }
    false
}

/// Whether `program` can be found on the PATH.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}

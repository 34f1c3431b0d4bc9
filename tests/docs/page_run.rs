//! The blocks of one page, run from its top to its bottom as a reader would,
//! in one scratch folder. A block that fails ends its page: those below may
//! build on it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::class::{Class, Needs};
use crate::expected;
use crate::mcp;
use crate::page::{Block, Page};
use crate::process::{Ended, Running, holds_soon, is_installed};
use crate::scratch::{Scratch, status_line};

/// What went wrong on `page`; nothing where every block did as it says.
pub fn run(page: &Page) -> Vec<String> {
    let is_run = |block: &&Block| {
        let class = Class::of(block);
        class.is_ok_and(|class| !matches!(class, Class::Manual | Class::Illustration))
    };
    let blocks: Vec<&Block> = page.blocks.iter().filter(is_run).collect();
    if blocks.is_empty() {
        return Vec::new();
    }
    let mut run = PageRun { scratch: Scratch::new(), background: Vec::new() };
    let mut complaints = Vec::new();
    for block in blocks {
        if let Err(complaint) = run.block(&page.name, block) {
            complaints.push(format!("{}:{}: {complaint}", page.name, block.line));
            break;
        }
    }
    complaints
        .extend(run.stop().into_iter().map(|complaint| format!("{}: {complaint}", page.name)));
    complaints
}

struct PageRun {
    scratch: Scratch,
    /// What keeps running, each with the block that started it.
    background: Vec<(String, Running)>,
}

impl PageRun {
    fn block(&mut self, page: &str, block: &Block) -> Result<(), String> {
        let class = Class::of(block)?;
        if let Some(missing) = self.provide(class.needs()) {
            eprintln!("{page}:{}: did not run, because {missing}", block.line);
            return Ok(());
        }
        let body = &block.body;
        match class {
            Class::Script(_) => self.script(body).map(drop),
            Class::Console(_) => self.console(body),
            Class::Python(_) => self.python(body),
            Class::Background(_) => self.start(body),
            Class::Client => mcp::open_all(&self.scratch, body),
            Class::Json => {
                let parsed = serde_json::from_str::<serde_json::Value>(body);
                parsed.map(drop).map_err(|error| format!("is no JSON: {error}"))
            }
            Class::Settings => self.settings(body),
            Class::Manual | Class::Illustration => Ok(()),
        }
    }

    /// Makes what a block needs available, or says what is missing.
    fn provide(&self, needs: Needs) -> Option<String> {
        if needs.redis_server && !is_installed("redis-server") {
            return Some("redis-server is not installed".to_owned());
        }
        if needs.grpcio {
            let venv = match python_with_grpcio() {
                Ok(venv) => venv,
                Err(why) => return Some(format!("grpcio cannot be installed: {why}")),
            };
            let link = self.scratch.path("work").join("venv");
            if !link.exists() {
                std::os::unix::fs::symlink(venv, link).expect("a link to the environment");
            }
        }
        None
    }

    fn script(&mut self, script: &str) -> Result<Ended, String> {
        let ended = self.bash(script)?;
        match ended.status.success() {
            true => Ok(ended),
            false => Err(format!("{}:\n{script}\n{}", ended.status, ended.output)),
        }
    }

    fn bash(&mut self, script: &str) -> Result<Ended, String> {
        let log = self.scratch.next_log();
        Running::start(self.scratch.bash(script), log).wait()
    }

    /// Runs each command, and compares what it prints with what is shown. A
    /// command below which nothing is shown must succeed; one that shows a
    /// refusal may fail.
    fn console(&mut self, body: &str) -> Result<(), String> {
        for step in expected::steps(body)? {
            if step.output.is_empty() {
                self.script(&step.command)?;
                continue;
            }
            // What a command exports must outlive it even where it fails.
            let ended = self.bash(&format!("{{ {}\n}} || true", step.command))?;
            let actual = self.scratch.to_page(&ended.output);
            if !expected::matches(&step.output, &actual) {
                let shown = step.output.join("\n");
                return Err(format!(
                    "the output differs:\n$ {}\n--- the page shows\n{shown}\n--- it is\n{actual}",
                    step.command
                ));
            }
        }
        Ok(())
    }

    fn python(&mut self, body: &str) -> Result<(), String> {
        let log = self.scratch.next_log();
        let mut command = self.scratch.command("venv/bin/python");
        command.arg("-c").arg(self.scratch.to_real(body));
        let ended = Running::start(command, log).wait()?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(format!("{}:\n{}", ended.status, ended.output)),
        }
    }

    /// Starts a server and waits until it serves.
    fn start(&mut self, body: &str) -> Result<(), String> {
        let before = self.scratch.listening();
        let log = self.scratch.next_log();
        let mut running = Running::start(self.scratch.bash_for_server(body), log);
        let is_cluster = body.contains("mcp-state-sidecar dev");
        let ports = self.scratch.cluster_ports();
        let is_ready =
            |port: &u16| status_line(*port, "/readyz").is_some_and(|line| line.contains(" 200 "));
        let mut ended_early = false;
        let serves = holds_soon(|| {
            ended_early = running.has_ended();
            let serves = match is_cluster {
                true => ports.iter().all(is_ready),
                false => self.scratch.listening().len() > before.len(),
            };
            ended_early || serves
        });
        if ended_early || !serves {
            return Err(format!("does not serve:\n{body}\n{}", running.output()));
        }
        self.background.push((body.trim().to_owned(), running));
        Ok(())
    }

    fn settings(&mut self, body: &str) -> Result<(), String> {
        let file = self.scratch.path("work").join("checked.toml");
        fs::write(&file, self.scratch.to_real(body)).expect("a settings file");
        self.script("mcp-state-sidecar --config checked.toml --print-config").map(drop)
    }

    /// Ends what still runs, the last first; each must end well.
    fn stop(self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (started_by, running) in self.background.into_iter().rev() {
            match running.stop() {
                Ok(ended) if ended.status.success() => {}
                Ok(ended) => complaints
                    .push(format!("'{started_by}' ended with {}:\n{}", ended.status, ended.output)),
                Err(why) => complaints.push(format!("'{started_by}' {why}")),
            }
        }
        complaints
    }
}

/// A Python environment with grpcio, below the target folder: installed once,
/// then found again.
fn python_with_grpcio() -> &'static Result<PathBuf, String> {
    static VENV: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    VENV.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("docs-python");
        let (venv, complete) = (folder.join("venv"), folder.join("complete"));
        if !complete.exists() {
            // An earlier attempt may have left half of it.
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            let mut pip = Command::new(venv.join("bin/pip"));
            // One try: a machine without a network must not wait for each.
            pip.args(["install", "--quiet", "--retries", "0", "--timeout", "10"]);
            succeed(pip.args(["grpcio", "grpcio-tools"]))?;
            fs::write(complete, "").map_err(|error| error.to_string())?;
        }
        Ok(venv)
    })
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let output =
        command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

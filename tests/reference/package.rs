//! The reference's package, installed once in an environment of its own below the target
//! folder. The benchmark measures it too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const WANTED: &str = "mcp-state-sidecar[redis]==0.1.0";

/// What can be run.
pub struct Package {
    scripts: PathBuf,
}

/// The package; nothing, with the reason on standard error, where it cannot be
/// had.
pub fn installed(test: &str) -> Option<&'static Package> {
    static PACKAGE: OnceLock<Result<Package, String>> = OnceLock::new();
    match PACKAGE.get_or_init(install) {
        Ok(package) => Some(package),
        Err(why) => {
            eprintln!("{test}: did not run, since the reference cannot be installed: {why}");
            None
        }
    }
}

impl Package {
    /// One of the reference's own commands, with these settings and no others.
    pub fn program(&self, name: &str, dir: &Path, settings: &[(&str, String)]) -> Command {
        let mut program = Command::new(self.scripts.join(name));
        program.current_dir(dir).env_clear().env("HOME", dir);
        // Its framework would ask the package index whether it is the newest.
        program.env("FASTMCP_CHECK_FOR_UPDATES", "off").env("FASTMCP_SHOW_SERVER_BANNER", "false");
        program.envs(settings.iter().map(|(name, value)| (*name, value)));
        program
    }
}

fn install() -> Result<Package, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference-0.1.0");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    // Another run of these tests may be at it.
    let lock = File::create(folder.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let (venv, complete) = (folder.join("venv"), folder.join("complete"));
    let scripts = venv.join("bin");
    if !complete.exists() {
        // What an earlier attempt left may be half of it.
        let _ = fs::remove_dir_all(&venv);
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        // One try: a machine without a network is not to wait for each.
        let quickly = ["--retries", "0", "--timeout", "10", "--disable-pip-version-check"];
        let mut pip = Command::new(scripts.join("pip"));
        run(pip.args(["install", "--quiet"]).args(quickly).arg(WANTED))?;
        File::create(complete).map_err(|error| error.to_string())?;
    }
    Ok(Package { scripts })
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

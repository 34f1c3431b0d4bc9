//! Which binary of the program is measured: the one that was built with the
//! benchmark, or another, such as the release before.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// A binary, and what tables call it.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    name: String,
}

impl Program {
    /// The one that was built with this benchmark.
    pub fn this() -> Program {
        let path = env!("CARGO_BIN_EXE_mcp-state-sidecar").into();
        Program { path, name: "this".to_owned() }
    }

    /// The one at `path`.
    pub fn other(path: &Path) -> Result<Program> {
        let found = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Program { path: found, name: path.display().to_string() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// To be completed and started.
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }
}

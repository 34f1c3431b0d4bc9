//! Why a command failed, with its exit code.

use std::fmt::Display;
use std::process::ExitCode;

use crate::server::export_import::ExportImportError;

/// Why a command failed: one line for people, and the exit code.
#[derive(Debug)]
pub struct CommandFailure {
    line: String,
    code: u8,
}

impl CommandFailure {
    /// An argument or a setting is wrong, so the command was not tried: exit code 2.
    pub fn usage(line: impl Display) -> CommandFailure {
        CommandFailure { line: line.to_string(), code: 2 }
    }

    /// The command was tried and failed: exit code 1.
    pub fn run(line: impl Display) -> CommandFailure {
        CommandFailure { line: line.to_string(), code: 1 }
    }

    /// The line for people.
    pub fn line(&self) -> &str {
        &self.line
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<ExportImportError> for CommandFailure {
    fn from(error: ExportImportError) -> CommandFailure {
        match &error {
            ExportImportError::Unsupported(..) | ExportImportError::Missing(_) => {
                CommandFailure::usage(error)
            }
            ExportImportError::SqliteImport(import) if import.is_not_empty() => {
                CommandFailure::run(format!("{error}; --replace replaces it"))
            }
            ExportImportError::RedisImport(import) if import.is_not_empty() => {
                CommandFailure::run(format!("{error}; --replace replaces it"))
            }
            ExportImportError::Export(_)
            | ExportImportError::SqliteImport(_)
            | ExportImportError::Redis(_)
            | ExportImportError::RedisExport(_)
            | ExportImportError::RedisImport(_)
            | ExportImportError::Seed(_) => CommandFailure::run(error),
        }
    }
}

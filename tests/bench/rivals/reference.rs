//! The Python reference as a process of its own, over HTTP, with its state in SQLite.

#[path = "../../reference/package.rs"]
mod package;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Result;
use crate::http::McpClient;
use crate::servers::data_dir;
use support::redis_server::free_port;

/// Python needs seconds to start.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A reference that runs. It is killed when it is dropped.
pub struct Reference {
    process: Child,
    host: String,
    session: String,
    _dir: TempDir,
}

impl Reference {
    /// Starts it; nothing, with the reason on standard error, where it cannot be
    /// installed.
    pub async fn start() -> Result<Option<Reference>> {
        let Some(package) = package::installed("Python reference") else { return Ok(None) };
        let (dir, port) = (tempfile::tempdir_in(data_dir())?, free_port());
        let settings = [
            ("STATE_BACKEND", "sqlite".to_owned()),
            ("DB_PATH", "state.db".to_owned()),
            ("SIDECAR_HOST", "127.0.0.1".to_owned()),
            ("SIDECAR_PORT", port.to_string()),
        ];
        let mut program = package.program("mcp-state-sidecar-http", dir.path(), &settings);
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (process, host) = (program.spawn()?, format!("127.0.0.1:{port}"));
        let mut reference = Reference { process, host, session: String::new(), _dir: dir };
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match reference.session_of_its_own().await {
                Ok(session) => reference.session = session,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            }
            return Ok(Some(reference));
        }
    }

    async fn session_of_its_own(&self) -> Result<String> {
        McpClient::connect(self.host.clone()).await?.initialize().await
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// The session in which its clients call it.
    pub fn session(&self) -> &str {
        &self.session
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // A process that has ended already cannot be ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! A filter between a pipe and rmcp, which ignores lines that it cannot read, and hardly
//! explains why it refuses what comes before the client has introduced itself. The filter
//! answers these lines, so that no client waits for ever, and passes on all others,
//! including a last line that no newline ends.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::lines::{MessageLine, MessageLines};
use super::malformed;
use crate::api::json_rpc;

/// The longest line, in bytes: several of the largest values fit.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many bytes may be on their way to rmcp, and back.
const PIPE_BYTES: usize = 64 * 1024;

/// The tasks that copy lines in both directions.
pub(super) struct StdioFilter {
    reading: JoinHandle<io::Result<()>>,
    writing: JoinHandle<io::Result<()>>,
}

/// Starts to filter a pipe, and returns the streams for rmcp. Cancels `hung_up`
/// when the client has closed its side.
pub(super) fn start(
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    hung_up: CancellationToken,
) -> (StdioFilter, DuplexStream, DuplexStream) {
    let (accepted, rmcp_input) = tokio::io::duplex(PIPE_BYTES);
    let (rmcp_output, answers) = tokio::io::duplex(PIPE_BYTES);
    // Locked for one whole line at a time, so that lines do not mix.
    let output = Arc::new(Mutex::new(output));
    let lines = MessageLines::refusing(input, LINE_BYTES_MAX, malformed::refuse);
    let reading = read(lines, accepted, output.clone());
    let reading = tokio::spawn(async move {
        let _hung_up = hung_up.drop_guard();
        reading.await
    });
    let writing = tokio::spawn(write(BufReader::new(answers), output));
    (StdioFilter { reading, writing }, rmcp_input, rmcp_output)
}

impl StdioFilter {
    /// Writes the last answers of rmcp. To be called when rmcp has ended.
    pub(super) async fn finish(self) {
        self.reading.abort();
        // This fails only if the client is gone, and with it the need for answers.
        let _ = self.writing.await;
    }
}

async fn read(
    mut input: MessageLines<impl AsyncRead + Unpin>,
    mut accepted: DuplexStream,
    output: Arc<Mutex<impl AsyncWrite + Unpin>>,
) -> io::Result<()> {
    let mut is_introduced = false;
    while let Some(line) = input.next().await? {
        let message = match line {
            MessageLine::Message(message) => message,
            MessageLine::Refused(answer) => {
                write_line(&output, format!("{answer}\n").as_bytes()).await?;
                continue;
            }
        };
        if !is_introduced {
            match opening(message) {
                Opening::Introduces => is_introduced = true,
                Opening::Allowed => {}
                Opening::TooEarly => {
                    let error = malformed::error(message, json_rpc::INVALID_REQUEST, TOO_EARLY);
                    write_line(&output, format!("{error}\n").as_bytes()).await?;
                    continue;
                }
                Opening::Ignored => continue,
            }
        }
        accepted.write_all(message).await?;
        accepted.write_all(b"\n").await?;
    }
    Ok(())
}

/// What a message is before its client has introduced itself.
enum Opening {
    Introduces,
    Allowed,
    TooEarly,
    /// It has no answer, and would end the connection.
    Ignored,
}

const TOO_EARLY: &str = "Invalid Request: send initialize first, or name the revision of the \
    protocol in each request's _meta, as 2026-07-28 does";

#[derive(Deserialize)]
struct OpeningMessage {
    id: Option<IgnoredAny>,
    method: Option<String>,
    params: Option<OpeningParams>,
}

#[derive(Deserialize)]
struct OpeningParams {
    #[serde(rename = "_meta", default)]
    meta: BTreeMap<String, IgnoredAny>,
}

fn opening(message: &[u8]) -> Opening {
    const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    let Ok(message) = serde_json::from_slice::<OpeningMessage>(message) else {
        return Opening::Allowed;
    };
    let has_version = message.params.is_some_and(|params| params.meta.contains_key(VERSION));
    match (message.method.as_deref(), message.id) {
        (Some("initialize"), Some(_)) => Opening::Introduces,
        (Some("ping" | "server/discover"), Some(_)) => Opening::Allowed,
        (Some(_), Some(_)) if has_version => Opening::Introduces,
        (Some(_), Some(_)) => Opening::TooEarly,
        (None, _) | (Some(_), None) => Opening::Ignored,
    }
}

async fn write(
    mut answers: BufReader<DuplexStream>,
    output: Arc<Mutex<impl AsyncWrite + Unpin>>,
) -> io::Result<()> {
    let mut line = Vec::new();
    while answers.read_until(b'\n', &mut line).await? > 0 {
        write_line(&output, &line).await?;
        line.clear();
    }
    Ok(())
}

async fn write_line(output: &Mutex<impl AsyncWrite + Unpin>, line: &[u8]) -> io::Result<()> {
    let mut output = output.lock().await;
    output.write_all(line).await?;
    output.flush().await
}

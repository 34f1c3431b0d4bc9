//! A filter between a pipe and rmcp, which ignores lines that it cannot read.
//! The filter answers such lines, so that no client waits for ever, and passes
//! on all others, including a last line that no newline ends.

use std::io;
use std::sync::Arc;

use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream,
};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{malformed, too_deep};
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
    let reading = read(BufReader::new(input), accepted, output.clone());
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
    mut input: impl AsyncBufReadExt + Unpin,
    mut accepted: DuplexStream,
    output: Arc<Mutex<impl AsyncWrite + Unpin>>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = LINE_BYTES_MAX as u64 + 1;
        if (&mut input).take(most).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let refusal = if line.len() > LINE_BYTES_MAX {
            skip(&mut input, line.ends_with(b"\n")).await?;
            let why = format!("Invalid Request: a message takes up to {LINE_BYTES_MAX} bytes");
            Some(json_rpc::error(None, json_rpc::INVALID_REQUEST, &why))
        } else {
            refuse(line.trim_ascii())
        };
        match refusal {
            Some(mut answer) => {
                answer.push('\n');
                write_line(&output, answer.as_bytes()).await?;
            }
            None => {
                if !line.ends_with(b"\n") {
                    line.push(b'\n');
                }
                accepted.write_all(&line).await?;
            }
        }
    }
}

/// The answer to a line that rmcp must not see.
fn refuse(line: &[u8]) -> Option<String> {
    if line.is_empty() {
        return None;
    }
    let reserved = too_deep::reserved(line).map(|why| {
        malformed::error(line, json_rpc::INVALID_REQUEST, &format!("Invalid Request: {why}"))
    });
    reserved.or_else(|| malformed::refuse(line))
}

/// Skips the rest of a line that is too long.
async fn skip(input: &mut (impl AsyncBufReadExt + Unpin), mut ended: bool) -> io::Result<()> {
    while !ended {
        let bytes = input.fill_buf().await?;
        let newline = bytes.iter().position(|byte| *byte == b'\n');
        let used = newline.map_or(bytes.len(), |at| at + 1);
        ended = newline.is_some() || used == 0;
        input.consume(used);
    }
    Ok(())
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

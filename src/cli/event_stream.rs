//! Answers that are streams of events: notifications are passed on as they come, and the
//! answer itself is returned.

use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::mpsc;

/// The longest line of a stream. The longest page of a tool is far shorter.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads a stream up to the answer, and sends each message before it to `notifications`.
/// Fails if nothing comes for `quiet`; nodes send something far more often.
pub(super) async fn answer(
    mut stream: BodyDataStream,
    notifications: &mpsc::Sender<String>,
    quiet: Duration,
) -> Result<Bytes, String> {
    let mut unread = Vec::new();
    loop {
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data:") else { continue };
            let data = data.trim_ascii();
            let Ok(message) = serde_json::from_slice::<Value>(data) else { continue };
            if message.get("method").is_none() {
                return Ok(Bytes::copy_from_slice(data));
            }
            // Sending fails only if the client has gone.
            let _ = notifications.send(message.to_string()).await;
        }
        let frame = tokio::time::timeout(quiet, stream.next()).await;
        let frame = frame.map_err(|_| format!("nothing within {} s", quiet.as_secs_f32()))?;
        let frame = frame.ok_or("the stream ended without an answer")?;
        unread.extend_from_slice(&frame.map_err(|error| error.to_string())?);
        if unread.len() > LINE_BYTES_MAX {
            return Err(format!("a message has more than {LINE_BYTES_MAX} bytes"));
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn notifications_are_passed_on_and_the_answer_is_returned() {
        const QUIET: Duration = Duration::from_secs(20);
        let frames =
            ["data: {\"method\":", "\"a\"}\r\n\r\n: ping\n\ndata:\n", "data:{\"id\":1}\n\n"];
        let body = |count: usize| {
            let frames = frames.iter().take(count).map(|frame| Ok::<_, std::io::Error>(*frame));
            Body::from_stream(stream::iter(frames.collect::<Vec<_>>())).into_data_stream()
        };
        let (sender, mut sent) = mpsc::channel(8);
        let answered = answer(body(3), &sender, QUIET).await;
        assert_eq!(answered.as_deref(), Ok(b"{\"id\":1}".as_slice()));
        assert_eq!(sent.recv().await.as_deref(), Some("{\"method\":\"a\"}"));
        let cut = answer(body(2), &sender, QUIET).await.unwrap_err();
        assert_eq!(cut, "the stream ended without an answer");
    }
}

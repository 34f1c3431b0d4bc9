//! The lines that a client writes to a pipe, one message on each. A line that is too long,
//! or that cannot be carried on, is answered instead, so that no client waits for ever.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::malformed;
use crate::api::json_rpc;

/// Reads messages, and refuses what is none.
pub struct MessageLines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    bytes_max: usize,
    /// The answer to a line that is not to be carried on.
    refuse: fn(&[u8]) -> Option<String>,
}

/// What the client has written, without the end of the line.
pub enum MessageLine<'a> {
    Message(&'a [u8]),
    /// It is refused with this answer.
    Refused(String),
}

impl<R: AsyncRead + Unpin> MessageLines<R> {
    /// The messages of `input`, of up to `bytes_max` bytes each. Whether a method exists,
    /// and what it takes, is for others to decide.
    pub fn new(input: R, bytes_max: usize) -> MessageLines<R> {
        MessageLines::refusing(input, bytes_max, malformed::refuse_unreadable)
    }

    /// The same with other refusals.
    pub(super) fn refusing(
        input: R,
        bytes_max: usize,
        refuse: fn(&[u8]) -> Option<String>,
    ) -> MessageLines<R> {
        MessageLines { input: BufReader::new(input), line: Vec::new(), bytes_max, refuse }
    }

    /// The next line that is not empty; `None` at the end.
    ///
    /// # Errors
    /// The input cannot be read.
    pub async fn next(&mut self) -> io::Result<Option<MessageLine<'_>>> {
        loop {
            self.line.clear();
            // The newline does not count.
            let most = self.bytes_max as u64 + 1;
            if (&mut self.input).take(most).read_until(b'\n', &mut self.line).await? == 0 {
                return Ok(None);
            }
            if self.line.len() > self.bytes_max && !self.line.ends_with(b"\n") {
                skip(&mut self.input).await?;
                let why =
                    format!("Invalid Request: a message takes up to {} bytes", self.bytes_max);
                let answer = json_rpc::error(None, json_rpc::INVALID_REQUEST, &why);
                return Ok(Some(MessageLine::Refused(answer)));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let line = self.line.trim_ascii();
        let refusal = (self.refuse)(line);
        Ok(Some(refusal.map_or(MessageLine::Message(line), MessageLine::Refused)))
    }
}

/// Skips the rest of a line.
async fn skip(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf().await?;
        let newline = bytes.iter().position(|byte| *byte == b'\n');
        let used = newline.map_or(bytes.len(), |at| at + 1);
        input.consume(used);
        if newline.is_some() || used == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_line_is_a_message_or_is_answered() {
        let input = b"{\"jsonrpc\":\"2.0\",\"method\":\"a/b\"}\r\n\n[]\n123456789 123456789 \
                      123456789 123456789\n {\"jsonrpc\":\"2.0\",\"method\":\"c/d\"}";
        let mut lines = MessageLines::new(&input[..], 34);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            seen.push(match line {
                MessageLine::Message(message) => String::from_utf8_lossy(message).into_owned(),
                MessageLine::Refused(answer) => answer,
            });
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(seen[0].ends_with("\"a/b\"}") && seen[3].ends_with("\"c/d\"}"), "{seen:?}");
        assert!(seen[1].contains("-32600") && seen[1].contains("batches"), "{seen:?}");
        assert!(seen[2].contains("-32600") && seen[2].contains("up to 34 bytes"), "{seen:?}");
    }
}

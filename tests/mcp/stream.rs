//! A request whose answer is a stream of events, read one by one.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::node::{Node, latest};

/// Nothing that a test waits for takes this long.
const LONG: Duration = Duration::from_secs(20);

pub struct EventStream {
    stream: TcpStream,
    pub head: String,
    unread: String,
}

impl EventStream {
    /// Posts a message and reads the head of the answer.
    pub async fn open(node: &Node, headers: &[(&str, &str)], body: &str) -> EventStream {
        let mut request = format!(
            "POST /mcp HTTP/1.1\r\nConnection: close\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
            node.addr,
            body.len()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(node.addr).await.expect("the node listens");
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).await.expect("it reads");
        let mut opened = EventStream { stream, head: String::new(), unread: String::new() };
        while !opened.unread.contains("\r\n\r\n") {
            assert!(opened.read().await, "no answer: {}", opened.unread);
        }
        let (head, rest) = opened.unread.split_once("\r\n\r\n").expect("a head");
        (opened.head, opened.unread) = (head.to_lowercase(), rest.to_owned());
        opened
    }

    /// A request of the newest revision.
    pub async fn latest(node: &Node, method: &str, params: Value) -> EventStream {
        let (headers, body) = latest(method, params);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        EventStream::open(node, &headers, &body).await
    }

    /// A subscription to these resources, acknowledged.
    pub async fn listen(node: &Node, notifications: Value) -> EventStream {
        let params = json!({"notifications": notifications});
        let mut stream = EventStream::latest(node, "subscriptions/listen", params).await;
        let acknowledged = stream.next().await.expect("an acknowledgment");
        assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(acknowledged["params"]["notifications"], notifications, "{acknowledged}");
        stream
    }

    /// The next message; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((line, rest)) = self.unread.split_once('\n') {
                let message = line.trim_end().strip_prefix("data: ").map(str::to_owned);
                self.unread = rest.to_owned();
                if let Some(message) = message {
                    return Some(serde_json::from_str(&message).expect("JSON"));
                }
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// The URIs of the next notifications, until all of these have come.
    pub async fn expect_updates(&mut self, mut uris: Vec<&str>) {
        while !uris.is_empty() {
            let message = self.next().await.expect("a notification");
            assert_eq!(message["method"], "notifications/resources/updated", "{message}");
            let uri = message["params"]["uri"].as_str().unwrap_or_default();
            let at = uris.iter().position(|expected| *expected == uri);
            uris.remove(at.unwrap_or_else(|| panic!("{message} is not one of {uris:?}")));
        }
    }

    /// Reads more; false at the end of the connection.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = tokio::time::timeout(LONG, self.stream.read(&mut bytes)).await;
        let length = read.expect("the node sends something").unwrap_or(0);
        self.unread.push_str(&String::from_utf8_lossy(&bytes[..length]));
        length > 0
    }
}

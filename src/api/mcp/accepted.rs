//! What a client accepts as an answer, by its `Accept` header (RFC 9110, section
//! 12.5.1). Every answer is JSON or a stream of events. Many clients ask for less
//! than MCP demands, or for nothing, and can read JSON all the same.

use axum::http::{HeaderMap, HeaderValue, header};

/// What rmcp demands of every client.
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// What a client that can read the answers can read besides JSON, as an extension of
/// its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// It asked for a stream of events by name, so it can read one.
    pub(super) stream: bool,
}

impl Accepted {
    /// `None` for a client that can read no answer.
    pub(super) fn by(headers: &HeaderMap) -> Option<Accepted> {
        let values = headers.get_all(header::ACCEPT);
        // An empty header says as little as none at all.
        if values.iter().all(|value| value.as_bytes().trim_ascii().is_empty()) {
            return Some(Accepted { stream: false });
        }
        let (mut json, mut stream) = (false, false);
        let ranges = values.iter().filter_map(|value| value.to_str().ok());
        for range in ranges.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            if parts.any(is_refusal) {
                continue;
            }
            match kind.as_str() {
                "application/json" | "application/*" | "*/*" => json = true,
                "text/event-stream" | "text/*" => stream = true,
                _ => {}
            }
        }
        (json || stream).then_some(Accepted { stream })
    }

    /// Lets rmcp answer a client that does not ask for both kinds of answer.
    pub(super) fn widen(headers: &mut HeaderMap) {
        headers.insert(header::ACCEPT, BOTH);
    }
}

/// A weight of zero: the client does not want this kind.
fn is_refusal(parameter: &str) -> bool {
    let weight = parameter.to_ascii_lowercase();
    let weight = weight.strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
    weight == Some(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_refused_only_if_it_can_read_no_answer() {
        let by = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            Accepted::by(&headers).map(|accepted| accepted.stream)
        };
        assert_eq!(Accepted::by(&HeaderMap::new()), Some(Accepted { stream: false }));
        for json in ["", " ", "application/json", "*/*", "Application/JSON; q=0.5", "application/*"]
        {
            assert_eq!(by(json), Some(false), "{json}");
        }
        for stream in ["application/json, text/event-stream", "text/event-stream", "text/*,*/*"] {
            assert_eq!(by(stream), Some(true), "{stream}");
        }
        for neither in ["text/html", ",", "application/json;q=0", "image/*, */*;q=0.000"] {
            assert_eq!(by(neither), None, "{neither}");
        }
    }
}

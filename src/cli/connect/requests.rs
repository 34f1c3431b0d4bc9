//! The requests that are under way, so that the client can cancel them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// All requests under way, by their ids.
#[derive(Clone, Default)]
pub(super) struct CarriedRequests(Arc<Mutex<BTreeMap<String, RequestUnderway>>>);

#[derive(Clone)]
struct RequestUnderway {
    token: CancellationToken,
    /// The call may wait for a grant, which would be useless without its client.
    waits: bool,
}

/// One request, which is under way until this is dropped.
pub(super) struct CarriedRequest {
    requests: CarriedRequests,
    id: Option<String>,
    pub(super) token: CancellationToken,
}

impl CarriedRequests {
    pub(super) fn begin(&self, message: &Value) -> CarriedRequest {
        let id = message.get("id").filter(|id| !id.is_null()).map(Value::to_string);
        let token = CancellationToken::new();
        if let Some(id) = &id {
            let waits = message["params"]["arguments"].get("wait_seconds").is_some()
                || message["method"] == "subscriptions/listen";
            let request = RequestUnderway { token: token.clone(), waits };
            self.change(|requests| requests.insert(id.clone(), request));
        }
        CarriedRequest { requests: self.clone(), id, token }
    }

    /// Cancels the request that `message` names, if it is a cancellation. Returns whether
    /// a request was cancelled.
    pub(super) fn cancel(&self, message: &Value) -> bool {
        if message["method"] != "notifications/cancelled" {
            return false;
        }
        let id = message["params"]["requestId"].to_string();
        let request = self.change(|requests| requests.remove(&id));
        request.inspect(|request| request.token.cancel()).is_some()
    }

    /// Cancels the requests that wait. The client has closed its input, so a grant would
    /// reach nobody.
    pub(super) fn cancel_waiting(&self) {
        self.change(|requests| {
            let waiting = requests.values().filter(|request| request.waits);
            waiting.for_each(|request| request.token.cancel());
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, RequestUnderway>) -> T) -> T {
        // Each change is one call of the map, so a panic cannot leave it half changed.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for CarriedRequest {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.requests.change(|requests| requests.remove(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_cancelled_once_and_only_while_it_is_under_way() {
        let requests = CarriedRequests::default();
        let request = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call"});
        let cancel = json!({"method": "notifications/cancelled", "params": {"requestId": 3}});
        assert!(!requests.cancel(&cancel), "nothing is under way yet");
        let carried = requests.begin(&request);
        assert!(!requests.cancel(&request), "another message cancels nothing");
        assert!(requests.cancel(&cancel) && carried.token.is_cancelled());
        assert!(!requests.cancel(&cancel));
        drop(carried);
        drop(requests.begin(&request));
        assert!(!requests.cancel(&cancel), "it is over");
    }
}

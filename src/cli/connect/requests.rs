//! The requests that are under way, and those that have just been answered, so that the
//! client can cancel them at the node that they were sent to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Of how many answered requests the node is known. A cancellation that crosses an answer
/// comes soon after it.
const ANSWERED_MAX: usize = 64;

/// All requests of one client, by their ids.
#[derive(Clone, Default)]
pub(super) struct CarriedRequests(Arc<Mutex<RequestTable>>);

#[derive(Default)]
struct RequestTable {
    under_way: BTreeMap<String, RequestUnderway>,
    /// The latest ones with their nodes, oldest first.
    answered: VecDeque<(String, usize)>,
}

struct RequestUnderway {
    token: CancellationToken,
    /// The index of the node that it was sent to last.
    node: Option<usize>,
    /// The call may wait for a grant, which would be useless without its client.
    waits: bool,
}

/// One message, which is under way until this is dropped.
pub(super) struct CarriedRequest {
    requests: CarriedRequests,
    id: Option<String>,
    pub(super) token: CancellationToken,
    node: Option<usize>,
}

impl CarriedRequests {
    /// Begins to carry a message. If it is a cancellation, this also cancels the request
    /// that it names, and it goes to the same node: the request may have been answered
    /// there, so that closing its connection tells nothing.
    pub(super) fn begin(&self, message: &Value) -> CarriedRequest {
        let id = message.get("method").and(message.get("id")).map(Value::to_string);
        let token = CancellationToken::new();
        if let Some(id) = &id {
            let waits = message["params"]["arguments"].get("wait_seconds").is_some()
                || message["method"] == "subscriptions/listen";
            let request = RequestUnderway { token: token.clone(), node: None, waits };
            self.lock().under_way.insert(id.clone(), request);
        }
        let node = match message["method"] == "notifications/cancelled" {
            true => self.cancel(&message["params"]["requestId"].to_string()),
            false => None,
        };
        CarriedRequest { requests: self.clone(), id, token, node }
    }

    /// Cancels a request, and returns the node that it was sent to.
    fn cancel(&self, id: &str) -> Option<usize> {
        let table = self.lock();
        if let Some(request) = table.under_way.get(id) {
            request.token.cancel();
            return request.node;
        }
        let answered = table.answered.iter().rev().find(|(answered, _)| answered == id);
        answered.map(|(_, node)| *node)
    }

    /// Cancels the requests that wait. The client has closed its input, so a grant would
    /// reach nobody.
    pub(super) fn cancel_waiting(&self) {
        let table = self.lock();
        let waiting = table.under_way.values().filter(|request| request.waits);
        waiting.for_each(|request| request.token.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, RequestTable> {
        // Each change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CarriedRequest {
    /// The node that the message is to be sent to, if it cannot be any.
    pub(super) fn node(&self) -> Option<usize> {
        self.node
    }

    /// Notes to which node the message is sent.
    pub(super) fn sent_to(&self, node: usize) {
        if let Some(id) = &self.id
            && let Some(request) = self.requests.lock().under_way.get_mut(id)
        {
            request.node = Some(node);
        }
    }
}

impl Drop for CarriedRequest {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let mut table = self.requests.lock();
        let node = table.under_way.remove(&id).and_then(|request| request.node);
        if let Some(node) = node {
            table.answered.push_back((id, node));
        }
        if table.answered.len() > ANSWERED_MAX {
            table.answered.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cancellation_goes_to_the_node_of_its_request() {
        let requests = CarriedRequests::default();
        let request = |id: usize| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call"});
        let cancel = |id: usize| {
            let params = json!({"requestId": id});
            requests.begin(&json!({"method": "notifications/cancelled", "params": params})).node()
        };
        assert_eq!(cancel(3), None, "nothing is under way yet");
        let carried = requests.begin(&request(3));
        assert_eq!(requests.begin(&request(4)).node(), None, "another message cancels nothing");
        assert!(!carried.token.is_cancelled());
        carried.sent_to(2);
        assert_eq!(cancel(3), Some(2));
        assert!(carried.token.is_cancelled());
        drop(carried);
        assert_eq!(cancel(3), Some(2), "its answer may be on its way");
        for id in 4..4 + ANSWERED_MAX {
            requests.begin(&request(id)).sent_to(1);
        }
        assert_eq!((cancel(3), cancel(4)), (None, Some(1)));
    }
}

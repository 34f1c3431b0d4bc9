//! A subscription (`subscriptions/listen`) as its client sees it: one stream of
//! notifications, however often it has to be continued at another node.

use serde_json::{Value, json};

use crate::api::mcp::carried::REVISION;

/// How far a subscription has come.
pub(super) struct ListenProgress {
    /// What is to be sent next.
    request: Value,
    /// The client has been told what was accepted.
    acknowledged: bool,
    /// A node has told something since this was last asked.
    has_progress: bool,
}

impl ListenProgress {
    /// The subscription that this message asks for, if it is one.
    pub(super) fn asked_by(message: &Value) -> Option<ListenProgress> {
        let is_listen = message["method"] == "subscriptions/listen";
        let request = is_listen.then(|| message.clone())?;
        Some(ListenProgress { request, acknowledged: false, has_progress: false })
    }

    /// The request that goes on where the last one broke off.
    pub(super) fn request(&self) -> String {
        self.request.to_string()
    }

    /// Takes note of what a node tells, and says whether the client is to be told.
    pub(super) fn note(&mut self, notification: &str) -> bool {
        let Ok(notification) = serde_json::from_str::<Value>(notification) else { return true };
        self.has_progress = true;
        if let Some(revision) = notification["params"]["_meta"].get(REVISION)
            && let Some(params) = self.request["params"].as_object_mut()
            && let Some(meta) = params.entry("_meta").or_insert_with(|| json!({})).as_object_mut()
        {
            meta.insert(REVISION.to_owned(), revision.clone());
        }
        let acknowledges = notification["method"] == "notifications/subscriptions/acknowledged";
        !(acknowledges && std::mem::replace(&mut self.acknowledged, true))
    }

    /// Whether a node has told something since this was last asked.
    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.has_progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_the_last_revision_and_is_acknowledged_once() {
        let told = |method: &str, revision: u64| {
            json!({"method": method, "params": {"_meta": {REVISION: revision}}}).to_string()
        };
        let message = json!({"id": 1, "method": "subscriptions/listen", "params": {}});
        let mut progress = ListenProgress::asked_by(&message).unwrap();
        let next = |progress: &ListenProgress| -> Value {
            let request: Value = serde_json::from_str(&progress.request()).unwrap();
            request["params"]["_meta"][REVISION].clone()
        };
        assert!(next(&progress).is_null() && !progress.take_progress());
        assert!(progress.note(&told("notifications/subscriptions/acknowledged", 5)));
        assert_eq!(next(&progress), 5);
        assert!(progress.take_progress() && !progress.take_progress());
        assert!(!progress.note(&told("notifications/subscriptions/acknowledged", 5)));
        // After the state was set back, its revisions begin anew.
        assert!(progress.note(&told("notifications/resources/updated", 3)));
        assert_eq!(next(&progress), 3);
        assert!(ListenProgress::asked_by(&json!({"id": 1, "method": "ping"})).is_none());
    }
}

//! `subscriptions/listen` of revision 2026-07-28: one request whose answer is a stream of
//! notifications, until the client cancels it or the server stops.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rmcp::ErrorData;
use rmcp::model::{
    NotificationMetaObject, ResourceListChangedNotification, ResourceUpdatedNotification,
    ResourceUpdatedNotificationParam, ServerNotification, SubscriptionFilter,
};
use rmcp::service::{SubscriptionContext, SubscriptionSendError};
use tokio_util::sync::CancellationToken;

use super::updates::{PAUSE, ResourceUpdate, ResourceUpdates};
use crate::api::mcp::resources::ResourceUri;
use crate::api::mcp::tools::Toolset;
use crate::machine::Revision;
use crate::service::{Service, ServiceError};

/// In the `_meta` of the request: go on after this revision. In the `_meta` of the
/// acknowledgement and of a notification: the revision from which to go on later.
pub const REVISION: &str = "mcp-state-sidecar/revision";

/// One request on its way from its acceptance to its stream. rmcp acknowledges it in
/// between, and no change after that may be missed.
#[derive(Default)]
pub(in crate::api::mcp) struct ListenRequest(Mutex<Option<Result<ResourceUpdates, ServiceError>>>);

impl Clone for ListenRequest {
    /// A clone is for another request.
    fn clone(&self) -> ListenRequest {
        ListenRequest::default()
    }
}

impl ListenRequest {
    /// Subscribes to what this server can tell of what is asked for, to a client that
    /// has these tools, and returns that.
    pub(in crate::api::mcp) fn accept(
        &self,
        service: &Service,
        toolset: Toolset,
        requested: &SubscriptionFilter,
    ) -> SubscriptionFilter {
        let list = requested.resources_list_changed == Some(true);
        let uris = requested.resource_subscriptions.iter().flatten();
        let resources = uris.filter_map(|uri| Some((uri.clone(), ResourceUri::parse(uri).ok()?)));
        let readable = |resource: &ResourceUri| toolset.find(resource.tool()).is_some();
        let resources: BTreeMap<String, ResourceUri> =
            resources.filter(|(_, resource)| readable(resource)).collect();
        let mut accepted = SubscriptionFilter::new();
        accepted.resources_list_changed = list.then_some(true);
        accepted.resource_subscriptions = Some(resources.keys().cloned().collect());
        let updates = ResourceUpdates::subscribe(service, resources, list);
        if updates.is_err() {
            // The error itself follows as the answer.
            accepted = SubscriptionFilter::new();
        }
        if let Ok(mut place) = self.0.lock() {
            *place = Some(updates);
        }
        accepted
    }

    fn take(&self) -> Option<Result<ResourceUpdates, ServiceError>> {
        self.0.lock().ok()?.take()
    }
}

/// Sends notifications until the client has gone or `stopping` is cancelled.
pub(in crate::api::mcp) async fn listen(
    request: &ListenRequest,
    context: SubscriptionContext,
    stopping: &[&CancellationToken],
) -> Result<(), ErrorData> {
    let not_accepted = || ErrorData::internal_error("the subscription was not accepted", None);
    let mut updates = request.take().ok_or_else(not_accepted)?.map_err(refused)?;
    let stopped = stopping.iter().map(|token| Box::pin(token.cancelled()));
    let stopped = futures::future::select_all(stopped);
    let notify = async {
        if let Some(after) = after_revision(&context)? {
            updates.go_back_to(after).await.map_err(refused)?;
        }
        loop {
            for update in updates.changed().await {
                if send(&context, update).await.is_err() {
                    return Ok(());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        biased;
        () = context.cancelled() => Ok(()),
        _ = stopped => Ok(()),
        ended = notify => ended,
    }
}

async fn send(
    context: &SubscriptionContext,
    update: ResourceUpdate,
) -> Result<(), SubscriptionSendError> {
    let mut meta = NotificationMetaObject::new();
    meta.insert(REVISION.into(), update.told_to.0.into());
    let notification = match update.uri {
        Some(uri) => {
            let params = ResourceUpdatedNotificationParam::new(uri);
            let mut updated = ResourceUpdatedNotification::new(params);
            updated.extensions.insert(meta);
            ServerNotification::ResourceUpdatedNotification(updated)
        }
        None => {
            let mut changed = ResourceListChangedNotification::default();
            changed.extensions.insert(meta);
            ServerNotification::ResourceListChangedNotification(changed)
        }
    };
    context.sink().send(notification).await
}

fn after_revision(context: &SubscriptionContext) -> Result<Option<Revision>, ErrorData> {
    let Some(value) = context.request_context().meta.get(REVISION) else { return Ok(None) };
    let revision = value.as_u64().ok_or_else(|| {
        ErrorData::invalid_params(format!("{REVISION} must be a revision, got {value}"), None)
    })?;
    Ok(Some(Revision(revision)))
}

fn refused(error: ServiceError) -> ErrorData {
    let data = serde_json::json!({
        "code": error.code.as_str(), "retryable": error.is_retryable()});
    match error.is_retryable() {
        true => ErrorData::internal_error(error.message, Some(data)),
        false => ErrorData::invalid_params(error.message, Some(data)),
    }
}

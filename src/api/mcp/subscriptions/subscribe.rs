//! `resources/subscribe` of older revisions. It needs a stream that outlives the request,
//! so only a client on a pipe can use it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    ResourceUpdatedNotification, ResourceUpdatedNotificationParam, ServerNotification,
};
use rmcp::service::Peer;
use rmcp::{ErrorData, RoleServer};
use tokio_util::task::AbortOnDropHandle;

use super::updates::{PAUSE, ResourceUpdates};
use crate::api::mcp::resources::ResourceUri;
use crate::api::mcp::tools::Toolset;
use crate::service::Service;
use crate::service::waiting::SUBJECTS_MAX;

/// The subscriptions of one client on a pipe, by their URIs. They end with the last clone.
#[derive(Clone, Default)]
pub(in crate::api::mcp) struct PipeSubscriptions(
    Arc<Mutex<BTreeMap<String, AbortOnDropHandle<()>>>>,
);

impl PipeSubscriptions {
    /// Tells the client of changes of `uri` from now on.
    pub(in crate::api::mcp) fn subscribe(
        &self,
        service: &Service,
        toolset: Toolset,
        peer: Peer<RoleServer>,
        uri: String,
    ) -> Result<(), ErrorData> {
        let invalid = |why: String| ErrorData::invalid_params(why, None);
        let resource = ResourceUri::parse(&uri).map_err(invalid)?;
        let tool = resource.tool();
        if toolset.find(tool).is_none() {
            let why = format!("{tool}, which gives this, is not among the tools offered here");
            return Err(invalid(why));
        }
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.contains_key(&uri) {
            return Ok(());
        }
        if tasks.len() >= SUBJECTS_MAX {
            return Err(invalid(format!("a client subscribes to up to {SUBJECTS_MAX} resources")));
        }
        let resources = BTreeMap::from([(uri.clone(), resource)]);
        let updates = ResourceUpdates::subscribe(service, resources, false)
            .map_err(|error| ErrorData::internal_error(error.message, None))?;
        let task = tokio::spawn(notify(updates, peer));
        tasks.insert(uri, AbortOnDropHandle::new(task));
        Ok(())
    }

    /// Ends the subscription to `uri`, if there is one.
    pub(in crate::api::mcp) fn unsubscribe(&self, uri: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uri);
    }
}

/// Sends notifications until the client has gone.
async fn notify(mut updates: ResourceUpdates, peer: Peer<RoleServer>) {
    loop {
        for uri in updates.changed().await.into_iter().filter_map(|update| update.uri) {
            let params = ResourceUpdatedNotificationParam::new(uri);
            let notification = ResourceUpdatedNotification::new(params);
            let notification = ServerNotification::ResourceUpdatedNotification(notification);
            if peer.send_notification(notification).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

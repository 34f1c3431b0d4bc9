//! Which URIs have changed: the changes of a subscription, by the URIs that the client
//! gave.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::mcp::resources::ResourceUri;
use crate::machine::Revision;
use crate::service::waiting::{SubscribedSubject, Subscription};
use crate::service::{Service, ServiceError};

/// The pause between two rounds of notifications of one subscription. What changes
/// meanwhile is told once.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The changes of some resources, by their URIs.
pub(super) struct ResourceUpdates {
    subscription: Subscription,
    /// In the order of the subscription's subjects. `None` stands for the list of all
    /// resources.
    uris: Vec<Option<String>>,
    /// Of every change up to here the client has been told.
    told_to: Revision,
}

/// Something that has changed since it was last asked.
pub(super) struct ResourceUpdate {
    /// `None` for the list of all resources.
    pub(super) uri: Option<String>,
    /// Whoever has been told this, and what came before it, has been told of every change
    /// up to this revision, and can go on from there.
    pub(super) told_to: Revision,
}

impl ResourceUpdates {
    /// Subscribes to these resources, and to the list of all if `list` says so.
    pub(super) fn subscribe(
        service: &Service,
        resources: BTreeMap<String, ResourceUri>,
        list: bool,
    ) -> Result<ResourceUpdates, ServiceError> {
        let (mut uris, mut subjects) = (Vec::new(), Vec::new());
        for (uri, resource) in resources {
            uris.push(Some(uri));
            subjects.push(resource.subject());
        }
        if list {
            uris.push(None);
            subjects.push(SubscribedSubject::Names);
        }
        let subscription = service.subscribe(subjects)?;
        let told_to = subscription.revision();
        Ok(ResourceUpdates { subscription, uris, told_to })
    }

    /// Also tells what has changed after this revision already.
    pub(super) async fn go_back_to(&mut self, after: Revision) -> Result<(), ServiceError> {
        self.told_to = after;
        self.subscription.go_back_to(after).await
    }

    /// Waits until something has changed. The updates are to be told in this order.
    pub(super) async fn changed(&mut self) -> Vec<ResourceUpdate> {
        let changes = self.subscription.changed().await.subjects;
        let mut updates = Vec::with_capacity(changes.len());
        for (at, (place, revision)) in changes.iter().enumerate() {
            // One change may concern several resources. It has been told with the last one.
            if changes.get(at + 1).is_none_or(|(_, next)| next > revision) {
                self.told_to = *revision;
            }
            let uri = self.uris.get(*place).cloned().flatten();
            updates.push(ResourceUpdate { uri, told_to: self.told_to });
        }
        updates
    }
}

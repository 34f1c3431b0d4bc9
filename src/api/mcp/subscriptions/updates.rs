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
}

/// What has changed since it was last asked.
pub(super) struct UpdatedResources {
    pub(super) uris: Vec<(String, Revision)>,
    /// Whether resources came to be or are gone.
    pub(super) list_changed: bool,
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
        Ok(ResourceUpdates { subscription: service.subscribe(subjects)?, uris })
    }

    /// Also tells what has changed after this revision already.
    pub(super) async fn go_back_to(&self, after: Revision) -> Result<(), ServiceError> {
        self.subscription.go_back_to(after).await
    }

    /// Waits until something has changed.
    pub(super) async fn changed(&self) -> UpdatedResources {
        let changes = self.subscription.changed().await;
        let mut updated = UpdatedResources { uris: Vec::new(), list_changed: false };
        for (place, revision) in changes.subjects {
            match self.uris.get(place) {
                Some(Some(uri)) => updated.uris.push((uri.clone(), revision)),
                Some(None) => updated.list_changed = true,
                None => {}
            }
        }
        updated
    }
}

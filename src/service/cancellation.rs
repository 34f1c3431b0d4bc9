//! Cancelling a call by another request: here, where this node has the call, or on
//! whichever node of the cluster has it.

use std::sync::Arc;

use super::calls::Service;
use super::cancellable::CancellableCall;
use crate::store::cluster::CallId;

impl Service {
    /// Begins a call that [`Service::cancel`] may cancel. What it is granted must be
    /// asked for by [`Service::on_behalf_of`].
    pub fn begin_cancellable(&self, id: CallId) -> Arc<CancellableCall> {
        Arc::new(self.shared.cancellable.begin(id))
    }

    /// This service for the commands of `call`: what they are granted is given back
    /// if the call is cancelled when it has just been answered, unless somebody has
    /// used it by then.
    pub fn on_behalf_of(&self, call: Arc<CancellableCall>) -> Service {
        Service { shared: self.shared.clone(), call: Some(call) }
    }

    /// Cancels the call `id` wherever it is: under way, just answered, or still to
    /// come, on this node or on another one of its cluster. Returns at once.
    pub fn cancel(&self, id: CallId) {
        if !self.shared.cancellable.cancel(&id)
            && let Some(cluster) = self.cluster()
        {
            cluster.announce_cancelled(id);
        }
    }
}

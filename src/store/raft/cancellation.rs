//! Cancellations on their way between nodes: a client may send the cancellation of a
//! call to another node than the call. That node tells all members, once and at
//! best effort: whoever cannot be reached within a second is not told.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::consensus::leadership::Leadership;
use super::rpc::PeerNetwork;
use crate::store::cluster::{CallId, CancellationListener};

/// How long a member may take to acknowledge.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);

/// How many cancellations may be on their way to the members at once. Further ones
/// stay on this node: a client that cancels at random must not occupy the network.
const NOTICES_MAX: usize = 64;

/// Tells the other members of cancellations, and passes on what they tell.
pub struct CancellationForwarder {
    network: PeerNetwork,
    leadership: Leadership,
    notices: Arc<Semaphore>,
    listener: Mutex<Option<Weak<dyn CancellationListener>>>,
}

impl CancellationForwarder {
    /// Reaches the members that `leadership` knows over `network`.
    pub fn new(network: PeerNetwork, leadership: Leadership) -> CancellationForwarder {
        let notices = Arc::new(Semaphore::new(NOTICES_MAX));
        CancellationForwarder { network, leadership, notices, listener: Mutex::default() }
    }

    /// See [`crate::store::cluster::Cluster::announce_cancelled`].
    pub fn announce(&self, call: CallId) {
        let Ok(permit) = self.notices.clone().try_acquire_owned() else {
            tracing::debug!("too many cancellations at once; the members are not told");
            return;
        };
        let (network, peers) = (self.network.clone(), self.leadership.peers());
        tokio::spawn(async move {
            let deadline = Instant::now() + NOTICE_TIMEOUT;
            let told = peers.iter().map(|(id, peer)| network.cancel(*id, peer, &call, deadline));
            for error in join_all(told).await.into_iter().filter_map(Result::err) {
                // A member of an earlier version does not know this call either.
                tracing::debug!(%error, "a member was not told of a cancellation");
            }
            drop(permit);
        });
    }

    /// See [`crate::store::cluster::Cluster::set_cancellation_listener`].
    pub fn listen(&self, listener: Weak<dyn CancellationListener>) {
        // A panic cannot leave the value half changed.
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Another member has announced that `call` is cancelled.
    pub fn received(&self, call: &CallId) {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener.and_then(|listener| listener.upgrade()) {
            listener.cancelled(call);
        }
    }
}

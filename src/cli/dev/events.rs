//! What happens while a cluster runs: signals, and nodes that end.

use std::process::ExitStatus;

use futures::future::{FutureExt, select_all};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::node::DevNode;

/// What happened.
pub(super) enum DevEvent {
    /// SIGINT or SIGTERM asks the cluster to stop.
    Stop,
    /// SIGHUP asks to start the nodes again that have ended.
    Restart,
    /// The node at this index has ended.
    NodeEnded(usize, ExitStatus),
}

/// The signals that `dev` obeys.
pub(super) struct DevSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl DevSignals {
    pub(super) fn listen() -> std::io::Result<DevSignals> {
        Ok(DevSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for Ctrl-C.
    pub(super) async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }

    /// Waits for the next signal, or for the end of a node.
    pub(super) async fn next_event(&mut self, nodes: &mut [DevNode]) -> DevEvent {
        let ended = async {
            if nodes.is_empty() {
                return std::future::pending().await;
            }
            let ends = nodes.iter_mut().map(|node| node.ended().boxed_local());
            let (status, at, _) = select_all(ends).await;
            // Waiting for a child process cannot fail. If it does, the node is lost.
            DevEvent::NodeEnded(at, status.unwrap_or_default())
        };
        tokio::select! {
            _ = self.interrupt.recv() => DevEvent::Stop,
            _ = self.terminate.recv() => DevEvent::Stop,
            _ = self.hangup.recv() => DevEvent::Restart,
            event = ended => event,
        }
    }
}

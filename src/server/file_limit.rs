//! File descriptors: each connection takes one. The limit that the system gives a
//! process is raised as far as it may be, and what does not fit below it is not
//! let in.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::api::http;
use crate::service;

/// Descriptors for everything but callers' connections: files, peers, and
/// connections that are being turned away.
const OTHERS: u64 = 1_024;

/// Raises the limit, and lowers the bounds of connections and of calls that wait
/// where even that is too low for them.
pub fn fit(service: &mut service::Options, http: &mut http::Options) {
    let limit = raise();
    let room = usize::try_from(limit.saturating_sub(OTHERS).max(limit / 2)).unwrap_or(usize::MAX);
    if room >= http.connections_max {
        return;
    }
    http.connections_max = room.max(1);
    // Others need room besides those who wait.
    service.waiting_max = service.waiting_max.min(room / 2).max(1);
    let (connections, waiting) = (http.connections_max, service.waiting_max);
    tracing::warn!(limit, connections, waiting, "few file descriptors: fewer callers are served");
}

/// The limit after it was raised.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of file descriptors was not raised");
            current
        }
    };
    // Nothing where there is no limit.
    now.unwrap_or(u64::MAX)
}

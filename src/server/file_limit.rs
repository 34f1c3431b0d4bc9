//! File descriptors: each connection takes one. The limit that the system gives a process
//! is raised as far as it allows, and the number of connections is bounded to fit below.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::api::http;
use crate::service;

/// How many descriptors are kept for everything but callers' connections: for files, for
/// peers, and for connections that are being refused.
const RESERVED_FILES: u64 = 1_024;

/// Raises the limit. If it is too low all the same, lowers the bounds of connections and
/// of waiting calls.
pub fn fit(service: &mut service::Options, http: &mut http::Options) {
    let limit = raise();
    let room =
        usize::try_from(limit.saturating_sub(RESERVED_FILES).max(limit / 2)).unwrap_or(usize::MAX);
    if room >= http.connections_max {
        return;
    }
    http.connections_max = room.max(1);
    // Waiting calls must leave half of the connections to calls that do not wait.
    service.waiting_max = service.waiting_max.min(room / 2).max(1);
    let (connections, waiting) = (http.connections_max, service.waiting_max);
    tracing::warn!(limit, connections, waiting, "few file descriptors: fewer callers are served");
}

/// Raises the limit as far as the system allows, and returns it.
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
    // `None` means that there is no limit.
    now.unwrap_or(u64::MAX)
}

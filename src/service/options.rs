//! How a service is set up, and what comes with each call.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::random::RandomSource;
use crate::limits::Limits;
use crate::machine::Text;
use crate::store::clock::{self, Clock};

/// How the service is set up.
#[derive(Clone)]
pub struct Options {
    /// How long a call may take. A wait that the caller asks for comes on top.
    pub deadline: Duration,
    /// How many calls may be at the store at once. Further calls are refused, since
    /// an unbounded queue would turn overload into timeouts of every call.
    pub in_flight_max: usize,
    /// How many bytes of commands may be at the store at once, which bounds memory.
    pub in_flight_bytes_max: usize,
    /// How many calls may wait for something at once.
    pub waiting_max: usize,
    pub limits: Limits,
    pub random: RandomSource,
    /// The clock by which waiting calls know when the deadline of a lease, a claim or
    /// a delay has passed.
    pub clock: Clock,
    /// Once this is cancelled, waiting calls end at once, as if their time had run
    /// out. A node that stops need not wait for them.
    pub stop: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            deadline: Duration::from_secs(10),
            in_flight_max: 4096,
            in_flight_bytes_max: 64 * 1024 * 1024,
            waiting_max: 4096,
            limits: Limits::default(),
            random: RandomSource::random(),
            clock: clock::system(),
            stop: CancellationToken::new(),
        }
    }
}

/// What comes with a write besides the command itself.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Who the history names, where the command itself names no agent.
    pub actor: Option<Text>,
    /// The name that the caller gives to the request, under which it may repeat it.
    pub idempotency_key: Option<Text>,
}

//! The Redis store and what may happen to its Redis: it dies under load and
//! comes back, freezes, fills up, is demoted, forgets its scripts; and which
//! servers are refused at the start. Each test has a server of its own.

#[allow(dead_code, reason = "each test binary uses a part")]
#[path = "../chaos/agent.rs"]
mod agent;
#[path = "../chaos/chain.rs"]
mod chain;
#[path = "../chaos/client.rs"]
#[allow(dead_code, reason = "other tests share this client, and use more of it")]
mod client;
#[path = "../chaos/record.rs"]
mod record;
#[path = "../support/recorded.rs"]
mod recorded;
#[path = "../support/redis.rs"]
mod server;
#[path = "../support/sidecar.rs"]
mod sidecar;
#[path = "../chaos/verdict.rs"]
mod verdict;

mod brought_up;
mod clock;
mod common;
mod cut;
mod exported;
mod foreign;
mod gone;
mod heavy;
mod load;
mod moved_in;
mod noticed;
mod odd;
mod reached;
mod refused;
mod restarted;
mod taken_in;
mod trips;

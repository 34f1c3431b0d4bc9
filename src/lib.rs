//! A state service for fleets of agents: keys, workflow runs, leases, sessions
//! and an audit chain, served over MCP and gRPC, kept by one
//! node over SQLite or Redis, or by several that agree through Raft.
//!
//! # The life of one call
//!
//! An agent calls `workflow_claim` on any node. What happens:
//!
//! ```text
//! agent ── MCP (HTTP /mcp or stdio) ──┐
//! program ── gRPC ────────────────────┤  api       translates, nothing else
//! person ── command line ─────────────┘
//!                 │  Command or Question
//!                 ▼
//!             service      admits, stamps who asks, sets the deadline
//!                 ▼
//!               store      memory · SQLite · Redis · Raft   (one trait)
//!                 │
//!                 │   view ──► decide / answer ──► commit
//!                 ▼
//!             machine      the rules: pure functions over data
//! ```
//!
//! 1. [`api`] turns the tool's arguments into a [`machine::Command`] (a write)
//!    or a [`machine::Question`] (a read), checked against [`limits`], and the
//!    reply back into the protocol's form. Who may call is [`access`]'s.
//! 2. [`service`] admits the call if there is room, gives it its idempotency
//!    key's digest and the chance that new run ids are made of, waits where a
//!    tool waits, and ends it at its deadline.
//! 3. The [`store::Store`] orders the command among all others and stamps it
//!    with the time. In a cluster the leader does; a follower forwards, and asks
//!    again under the same number when the leader changes ([`store::raft`]).
//! 4. [`machine::decide()`] looks at the rows through a [`machine::View`], by id
//!    or along the entries of [`machine::index`], and returns a
//!    [`machine::Decision`]: the reply, the changed rows and entries, and one
//!    event for each change of state, chained by hash to the one before.
//! 5. The store commits the decision whole. Only then does the reply go out.
//!
//! A refusal ("held by b") is a reply; a fault (a disk, a lost majority) is an
//! error and says whether anything can have been written.
//!
//! # Invariants
//!
//! - Two replicas that apply the same log hold the same bytes: below the store
//!   nothing reads a clock, draws a number or meets the order of a hash table.
//! - A revision is never used twice. The revision of a grant is its fencing
//!   token, so the tokens of one resource only rise: across releases, restarts,
//!   changes of leader, snapshots and resets.
//! - At the same revision every replica has the same chain head.
//! - What was acknowledged was durable first, on a majority in a cluster.
//!
//! [`machine::invariant`] has them as code, and the tests run it.
//!
//! # Where to find what
//!
//! | module | holds |
//! |---|---|
//! | [`machine`] | every rule, once: commands, replies, rows, events, questions |
//! | [`store`] | where state lives and how it commits: memory, SQLite, Redis, Raft |
//! | [`export`] | a whole state as a stream, from any store to any store |
//! | [`codec`] | the one versioned byte form of what rests and travels |
//! | [`service`] | admission, deadlines, waiting |
//! | [`sweep`] | proposes the commands that time calls for |
//! | [`api`] | MCP, HTTP beside it, gRPC |
//! | [`server`] | builds the parts, owns listeners, stops in order |
//! | [`config`], [`cli`] | settings and commands for people |
//!
//! Arrows point down only: `cli → server → api, sweep → service → store → codec
//! → machine`, with `export` beside `service`; `tests/tidy.rs` reads the `use` lines and keeps it so.

// Unit tests share what they draw with the tests of whole stores, which know
// the crate by its name.
#[cfg(test)]
extern crate self as mcp_state_sidecar;

pub mod access;
pub mod api;
pub mod cli;
pub mod codec;
pub mod config;
pub mod error;
pub mod export;
pub mod limits;
pub mod machine;
mod nearest;
pub mod observe;
pub mod proto;
pub mod server;
pub mod service;
pub mod store;
pub mod sweep;

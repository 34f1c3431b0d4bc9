//! A state service for fleets of agents: keys, workflow runs, leases, sessions and an audit
//! chain. It is served over MCP and gRPC, by one node over SQLite or Redis, or by several
//! nodes that agree through Raft.
//!
//! # The life of one call
//!
//! An agent calls `workflow_claim` on any node. What happens:
//!
//! ```text
//! agent ── MCP (HTTP /mcp or stdio) ──┐
//! program ── gRPC ────────────────────┤  api       only translates
//! person ── command line ─────────────┘
//!                 │  Command or Question
//!                 ▼
//!             service      admits, adds the actor, sets the deadline
//!                 ▼
//!               store      memory · SQLite · Redis · Raft   (one trait)
//!                 │
//!                 │   view ──► decide / answer ──► commit
//!                 ▼
//!             machine      the rules: pure functions over data
//! ```
//!
//! 1. [`api`] turns the tool's arguments into a [`machine::Command`] (a write)
//!    or a [`machine::Question`] (a read), after checking them against [`limits`], and
//!    turns the reply back into the form of the protocol. [`access`] decides who may call.
//! 2. [`service`] admits the call if there is room, adds the digest for its idempotency key
//!    and the random number that new run ids are made of, waits where a tool waits, and
//!    ends the call at its deadline.
//! 3. The [`store::Store`] orders the command among all others and stamps it with the time.
//!    In a cluster the leader does that. A follower forwards the command, and sends it
//!    again under the same number if the leader changes ([`store::raft`]).
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
//! - Two replicas that apply the same log hold the same bytes. Below the store nothing reads
//!   a clock, draws a random number or depends on the order of a hash table.
//! - A revision is never used twice. The revision of a grant is its fencing token, so the
//!   tokens of one resource only rise: across releases, restarts, changes of leader,
//!   snapshots and resets.
//! - At the same revision every replica has the same chain head.
//! - A write is durable before it is acknowledged, in a cluster on a majority of the nodes.
//!
//! [`machine::invariant`] checks them in code, which the tests run.
//!
//! # Where to find what
//!
//! | module | holds |
//! |---|---|
//! | [`machine`] | every rule, once: commands, replies, rows, events, questions |
//! | [`store`] | where state lives and how it commits: memory, SQLite, Redis, Raft |
//! | [`export`] | a whole state as a stream, from any store to any store |
//! | [`codec`] | the versioned byte form of what is stored and sent |
//! | `cron` | when schedules fire |
//! | [`error`], [`limits`] | the error of every protocol, and the bounds of arguments |
//! | [`service`] | admission, deadlines, waiting |
//! | [`sweep`] | proposes the commands that remove what has expired |
//! | [`access`], [`observe`] | who may call, and what is measured |
//! | [`api`] | MCP, gRPC, and the HTTP endpoints around MCP |
//! | [`server`] | builds the parts, owns the listeners, stops in order |
//! | [`config`], [`cli`] | settings and commands for people |
//!
//! Dependencies point down only: `cli → server → api, sweep → service → store → codec →
//! machine`, with `export` beside `service`. `tests/tidy` reads the `use` lines and fails
//! if one points up.

// Unit tests share random commands with the tests of whole stores, which know the crate by
// its name.
#[cfg(test)]
extern crate self as mcp_state_sidecar;

pub mod access;
pub mod api;
pub mod cli;
pub mod codec;
pub mod config;
mod cron;
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

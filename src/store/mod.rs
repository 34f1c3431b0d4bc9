//! Stores: where the state lives and how a command commits. There are four of
//! them behind one trait; the service and the APIs see nothing else.
//!
//! | module | holds |
//! |---|---|
//! | `interface` | [`Store`], the trait, and what every store guarantees |
//! | `request` | commands and questions on their way to a store, and how fresh an answer must be |
//! | `error`, `health` | what callers and operators learn when a store cannot serve |
//! | [`cluster`] | what only a cluster can do: change its members, transfer its leadership |
//! | [`export`] | a whole state on its way out of one store and into another |
//! | [`tables`], [`window`] | a state and its recent history in memory; `memory` and `raft` use them |
//! | [`clock`], `steady_clock` | where stores read the time, and how those with a single clock count it |
//! | `queue`, `progress` | callers waiting for a store's single writer; how far a shared store has got |
//! | [`memory`] | the store without a disk, the shortest to read |
//! | [`sqlite`] | the store on one machine, in one file |
//! | [`redis`] | the store in one Redis that several sidecars share |
//! | [`raft`] | the store on several nodes that agree by consensus |
//! | [`migration`] | taking over what the Python reference stored; `sqlite` and `redis` call it when they open |

pub mod clock;
pub mod cluster;
mod error;
pub mod export;
mod health;
mod interface;
pub mod memory;
pub mod migration;
mod progress;
mod queue;
pub mod raft;
pub mod redis;
mod request;
pub mod sqlite;
mod steady_clock;
pub mod tables;
pub mod window;

pub use error::StoreError;
pub use health::{ClusterHealth, Health, Member, Role};
pub use interface::Store;
pub use request::{Answered, Consistency, Request};

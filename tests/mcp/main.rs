//! MCP as clients use it: over a real listener with raw requests, and over a pipe.

mod answers;
mod bad_input;
mod cancelled;
mod choices;
mod clients;
mod crossing;
mod fast_path;
mod guarded;
mod methods;
mod metrics;
mod node;
mod pipe;
mod progress;
mod prompts;
mod protocol;
mod resources;
#[path = "../stories/schema.rs"]
mod schema;
// Only stories look at every node of a store.
#[allow(dead_code)]
#[path = "../stories/stores.rs"]
mod stores;
mod stream;
mod subscriptions;
mod tasks;

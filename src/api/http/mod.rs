//! What every HTTP listener needs, whatever it serves.
//!
//! | File | Holds |
//! |---|---|
//! | `connections` | [`serve`]: accepting connections, and closing them at the end |
//! | `authorization` | who may call |
//! | `health`, `metrics` | the routes for operators |

pub mod authorization;
mod connections;
mod health;
mod metrics;

pub use connections::{Options, PeerAddress, serve};
pub use health::health_routes;
pub use metrics::metrics_routes;

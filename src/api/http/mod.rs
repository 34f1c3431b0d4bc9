//! What every HTTP listener needs, whatever it serves.
//!
//! | File | Holds |
//! |---|---|
//! | `connections` | [`serve`]: accepting connections, and closing them at the end |
//! | `authorization` | who may call |
//! | `cross_origin` | calls from web pages (CORS) |
//! | `health`, `metrics` | the routes for operators |
//! | `no_such_path` | the answer to every other path |

pub mod authorization;
mod connections;
mod cross_origin;
mod health;
mod metrics;
mod no_such_path;

pub use connections::{Options, PeerAddress, serve};
pub use cross_origin::cross_origin;
pub use health::health_routes;
pub use metrics::metrics_routes;
pub use no_such_path::no_such_path;

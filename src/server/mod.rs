//! The composition root: it builds the store, the service and the listeners from the
//! configuration, runs them until told to stop, and stops them in order.
//!
//! The order of stopping: no new calls are accepted, calls under way finish, the store
//! closes (a leader transfers its leadership first), and the listener for peers closes
//! last, because all of that needs the other nodes.
//!
//! The files, in reading order:
//!
//! | file | holds |
//! |---|---|
//! | `serve` | `serve` and `stdio`: a node from its start to its stop |
//! | `node` | the parts of a running node that all interfaces share |
//! | `stores` | opens the store that the configuration names |
//! | [`export_import`] | opens a store only to export from it or import into it |
//! | `grpc` | the gRPC listeners, for programs and for peers |
//! | `listen` | binds addresses |
//! | `file_limit` | fits the number of connections to the limit of open files |
//! | [`signals`] | SIGTERM and SIGINT |
//! | `error` | why a node did not start or stop well |

mod error;
pub mod export_import;
mod file_limit;
mod grpc;
mod listen;
mod node;
mod serve;
pub mod signals;
mod stores;

pub use error::ServeError;
pub use serve::{serve, stdio};
pub use stores::StoreOpenError;

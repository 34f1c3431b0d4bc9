//! The public gRPC API of `proto/sidecar.proto`. Programs send commands and
//! questions, which it passes on to the service as they are: it converts types
//! and fills in defaults. The service checks the arguments, and the rules
//! decide.
//!
//! Read in this order:
//!
//! | File | Holds |
//! |---|---|
//! | `server` | the server's bounds, and [`api`], the service behind [`Authorize`] |
//! | `authorization` | who may call, decided before a message is read |
//! | `handlers` | [`GrpcService`]: the methods of the protocol |
//! | `submit`, `pipeline` | one command, and a stream of many |
//! | `ask`, `watch`, `wait`, `export` | one question, a stream of changes, the end of runs, the whole state |
//! | `membership`, `status` | changes of the cluster, and a node's account of itself |
//! | `request` | converting requests, with their defaults |
//! | `permission` | what only an administrator may do |
//! | `call_name` | the names under which calls are counted |
//! | `error` | errors as gRPC statuses |

mod ask;
mod authorization;
mod call_name;
mod error;
mod export;
mod handlers;
mod membership;
mod permission;
mod pipeline;
mod request;
mod server;
mod status;
mod submit;
mod wait;
mod watch;

pub use authorization::Authorize;
pub use handlers::GrpcService;
pub use pipeline::IN_FLIGHT_MAX as PIPELINE_IN_FLIGHT_MAX;
pub use server::{api, incoming, transport};

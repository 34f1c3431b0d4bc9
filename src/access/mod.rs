//! Access: who may call, over HTTP and gRPC alike. The default is safe, like Redis's
//! protected mode: without a token only callers on this machine are served, unless an
//! operator allows more. Once a token is configured, every caller must send it, those on
//! this machine too, as with Redis's `requirepass`.
//!
//! | file | holds |
//! |---|---|
//! | `policy` | [`Access`]: admits or denies each call |
//! | `host` | the addresses and names by which a caller reaches this server |
//! | `secret` | secrets, which no log shows |

mod host;
mod policy;
mod secret;

pub use policy::{Access, Caller, Denied, FORWARDED_HEADERS, Options, RequestOrigin};
pub use secret::{Secret, same_secret};

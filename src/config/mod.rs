//! Configuration: defaults, then a file, then the environment, then flags. Each setting
//! has one name everywhere, is checked once, and remembers where its value came from.
//! What a value means is decided by the module that receives it.
//!
//! The files, in reading order:
//!
//! | file | holds |
//! |---|---|
//! | [`settings`] | the list of settings, which everything else follows |
//! | `types` | [`Config`]: every setting, parsed |
//! | `sources` | what the program was started with |
//! | `environment` | which variables of the environment are settings |
//! | `kubernetes` | the variables that Kubernetes sets for Services |
//! | `resolved` | the sources laid over one another, and which of them won |
//! | `check` | checks across settings, and the files that hold secrets |
//! | `parse` | the text of one setting, parsed into its value |
//! | `host_port`, `node_address` | addresses: to listen on, and of running nodes |
//! | `print` | `--print-config` |
//! | `note` | what is worth telling although it does not stop the start |
//! | `error` | the one line that stops the start |

mod check;
mod environment;
mod error;
mod host_port;
mod kubernetes;
mod node_address;
mod note;
mod parse;
mod print;
mod resolved;
pub mod settings;
mod sources;
mod types;

pub use error::ConfigError;
pub use host_port::HostPort;
pub use node_address::NodeAddress;
pub use note::ConfigNote;
pub use parse::{duration_ms, peer_addr};
pub use resolved::{ResolvedConfig, ShownSetting};
pub use sources::{CA_FILE_ENV, CONFIG_ENV, SettingSource, Sources};
pub use types::{Backend, Config, LogFormat};

pub use crate::access::Secret;

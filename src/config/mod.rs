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
//! | `resolved` | the sources laid over one another, and which of them won |
//! | `check` | checks across settings, and the files that hold secrets |
//! | `parse` | the text of one setting, parsed into its value |
//! | `host_port` | addresses |
//! | `print` | `--print-config` |
//! | `error` | the one line that stops the start |

mod check;
mod error;
mod host_port;
mod parse;
mod print;
mod resolved;
pub mod settings;
mod sources;
mod types;

pub use error::ConfigError;
pub use host_port::HostPort;
pub use resolved::{ResolvedConfig, ShownSetting};
pub use sources::{CONFIG_ENV, SettingSource, Sources};
pub use types::{Backend, Config, LogFormat};

pub use crate::access::Secret;

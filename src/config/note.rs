//! What is worth telling about the settings although it does not stop the start. Logging
//! has not started when it is found, so it is carried to whoever starts it.

use std::fmt;

/// A remark on a variable of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigNote {
    /// The variable begins like a setting and is none. Its value is not kept, because it
    /// may be a secret.
    Unknown { name: String, nearest: Option<&'static str> },
    /// The variable of a setting has the form by which Kubernetes describes a Service, and
    /// does not count.
    Service { name: &'static str, value: String },
}

impl fmt::Display for ConfigNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigNote::Unknown { name, nearest: Some(nearest) } => {
                write!(f, "warning: {name}: no such setting, ignored; did you mean {nearest}?")
            }
            ConfigNote::Unknown { name, nearest: None } => {
                write!(
                    f,
                    "warning: {name}: no such setting, ignored; --print-config lists them all"
                )
            }
            ConfigNote::Service { name, value } => {
                write!(
                    f,
                    "note: {name}: got {value:?}, which is how Kubernetes describes a Service, ignored"
                )
            }
        }
    }
}

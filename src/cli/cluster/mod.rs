//! `cluster`: shows the status of a cluster, and changes it while it runs.
//!
//! | file | holds |
//! |---|---|
//! | `command` | the subcommands |
//! | `status` | `status`: asks every node |
//! | `change` | `add`, `remove`, `replace`, `transfer` and `snapshot` |
//! | `leader` | calls the leader, whichever node that is |

mod change;
mod command;
mod leader;
mod status;

pub use command::{ClusterArgs, run};

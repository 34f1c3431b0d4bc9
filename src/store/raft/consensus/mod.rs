//! Consensus: how a command becomes an entry of the replicated log, and how a
//! question is answered from the state that the entries lead to. Openraft runs
//! the protocol; these files connect it to the rules.
//!
//! Read in this order:
//!
//! | file | holds |
//! |---|---|
//! | `types` | the types that openraft is instantiated with |
//! | `entry` | entries, log ids and votes as bytes |
//! | `options` | openraft's settings |
//! | `leadership` | which node leads, and waiting for a change |
//! | `session` | the sequence numbers under which a node proposes its commands |
//! | `write` | proposing a command here, or forwarding it to the leader |
//! | `precheck` | refusing an attempt that would come to nothing, before it is logged |
//! | `state_machine` | applying committed entries to the tables and the history |
//! | `applied` | the newest applied state, as readers see it |
//! | `read` | linearizable reads by ReadIndex |
//! | `health` | what the node reports about the cluster |

pub(crate) mod applied;
pub mod entry;
pub(crate) mod health;
pub(crate) mod leadership;
pub mod options;
pub(crate) mod precheck;
pub(crate) mod read;
pub(crate) mod session;
pub(crate) mod state_machine;
pub mod types;
pub(crate) mod write;

//! Stores: where the state lives and how a command commits. Four of them, one
//! trait; the api and the service see nothing else.

pub mod clock;
pub mod cluster;
pub mod export;
pub mod memory;
pub mod migration;
mod progress;
mod queue;
pub mod raft;
pub mod redis;
pub mod sqlite;
pub mod tables;
pub mod window;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use cluster::Cluster;
use export::Export;

use crate::machine::command::Idempotency;
use crate::machine::{
    Answer, Chain, ClusterMs, Command, Envelope, Question, Reply, Revision, Rules, Text, WallMs,
};

/// One state, shared by all who hold it.
///
/// Guarantees of every store:
/// - A command is decided once, by the one who orders the commands, and
///   commits whole or not at all; `submit` returns after it is as durable as
///   the store promises.
/// - Commands and linearizable questions behave as if each happened at one
///   instant between its call and its return.
/// - An error other than [`StoreError::Unknown`] means that nothing was
///   written and nothing will be.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Decides and commits `request`, by `deadline`.
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError>;

    /// Answers `question`, by `deadline`.
    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError>;

    /// The newest revision that this store has seen committed; changes wake
    /// those who wait. It may lag behind a linearizable answer, never lead.
    fn revision(&self) -> watch::Receiver<Revision>;

    /// Whether rows are due for removal, as far as this copy knows, and this
    /// store is the one to propose it (in a cluster, the leader alone).
    async fn sweep_due(&self) -> bool;

    /// The whole state at one instant that lies between the call and its
    /// return, while writes go on.
    ///
    /// # Errors
    /// The state cannot be read by `deadline`. Reading it out may take longer
    /// than that.
    async fn export(&self, deadline: Instant) -> Result<Export, StoreError>;

    /// How the store is, without touching what may be broken.
    async fn health(&self) -> Health;

    /// Its members, where it is a cluster.
    fn cluster(&self) -> Option<&dyn Cluster> {
        None
    }

    /// Stops in order: refuses what is new, finishes what is under way.
    async fn close(&self);
}

/// A command on its way to whoever stamps the time.
#[derive(Clone, Debug)]
pub struct Request {
    pub command: Command,
    pub idempotency: Option<Idempotency>,
    pub actor: Option<Text>,
    /// See [`crate::machine::Envelope::chance`].
    pub random: u64,
    /// For one who waits and tries again: where the command would come to
    /// nothing as far as the one who orders it knows, that is the reply, and
    /// nothing is ordered. Set for claims and leases alone.
    pub attempt: bool,
}

impl Request {
    /// A command that nobody asked for: a node's own.
    pub(crate) fn own(command: Command) -> Request {
        Request { command, idempotency: None, actor: None, random: 0, attempt: false }
    }

    /// The command as it is decided at `now`, by a store with one clock, where
    /// the state may become so large.
    fn stamped(self, now: ClusterMs, state_bytes_max: Option<u64>) -> Envelope {
        let Request { command, idempotency, actor, random, attempt: _ } = self;
        let (origin, wall, clock) = (None, WallMs(now.0), now);
        let rules = Rules::Stepwise;
        Envelope {
            origin,
            idempotency,
            actor,
            random,
            wall,
            clock,
            state_bytes_max,
            rules,
            command,
        }
    }
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// As if asked of the only copy.
    #[default]
    Linearizable,
    /// This node's own state, possibly older; works without a quorum.
    Local,
}

/// An answer and the state that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub answer: Answer,
    pub revision: Revision,
    /// How old the state may be, where [`Consistency::Local`] was asked for: it
    /// holds everything that was committed so long ago. None where this copy has
    /// not heard from a majority since it was opened.
    pub age: Option<Duration>,
}

/// A store's own account of itself.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// `sqlite`, `memory`, `redis` or `raft`.
    pub backend: &'static str,
    /// Why it cannot serve right now, if so.
    pub fault: Option<String>,
    pub revision: Revision,
    pub chain: Chain,
    /// How large the state is; see [`crate::machine::size`].
    pub state_bytes: u64,
    /// How large it may become by what this process orders, if there is a limit.
    pub state_bytes_max: Option<u64>,
    /// Where the store is a cluster.
    pub cluster: Option<ClusterHealth>,
}

/// What a node knows of its cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterHealth {
    pub cluster_name: String,
    pub node_id: u64,
    pub role: Role,
    pub leader: Option<u64>,
    pub term: u64,
    pub last_log_index: u64,
    pub committed_index: u64,
    pub applied_index: u64,
    pub snapshot_index: u64,
    /// A majority answers this node, as far as it knows.
    pub quorum: bool,
    /// Has applied all that was committed when it last asked the leader.
    pub caught_up: bool,
    pub members: Vec<Member>,
    /// What an operator should see to although everything works, if so.
    pub warning: Option<String>,
    /// The version of the peers' protocol that all members speak, as far as this
    /// node knows: newer rules and messages wait for the last of them.
    pub protocol: u32,
}

/// One member as a node sees it.
#[derive(Clone, Debug, Default)]
pub struct Member {
    pub id: u64,
    /// gRPC address.
    pub addr: String,
    /// MCP URL, where known.
    pub url: String,
    pub voter: bool,
    /// Entries that it is behind the leader's log; only the leader knows.
    pub lag: Option<u64>,
    /// When it last answered the leader; only the leader knows.
    pub last_seen: Option<Duration>,
    /// How many milliseconds its wall clock is ahead of this node's, where that
    /// is known.
    pub clock_skew_ms: Option<i64>,
}

/// A node's part in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    Leader,
    Follower,
    Candidate,
    #[default]
    Learner,
}

/// A fault: the store could not do what was asked. A refusal by a rule is a
/// [`Reply`] instead.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No leader, no quorum, closing, or too busy: nothing was written.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The command may or may not have been applied, now or later.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The disk failed or what it holds is damaged: nothing was written.
    #[error("storage failed: {0}")]
    Storage(String),
}

impl Role {
    /// As health and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Learner => "learner",
        }
    }
}

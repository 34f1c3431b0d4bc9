//! How a node comes up, step by step: its folder, what it presents to its peers,
//! consensus, and the tasks that live as long as the node.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use openraft::errors::{InitializeError, RaftError};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::background::{bound_log, watch_readiness};
use super::cancellation::CancellationForwarder;
use super::clock::cluster_clock::ClusterClock;
use super::clock::peer_status::PeerStatuses;
use super::consensus::applied::LatestState;
use super::consensus::leadership::{Leadership, RaftHandle};
use super::consensus::options;
use super::consensus::precheck::Prechecks;
use super::consensus::read::{ReadBarrier, ReadIndexRounds};
use super::consensus::session::ProposerSession;
use super::consensus::state_machine::StateMachine;
use super::consensus::types::{NodeId, Peer};
use super::consensus::write::Proposer;
use super::data_dir::{DataDir, DataDirError, draw_incarnation};
use super::history::archive::{self, Archive, ArchiveError};
use super::history::peer_source::PeerHistorySource;
use super::history::{self, History};
use super::host::Environment;
use super::log::{self, LogError, LogStore};
use super::membership::admin::ClusterAdmin;
use super::membership::tasks::MembershipTasks;
use super::membership::view::MembershipView;
use super::rpc::node_handler::NodeHandler;
use super::rpc::{self, Forwarder, PeerIdentity, PeerNetwork, PeerService, peer_service};
use super::snapshot::file;
use super::snapshot::folder::SnapshotDir;
use super::store::RaftStore;
use crate::machine::Meta;
use crate::machine::command::StateLimits;

/// What a node must know to start.
#[derive(Clone, Debug)]
pub struct Options {
    pub cluster_name: String,
    pub node_id: NodeId,
    /// Every voter of the cluster's first membership. It must be the same on each
    /// founder, to the letter: each of them founds the cluster with it, and
    /// nothing would notice that their first log entries differ. Later
    /// memberships come from the log. A node that is not among these members
    /// founds nothing and waits to be added.
    pub members: BTreeMap<NodeId, Peer>,
    /// Where clients reach this node's MCP endpoint; may be empty. Each node
    /// announces its own.
    pub url: String,
    pub data_dir: PathBuf,
    /// The secret that peers must present.
    pub secret: Option<String>,
    /// The size up to which commands that this node orders as the leader may let
    /// the state grow, in bytes as [`crate::machine::size`] counts them.
    pub limits: StateLimits,
    pub consensus: options::Options,
    pub log: log::Options,
    /// The versions of the peer protocol to speak: [`rpc::SPEAKS`], except in
    /// tests.
    pub speaks: RangeInclusive<u32>,
}

impl Options {
    /// Whether this node is one of those that found the cluster.
    fn is_founder(&self) -> bool {
        self.members.contains_key(&self.node_id)
    }
}

/// The gRPC service that a node's peers call.
pub type Peers = PeerService<StateMachine>;

/// A node that runs, and the service by which its peers reach it.
pub struct Started {
    pub store: Arc<RaftStore>,
    /// To be served on the address that the members know.
    pub peers: Peers,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("the write-ahead log cannot be opened: {0}")]
    Log(#[from] LogError),
    #[error("the history archive cannot be opened: {0}")]
    Archive(#[from] ArchiveError),
    #[error("the snapshots cannot be read: {0}")]
    Snapshots(#[source] std::io::Error),
    #[error("invalid setting: {0}")]
    Setting(String),
    #[error("consensus does not start: {0}")]
    Consensus(String),
}

impl RaftStore {
    /// Starts the node. It is ready once it knows a leader and has caught up.
    ///
    /// # Errors
    ///
    /// When its folder is in use, damaged or belongs to another node, or when a
    /// setting is wrong. Nothing that the folder holds has changed then.
    pub async fn start(options: Options, environment: Environment) -> Result<Started, StartError> {
        let (dir, log) = open_folder(&options, &environment)?;
        let peering = Peering::new(&options, &dir, &environment)?;
        let archive = open_archive(&dir, &environment).await?;
        let replica =
            Replica::start(&options, &environment, &dir, log.clone(), archive, &peering).await?;
        replica.found_or_wait(&options).await?;
        Ok(assemble(options, environment, dir, log, peering, replica))
    }
}

/// Opens the folder and its log, and records whose folder it is.
fn open_folder(
    options: &Options,
    environment: &Environment,
) -> Result<(DataDir, LogStore), StartError> {
    let (disk, cluster) = (&environment.disk, &options.cluster_name);
    let mut dir = DataDir::open(disk, &options.data_dir, cluster, options.node_id)?;
    file::remove_leftovers(&**disk, &dir.snapshots()).map_err(StartError::Snapshots)?;
    // A folder that was used before and has no log has lost it.
    let log_options = log::Options { must_exist: !dir.is_new(), ..options.log.clone() };
    let log = LogStore::open(environment, &dir.log(), log_options)?;
    dir.inscribe(draw_incarnation(environment.random), options.is_founder())?;
    Ok((dir, log))
}

async fn open_archive(dir: &DataDir, environment: &Environment) -> Result<Archive, StartError> {
    let (folder, host) = (dir.archive(), environment.clone());
    let opening = move || Ok(Archive::open(&host, folder, archive::Options::default()));
    let (archive, opened) = environment.blocking(opening).await.map_err(setting)??;
    if let Some(damage) = opened.damage {
        tracing::warn!(damage, "the history archive begins anew and is fetched from peers");
    }
    Ok(archive)
}

/// How this node presents itself to its peers, and reaches them.
struct Peering {
    identity: PeerIdentity,
    membership: MembershipView,
    network: PeerNetwork,
}

impl Peering {
    fn new(
        options: &Options,
        dir: &DataDir,
        environment: &Environment,
    ) -> Result<Peering, StartError> {
        let secret = options.secret.as_deref();
        let membership = MembershipView::default();
        let mut identity = PeerIdentity::new(options.cluster_name.clone(), options.node_id, secret)
            .map_err(setting)?
            .with_incarnation(dir.incarnation(), options.url.clone())
            .with_protocols(options.speaks.clone())
            .with_membership(membership.clone());
        if dir.is_founder() {
            identity = identity.with_seed(dir.seed());
        }
        let network = PeerNetwork::with_dial(
            identity.clone(),
            rpc::Options::default(),
            environment.dial.clone(),
        );
        Ok(Peering { identity, membership, network })
    }
}

/// The Raft instance, and the state and history to which it applies entries.
struct Replica {
    raft: RaftHandle,
    leadership: Leadership,
    state: Arc<LatestState>,
    history: History,
}

impl Replica {
    /// Starts openraft, which installs the newest snapshot and applies the log.
    async fn start(
        options: &Options,
        environment: &Environment,
        dir: &DataDir,
        log: LogStore,
        archive: Archive,
        peering: &Peering,
    ) -> Result<Replica, StartError> {
        let Peering { membership, network, .. } = peering;
        let source = Arc::new(PeerHistorySource::new(network.clone()));
        let history =
            History::start(archive, source.clone(), &Meta::default(), history::Options::default());
        let state = Arc::new(LatestState::new());
        let snapshots = SnapshotDir::new(environment, dir.snapshots());
        let machine = StateMachine::new(
            environment.clone(),
            state.clone(),
            history.clone(),
            snapshots,
            membership.clone(),
        );
        let config = options.consensus.config(&options.cluster_name).map_err(setting)?;
        let raft = RaftHandle::new(options.node_id, config, network.clone(), log, machine)
            .await
            .map_err(|fatal| StartError::Consensus(fatal.to_string()))?;
        let leadership = Leadership::of(&raft);
        source.follow(leadership.clone());
        Ok(Replica { raft, leadership, state, history })
    }

    /// Founds the cluster, if this node is a founder and knows of no cluster yet.
    /// Every founder does so with the same members, which openraft makes one
    /// cluster. Any other node waits until it is added.
    async fn found_or_wait(&self, options: &Options) -> Result<(), StartError> {
        if options.is_founder() {
            return match self.raft.initialize(options.members.clone()).await {
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
                Err(error) => Err(StartError::Consensus(error.to_string())),
            };
        }
        if !self.raft.is_initialized().await.unwrap_or(true) {
            tracing::info!(node = options.node_id, "waits to be added: `cluster add`");
        }
        Ok(())
    }
}

/// Connects the parts of a node, and starts the tasks that run beside it.
fn assemble(
    options: Options,
    environment: Environment,
    dir: DataDir,
    log: LogStore,
    peering: Peering,
    replica: Replica,
) -> Started {
    let Peering { identity, membership, network } = peering;
    let Replica { raft, leadership, state, history } = replica;
    let (cluster_clock, peer_statuses) =
        (ClusterClock::new(environment.clock.clone()), PeerStatuses::default());
    let proposer = Arc::new(Proposer {
        raft: raft.clone(),
        leadership: leadership.clone(),
        cluster_clock: cluster_clock.clone(),
        state: state.clone(),
        session: ProposerSession::new((environment.random)()),
        forwarder: Forwarder::new(network.clone()),
        limits: options.limits,
        peer_statuses: peer_statuses.clone(),
        speaks: *options.speaks.end(),
        prechecks: Prechecks::default(),
    });
    let read_barrier = ReadBarrier::start(ReadIndexRounds {
        raft: raft.clone(),
        leadership: leadership.clone(),
        cluster_clock: cluster_clock.clone(),
        state: state.clone(),
        network: network.clone(),
    });
    let cancellations = Arc::new(CancellationForwarder::new(network.clone(), leadership.clone()));
    let admin = Arc::new(ClusterAdmin {
        raft: raft.clone(),
        state: state.clone(),
        network: network.clone(),
        membership,
        change_lock: Mutex::new(()),
        cancellations: cancellations.clone(),
    });
    let caught_up = Arc::new(AtomicBool::new(false));
    let membership_tasks = MembershipTasks {
        raft: raft.clone(),
        leadership: leadership.clone(),
        network: network.clone(),
        identity: identity.clone(),
        admin: admin.clone(),
        founders: options.members,
    };
    let (expulsion, expelled) = watch::channel(None);
    let tasks = vec![
        spawn(watch_readiness(leadership.clone(), read_barrier.clone(), caught_up.clone())),
        spawn(bound_log(raft.clone(), log.stats())),
        spawn(membership_tasks.clone().register()),
        spawn(membership_tasks.watch_expulsion(caught_up.clone(), expulsion)),
        spawn(peer_statuses.clone().poll(leadership, network, cluster_clock)),
    ];
    let handler =
        NodeHandler { proposer: proposer.clone(), history: history.clone(), cancellations };
    let peers =
        peer_service(raft.clone(), Arc::new(handler), identity, environment, dir.snapshots());
    let store = RaftStore {
        cluster_name: options.cluster_name,
        url: options.url,
        raft,
        state,
        proposer,
        read_barrier,
        history,
        admin,
        peer_statuses,
        log,
        caught_up,
        expelled,
        calls: TaskTracker::new(),
        stop: CancellationToken::new(),
        _tasks: tasks,
        dir,
    };
    Started { store: Arc::new(store), peers }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

fn setting(error: impl ToString) -> StartError {
    StartError::Setting(error.to_string())
}

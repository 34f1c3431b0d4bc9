//! How a node comes up: its folder, what the folder holds, consensus, and the
//! tasks that live as long as the node.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::RaftStore;
use super::blocking::blocking;
use super::clock::cluster_clock::ClusterClock;
use super::clock::skew::ClockSkews;
use super::consensus::applied::State;
use super::consensus::leadership::{Core, Leader, Leadership};
use super::consensus::options;
use super::consensus::precheck::Prechecks;
use super::consensus::read::{ReadBarrier, ReadIndexRounds};
use super::consensus::session::Session;
use super::consensus::state_machine::StateMachine;
use super::consensus::types::{NodeId, Peer};
use super::consensus::write::Writes;
use super::data_dir::{DataDir, DataDirError};
use super::history::archive::{self, Archive, ArchiveError};
use super::history::fetch::PeerHistorySource;
use super::history::{self, History};
use super::log::{self, LogError, LogStats, LogStore};
use super::membership::change::MembershipChanges;
use super::membership::tasks::MembershipTasks;
use super::membership::view::MembershipView;
use super::rpc::node_handler::NodeHandler;
use super::rpc::{self, Forwarder, Identity, Network, PeerService, peer_service};
use super::snapshot::file;
use super::snapshot::folder::SnapshotDir;
use crate::machine::Meta;
use crate::store::clock::Clock;

/// The log is purged by a snapshot at the latest when it has grown by this,
/// however few entries that are: restarts read it whole.
const SNAPSHOT_LOG_BYTES: u64 = 256 << 20;

/// How often the log's growth and the node's readiness are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A read that takes longer shows that the node has not caught up, or is cut off.
const CATCH_UP: Duration = Duration::from_secs(2);

/// What a node must know to start.
#[derive(Clone, Debug)]
pub struct Options {
    pub cluster_name: String,
    pub node_id: NodeId,
    /// Every voter of the cluster's first membership, the same on each, to the
    /// letter: each of them founds the cluster with it, and first entries that
    /// differ would never be noticed. Later ones come from the log. A node that
    /// is none of them founds nothing and waits to be added.
    pub members: BTreeMap<NodeId, Peer>,
    /// Where clients reach this node's MCP; may be empty. Each node tells its
    /// own.
    pub url: String,
    pub data_dir: PathBuf,
    /// What peers must show.
    pub secret: Option<String>,
    /// How large the state may become by what this node orders as the leader, in
    /// bytes as [`crate::machine::size`] counts them.
    pub state_bytes_max: Option<u64>,
    pub consensus: options::Options,
    pub log: log::Options,
    /// Versions of the peers' protocol; [`rpc::SPEAKS`] but in tests.
    pub speaks: RangeInclusive<u32>,
}

impl Options {
    /// Whether this node is one of those that found the cluster.
    fn is_founder(&self) -> bool {
        self.members.contains_key(&self.node_id)
    }
}

/// A number for a folder's incarnation: never 0, and one that TOML can hold.
pub(super) fn draw_incarnation() -> u64 {
    rand::random_range(1..=i64::MAX as u64)
}

/// What a node's peers call.
pub type Peers = PeerService<StateMachine>;

/// A node that runs, and what its peers reach it by.
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
    /// When its folder is in use, another's or damaged, or a setting is wrong;
    /// nothing that the folder holds was changed then.
    pub async fn start(options: Options, clock: Clock) -> Result<Started, StartError> {
        let setting = |error: String| StartError::Setting(error);
        let mut dir = DataDir::open(&options.data_dir, &options.cluster_name, options.node_id)?;
        file::remove_leftovers(&dir.snapshots()).map_err(StartError::Snapshots)?;
        let log_options = log::Options { must_exist: !dir.is_new(), ..options.log.clone() };
        let log = LogStore::open(&dir.log(), log_options)?;
        dir.inscribe(draw_incarnation(), options.is_founder())?;

        let secret = options.secret.as_deref();
        let membership = MembershipView::default();
        let mut identity = Identity::new(options.cluster_name.clone(), options.node_id, secret)
            .map_err(|error| setting(error.to_string()))?
            .with_incarnation(dir.incarnation(), options.url.clone())
            .with_protocols(options.speaks.clone())
            .with_membership(membership.clone());
        if dir.is_founder() {
            identity = identity.with_seed(dir.seed());
        }
        let network = Network::new(identity.clone(), rpc::Options::default());
        let folder = dir.archive();
        let opening =
            blocking(move || Ok(Archive::open(folder, archive::Options::default()))).await;
        let (archive, opened) = opening.map_err(|panic| setting(panic.to_string()))??;
        if let Some(damage) = opened.damage {
            tracing::warn!(damage, "the history archive begins anew and is fetched from peers");
        }
        let source = Arc::new(PeerHistorySource::new(network.clone()));
        let history =
            History::start(archive, source.clone(), &Meta::default(), history::Options::default());
        let state = Arc::new(State::new());
        let snapshots = SnapshotDir::new(dir.snapshots());
        let machine =
            StateMachine::new(state.clone(), history.clone(), snapshots, membership.clone());
        let config = options
            .consensus
            .config(&options.cluster_name)
            .map_err(|error| setting(error.to_string()))?;
        let core = Core::new(options.node_id, config, network.clone(), log.clone(), machine)
            .await
            .map_err(|fatal| StartError::Consensus(fatal.to_string()))?;
        if options.is_founder() {
            form(&core, options.members.clone()).await?;
        } else if !core.is_initialized().await.unwrap_or(true) {
            tracing::info!(node = options.node_id, "waits to be added: `cluster add`");
        }

        let leadership = Leadership::of(&core);
        source.follow(leadership.clone());
        let cluster_clock = ClusterClock::new(clock);
        let skews = ClockSkews::default();
        let writes = Arc::new(Writes {
            core: core.clone(),
            leadership: leadership.clone(),
            cluster_clock: cluster_clock.clone(),
            state: state.clone(),
            session: Session::new(rand::random()),
            forwarder: Forwarder::new(network.clone()),
            state_bytes_max: options.state_bytes_max,
            skews: skews.clone(),
            knows_steps: *options.speaks.end() >= rpc::SPEAKS_STEPWISE,
            prechecks: Prechecks::default(),
        });
        let watch_clocks =
            skews.clone().watch(leadership.clone(), network.clone(), cluster_clock.clone());
        let gate = ReadBarrier::open(ReadIndexRounds {
            core: core.clone(),
            leadership: leadership.clone(),
            cluster_clock,
            state: state.clone(),
            network: network.clone(),
        });
        let caught_up = Arc::new(AtomicBool::new(false));
        let catching_up = watch_catching_up(leadership.clone(), gate.clone(), caught_up.clone());
        let under_way = Mutex::new(());
        let changes = Arc::new(MembershipChanges {
            network: network.clone(),
            membership: membership.clone(),
            under_way,
        });
        let membership_tasks = MembershipTasks {
            core: core.clone(),
            leadership: leadership.clone(),
            network: network.clone(),
            identity: identity.clone(),
            changes: changes.clone(),
            founders: options.members,
        };
        let (tell, expelled) = watch::channel(None);
        let expulsion = membership_tasks.clone().watch_expulsion(caught_up.clone(), tell);
        let tasks = vec![
            AbortOnDropHandle::new(tokio::spawn(catching_up)),
            AbortOnDropHandle::new(tokio::spawn(bound_log(core.clone(), log.stats()))),
            AbortOnDropHandle::new(tokio::spawn(membership_tasks.register())),
            AbortOnDropHandle::new(tokio::spawn(expulsion)),
            AbortOnDropHandle::new(tokio::spawn(watch_clocks)),
        ];
        let handler = NodeHandler { writes: writes.clone(), history: history.clone() };
        let snapshots = dir.snapshots();
        let peers = peer_service(core.clone(), Arc::new(handler), identity, snapshots);
        let store = RaftStore {
            cluster_name: options.cluster_name,
            url: options.url,
            core,
            state,
            writes,
            gate,
            history,
            changes,
            skews,
            log,
            caught_up,
            expelled,
            calls: TaskTracker::new(),
            stop: CancellationToken::new(),
            _tasks: tasks,
            dir,
        };
        Ok(Started { store: Arc::new(store), peers })
    }
}

/// Founds the cluster where this node knows of none yet. Every founding member
/// does so with the same members, which openraft makes one cluster.
async fn form(core: &Core, members: BTreeMap<NodeId, Peer>) -> Result<(), StartError> {
    match core.initialize(members).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(StartError::Consensus(error.to_string())),
    }
}

/// Writes down who leads, and keeps `caught_up` true while a majority stands
/// behind that leader and this node has applied what was committed: as long as
/// reads pass. A node that was cut off hears of no new leader and would go on
/// naming the old one.
async fn watch_catching_up(
    mut leadership: Leadership,
    gate: ReadBarrier,
    caught_up: Arc<AtomicBool>,
) {
    let mut known = Leader::Nobody;
    loop {
        let leader = leadership.now();
        if leader != known {
            tracing::info!(%leader, "leadership");
            known = leader;
        }
        let passed = gate.pass(Instant::now() + CATCH_UP).await;
        caught_up.store(passed.is_ok(), Ordering::Release);
        leadership.change_within(LOOK).await;
    }
}

/// Takes a snapshot when the log has grown by many bytes in few entries, which
/// openraft, counting entries, does not see.
async fn bound_log(core: Core, log: LogStats) {
    let mut timer = tokio::time::interval(LOOK);
    loop {
        timer.tick().await;
        if log.appended_since_purge_bytes() < SNAPSHOT_LOG_BYTES {
            continue;
        }
        if core.trigger().snapshot().await.is_err() {
            return;
        }
        // Openraft purges what the snapshot covers, less what it keeps for
        // peers that lag; those few entries may be the large ones.
        if let Some(covered) = covered_index(&core)
            && core.trigger().purge_log(covered).await.is_err()
        {
            return;
        }
    }
}

fn covered_index(core: &Core) -> Option<u64> {
    let metrics = core.metrics();
    metrics.borrow_watched().snapshot.as_ref().map(|last| last.index)
}

//! Bugs for the simulator to find: its checks are only worth something if they
//! fail where a promise is broken. Each is planted around a node, in what it is
//! given or in what stands between it and its clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mcp_state_sidecar::machine::command::{Checkpoint, Claimant, Create};
use mcp_state_sidecar::machine::lookup::Due;
use mcp_state_sidecar::machine::{Answer, Command, Question, Reply, Revision, Text};
use mcp_state_sidecar::store::cluster::Cluster;
use mcp_state_sidecar::store::export::Export;
use mcp_state_sidecar::store::{Answered, Consistency, Health, Request, Store, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::work::SCHEDULED;

/// One in so many commands is carried out twice: few enough that most calls are as
/// they should be.
const TWICE_EVERY: u32 = 20;

/// A promise to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The disk says that the log is synced before it is.
    AcknowledgedBeforeSync,
    /// Some commands are carried out twice, as if they were sent again under
    /// another identity.
    AppliedTwice,
    /// A linearizable read is answered without asking who leads.
    ReadUnconfirmed,
    /// A lease is granted under the token of an earlier grant.
    TokenReused,
    /// A run is tried again however often it was.
    AttemptsUncounted,
    /// What an agent sends after its claim has lapsed is let through, as the holder's.
    StaleWrite,
    /// A run does not wait for those that it depends on.
    ReleasedEarly,
    /// A firing of a schedule creates two runs.
    FiredTwice,
}

impl Bug {
    const ALL: [Bug; 8] = [
        Bug::AcknowledgedBeforeSync,
        Bug::AppliedTwice,
        Bug::ReadUnconfirmed,
        Bug::TokenReused,
        Bug::AttemptsUncounted,
        Bug::StaleWrite,
        Bug::ReleasedEarly,
        Bug::FiredTwice,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Bug::AcknowledgedBeforeSync => "acknowledged-before-sync",
            Bug::AppliedTwice => "applied-twice",
            Bug::ReadUnconfirmed => "read-unconfirmed",
            Bug::TokenReused => "token-reused",
            Bug::AttemptsUncounted => "attempts-uncounted",
            Bug::StaleWrite => "stale-write",
            Bug::ReleasedEarly => "released-early",
            Bug::FiredTwice => "fired-twice",
        }
    }

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Bug> {
        Bug::ALL.into_iter().find(|bug| bug.name() == name)
    }
}

/// The first token that was granted for each resource, in the whole cluster.
pub type Tokens = Arc<Mutex<BTreeMap<Text, Revision>>>;

/// A node's store with a bug in front of it.
pub struct FaultyStore {
    pub store: Arc<dyn Store>,
    pub bug: Bug,
    pub tokens: Tokens,
}

impl FaultyStore {
    /// The command as it is carried out.
    fn changed(&self, command: Command) -> Command {
        match (self.bug, command) {
            (Bug::AttemptsUncounted, Command::Create(create)) => {
                Command::Create(Create { max_attempts: 1_000_000, ..create })
            }
            (Bug::ReleasedEarly, Command::Create(create)) => {
                Command::Create(Create { depends_on: Vec::new(), ..create })
            }
            (_, command) => command,
        }
    }

    /// Stores the step under the claim of whoever has the run now.
    async fn store_as_holder(
        &self,
        request: Request,
        stale: &Checkpoint,
        deadline: Instant,
    ) -> Result<Reply, StoreError> {
        let question = Question::Run { run_id: stale.run_id.clone() };
        let asked = self.store.ask(question, Consistency::Linearizable, deadline).await?;
        let holder = match asked.answer {
            Answer::Run { run: Some(run), .. } => {
                let claim_token = run.claim.as_ref().map(|claim| claim.token);
                Claimant { agent_id: run.agent_id, claim_token }
            }
            _ => stale.claimant.clone(),
        };
        let stale = Checkpoint { claimant: holder, ..stale.clone() };
        let command = Command::Checkpoint(stale);
        self.store.submit(Request { command, ..request }, deadline).await
    }

    fn reuse_token(&self, reply: &mut Reply) {
        let Reply::Acquired(acquired) = reply else { return };
        if let Some(token) = acquired.fencing_token {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            let first = *tokens.entry(acquired.resource_id.clone()).or_insert(token);
            acquired.fencing_token = Some(first);
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        if self.bug == Bug::AppliedTwice && rand::random_ratio(1, TWICE_EVERY) {
            let again = Request { idempotency: None, ..request.clone() };
            self.store.submit(again, deadline).await?;
        }
        let again_of = Request { idempotency: None, ..request.clone() };
        let asked = request.command.clone();
        let command = self.changed(request.command);
        let mut reply = self.store.submit(Request { command, ..request }, deadline).await?;
        match (self.bug, &asked, &reply) {
            (Bug::TokenReused, ..) => self.reuse_token(&mut reply),
            (Bug::StaleWrite, Command::Checkpoint(stale), Reply::Checkpointed(stored))
                if !stored.ok =>
            {
                return self.store_as_holder(again_of, stale, deadline).await;
            }
            (Bug::FiredTwice, Command::FireSchedule(_), Reply::ScheduleFired(fired))
                if fired.fired =>
            {
                let again = Create { name: SCHEDULED.into(), ..Create::default() };
                let command = Command::Create(again);
                self.store.submit(Request { command, ..again_of }, deadline).await?;
            }
            _ => {}
        }
        Ok(reply)
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        let consistency = match self.bug {
            Bug::ReadUnconfirmed => Consistency::Local,
            _ => consistency,
        };
        self.store.ask(question, consistency, deadline).await
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.store.revision()
    }

    async fn due(&self) -> Due {
        self.store.due().await
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        self.store.export(deadline).await
    }

    async fn health(&self) -> Health {
        self.store.health().await
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        self.store.cluster()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

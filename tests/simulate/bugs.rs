//! Bugs for the simulator to find: its checks are only worth something if they
//! fail where a promise is broken. Each is planted around a node, in what it is
//! given or in what stands between it and its clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mcp_state_sidecar::machine::lookup::Due;
use mcp_state_sidecar::machine::{Question, Reply, Revision, Text};
use mcp_state_sidecar::store::cluster::Cluster;
use mcp_state_sidecar::store::export::Export;
use mcp_state_sidecar::store::{Answered, Consistency, Health, Request, Store, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;

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
}

impl Bug {
    const ALL: [Bug; 4] =
        [Bug::AcknowledgedBeforeSync, Bug::AppliedTwice, Bug::ReadUnconfirmed, Bug::TokenReused];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Bug::AcknowledgedBeforeSync => "acknowledged-before-sync",
            Bug::AppliedTwice => "applied-twice",
            Bug::ReadUnconfirmed => "read-unconfirmed",
            Bug::TokenReused => "token-reused",
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
        let mut reply = self.store.submit(request, deadline).await?;
        if self.bug == Bug::TokenReused {
            self.reuse_token(&mut reply);
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
            Bug::AcknowledgedBeforeSync | Bug::AppliedTwice | Bug::TokenReused => consistency,
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

//! A memory store that counts its calls, and that can hold them up or let them fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mcp_state_sidecar::machine::lookup::Due;
use mcp_state_sidecar::machine::query::Answer;
use mcp_state_sidecar::machine::row::LeaseRow;
use mcp_state_sidecar::machine::{Command, Question, Reply, Revision};
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::export::Export;
use mcp_state_sidecar::store::memory::MemoryStore;
use mcp_state_sidecar::store::{Answered, Consistency, Health, Request, Store, StoreError};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// A memory store that a test watches and disturbs.
pub struct ProbeStore {
    pub inner: MemoryStore,
    submitted: AtomicUsize,
    asked: Mutex<BTreeMap<&'static str, usize>>,
    holds_commands: AtomicBool,
    holds_replies: AtomicBool,
    holds_history: AtomicBool,
    /// What is held takes a permit to pass.
    permits: Semaphore,
    failing_claims: AtomicUsize,
    stale_lease: Option<LeaseRow>,
    /// The revision that it shows while it lags behind.
    lagging: Mutex<Option<watch::Sender<Revision>>>,
}

impl ProbeStore {
    pub fn new(clock: Arc<ManualClock>) -> ProbeStore {
        ProbeStore {
            inner: MemoryStore::new(clock),
            submitted: AtomicUsize::new(0),
            asked: Mutex::default(),
            holds_commands: AtomicBool::new(false),
            holds_replies: AtomicBool::new(false),
            holds_history: AtomicBool::new(false),
            permits: Semaphore::new(0),
            failing_claims: AtomicUsize::new(0),
            stale_lease: None,
            lagging: Mutex::default(),
        }
    }

    /// Lets local reads of any lease return `lease` instead of the present state.
    pub fn with_stale_lease(self, lease: LeaseRow) -> ProbeStore {
        ProbeStore { stale_lease: Some(lease), ..self }
    }

    /// Holds every command before it is carried out.
    pub fn hold_commands(&self) {
        self.holds_commands.store(true, Ordering::SeqCst);
    }

    /// Carries commands out, and holds their replies.
    pub fn hold_replies(&self) {
        self.holds_replies.store(true, Ordering::SeqCst);
    }

    /// Holds every question about the history before it is answered.
    pub fn hold_history(&self) {
        self.holds_history.store(true, Ordering::SeqCst);
    }

    /// From now on shows its present revision, and not what others add.
    pub fn lag_behind(&self) {
        let present = *self.inner.revision().borrow();
        *self.lagging.lock().unwrap() = Some(watch::Sender::new(present));
    }

    /// Shows the newest revision to those who follow it since it lags behind.
    pub fn catch_up(&self) {
        let newest = *self.inner.revision().borrow();
        let lagging = self.lagging.lock().unwrap();
        lagging.as_ref().expect("it lags behind").send_replace(newest);
    }

    /// Lets so many pass of what is held.
    pub fn let_pass(&self, number: usize) {
        self.permits.add_permits(number);
    }

    /// Lets everything pass, what is held and what comes later.
    pub fn let_all_pass(&self) {
        self.holds_commands.store(false, Ordering::SeqCst);
        self.holds_replies.store(false, Ordering::SeqCst);
        self.holds_history.store(false, Ordering::SeqCst);
        self.let_pass(1_000);
    }

    /// Lets the next `number` claims find the store unavailable.
    pub fn fail_claims(&self, number: usize) {
        self.failing_claims.store(number, Ordering::SeqCst);
    }

    /// How many commands have arrived.
    pub fn submitted(&self) -> usize {
        self.submitted.load(Ordering::SeqCst)
    }

    /// How many questions of one kind have arrived.
    pub fn asked(&self, kind: &'static str) -> usize {
        self.asked.lock().unwrap().get(kind).copied().unwrap_or(0)
    }

    async fn pass(&self, holds: &AtomicBool) {
        if holds.load(Ordering::SeqCst) {
            self.permits.acquire().await.expect("never closed").forget();
        }
    }
}

#[async_trait]
impl Store for ProbeStore {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        let one_less = |left: usize| left.checked_sub(1);
        let (order, claims) = (Ordering::SeqCst, &self.failing_claims);
        if matches!(request.command, Command::ClaimNext(_))
            && claims.fetch_update(order, order, one_less).is_ok()
        {
            return Err(StoreError::Unavailable("no leader".into()));
        }
        self.pass(&self.holds_commands).await;
        let reply = self.inner.submit(request, deadline).await;
        self.pass(&self.holds_replies).await;
        reply
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        let kind = match question {
            Question::Run { .. } => "run",
            Question::Candidate { .. } => "candidate",
            Question::Lease { .. } => "lease",
            Question::Request { .. } => "request",
            Question::Changes { .. } => "changes",
            Question::History { .. } => "history",
            _ => "other",
        };
        *self.asked.lock().unwrap().entry(kind).or_default() += 1;
        if kind == "history" {
            self.pass(&self.holds_history).await;
        }
        if let (Consistency::Local, Question::Lease { .. }, Some(lease)) =
            (consistency, &question, &self.stale_lease)
        {
            let answer = Answer::Lease(Some(lease.clone()));
            return Ok(Answered { answer, revision: Revision::ZERO, age: None });
        }
        self.inner.ask(question, consistency, deadline).await
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        match &*self.lagging.lock().unwrap() {
            Some(lagging) => lagging.subscribe(),
            None => self.inner.revision(),
        }
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        self.inner.export(deadline).await
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    async fn due(&self) -> Due {
        self.inner.due().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

//! Bugs for a simulation to find: its checks are only worth something if they
//! fail where a promise is broken. Each breaks one, where it is planted; all are
//! off unless a simulation switches one on, on its own thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::machine::change::{Change, Decision};
use crate::machine::command::Envelope;
use crate::machine::{Reply, Revision, Row, Text};

/// A promise to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The log says that a record is on the disk before it is.
    AcknowledgedBeforeSync,
    /// A command that is asked for again is carried out again.
    AppliedTwice,
    /// A linearizable read is answered without asking who leads.
    ReadUnconfirmed,
    /// A lease is granted under the token of an earlier grant.
    TokenReused,
}

impl Bug {
    /// Every bug that can be switched on.
    pub const ALL: [Bug; 4] =
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

thread_local! {
    static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
    static TOKENS: RefCell<BTreeMap<Text, Revision>> = const { RefCell::new(BTreeMap::new()) };
}

/// Switches one bug on, or all off, for the nodes of this thread.
pub fn plant(bug: Option<Bug>) {
    BUG.set(bug);
    TOKENS.take();
}

/// Whether this one is on.
pub fn is(bug: Bug) -> bool {
    BUG.get() == Some(bug)
}

/// What the state machine makes of a command before it decides.
pub(super) fn before(envelope: &mut Envelope) {
    if is(Bug::AppliedTwice) {
        envelope.origin = None;
    }
}

/// What it makes of the decision.
pub(super) fn after(decision: &mut Decision) {
    let Reply::Acquired(acquired) = &mut decision.reply else { return };
    let Some(token) = acquired.fencing_token.filter(|_| is(Bug::TokenReused)) else { return };
    let reused = TOKENS
        .with_borrow_mut(|tokens| *tokens.entry(acquired.resource_id.clone()).or_insert(token));
    acquired.fencing_token = Some(reused);
    for change in &mut decision.changes {
        if let Change::Put(row) = change
            && let Row::Lease(_, lease) = Arc::make_mut(row)
        {
            lease.token = reused;
        }
    }
}

//! UndeliveredReply grants: if a caller goes away before it receives its answer, what the
//! answer grants is given back at once. Otherwise a claim or lease that nobody knows
//! of would keep others out until it expires.
//!
//! A reply is on its way until [`UndeliveredReply::accept`], and gives back its grant
//! if it is dropped before. A call with an idempotency key is the exception: its
//! caller can receive the answer by repeating the call.
//!
//! A client may also cancel a call when its answer is on the way already, and then
//! ignores the answer. For that case the grant can be taken out of the reply.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::machine::command::{HeldClaim, ReleaseLease};
use crate::machine::{Answer, Command, Question, Reply, Revision, Text};
use crate::store::{Consistency, Request, Store, StoreError};

/// How long it may take to give a grant back.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(10);

type SubmitResult = Result<Reply, StoreError>;

/// A reply on its way to its caller.
pub(super) struct UndeliveredReply {
    outcome: Option<SubmitResult>,
    grantee: Option<Grantee>,
}

/// The agent or lease holder to whom a command may grant something.
struct Grantee {
    store: Arc<dyn Store>,
    name: Text,
}

impl Grantee {
    /// `None` where nothing would have to be given back.
    fn of(request: &Request, store: &Arc<dyn Store>) -> Option<Grantee> {
        let name = request.command.kind().grantee?;
        let has_key = request.idempotency.is_some();
        (!has_key).then(|| Grantee { store: store.clone(), name: name.clone() })
    }

    async fn take_all_back(self, grants: Vec<Grant>) {
        for grant in grants {
            self.take_back(grant).await;
        }
    }

    async fn take_back(&self, grant: Grant) {
        let deadline = Instant::now() + GIVE_BACK_TIMEOUT;
        let (question, token, command) = match grant {
            Grant::Run(run_id, token) => {
                let question = Question::Run { run_id: run_id.clone() };
                let held = HeldClaim { run_id, agent_id: self.name.clone(), claim_token: token };
                (question, token, Command::Release(held))
            }
            Grant::Lease(resource_id, token) => {
                let question = Question::Lease { resource_id: resource_id.clone() };
                let fencing_token = Some(token);
                let holder_id = self.name.clone();
                let release = ReleaseLease { resource_id, holder_id, fencing_token };
                (question, token, Command::ReleaseLease(release))
            }
        };
        // If the row has changed since the grant, somebody called again under the
        // same name or sent a heartbeat, and that caller has the grant.
        let asked = self.store.ask(question, Consistency::Linearizable, deadline).await;
        let untouched = match asked.map(|answered| answered.answer) {
            Ok(Answer::Run { run, .. }) => run.is_some_and(|run| run.revision == token),
            Ok(Answer::Lease(lease)) => lease.is_some_and(|lease| {
                let own = lease.holders.iter().find(|holder| holder.token == token);
                own.is_some_and(|own| own.revision == token)
            }),
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "a grant that nobody received was not given back");
                return;
            }
        };
        if !untouched {
            return;
        }
        if let Err(error) = self.store.submit(Request::own(command), deadline).await {
            tracing::warn!(%error, "a grant that nobody received was not given back");
        }
    }
}

/// What a reply grants, with its fencing token.
enum Grant {
    Run(Text, Revision),
    Lease(Text, Revision),
}

impl Grant {
    fn all_of(reply: &Reply) -> Vec<Grant> {
        match reply {
            Reply::Claimed(claimed) if claimed.claimed => {
                let first = claimed.run_id.clone().zip(claimed.claim_token);
                let further = claimed.further.iter().map(|it| (it.run_id.clone(), it.claim_token));
                let runs = first.into_iter().chain(further);
                runs.map(|(run_id, token)| Grant::Run(run_id, token)).collect()
            }
            // A lease that the holder had before this call is not given back.
            Reply::Acquired(acquired) if acquired.granted => {
                let lease = |token| Grant::Lease(acquired.resource_id.clone(), token);
                acquired.fencing_token.map(lease).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What was granted and delivered to its caller, who may cancel nevertheless.
pub(super) struct GrantDelivered {
    grantee: Grantee,
    grants: Vec<Grant>,
}

impl GrantDelivered {
    /// Gives the grant back in the background, unless somebody has used it.
    pub(super) fn give_back(self) {
        // Without a runtime the program is ending, and its store with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self.grantee.take_all_back(self.grants));
        }
    }
}

impl UndeliveredReply {
    /// The reply to `request`, which has not arrived from `store` yet.
    pub(super) fn expected(request: &Request, store: &Arc<dyn Store>) -> UndeliveredReply {
        UndeliveredReply { outcome: None, grantee: Grantee::of(request, store) }
    }

    /// The reply has arrived from the store.
    pub(super) fn with(mut self, outcome: SubmitResult) -> UndeliveredReply {
        self.outcome = Some(outcome);
        self
    }

    /// Takes out what the reply grants, for as long as the caller may still cancel.
    pub(super) fn take_grant(&mut self) -> Option<GrantDelivered> {
        let Some(Ok(reply)) = &self.outcome else { return None };
        let grants = Grant::all_of(reply);
        if grants.is_empty() {
            return None;
        }
        Some(GrantDelivered { grantee: self.grantee.take()?, grants })
    }

    /// Takes the reply out for the caller, who now has the grant.
    pub(super) fn accept(mut self) -> Option<SubmitResult> {
        self.outcome.take()
    }
}

impl Drop for UndeliveredReply {
    fn drop(&mut self) {
        if let Some(grant) = self.take_grant() {
            grant.give_back();
        }
    }
}

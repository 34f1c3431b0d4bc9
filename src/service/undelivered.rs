//! Delivery: a grant whose caller has gone away before it got the answer is
//! given back at once, so that it does not keep others out until it lapses.
//!
//! A reply is on its way until [`Undelivered::accept`]; one that is dropped
//! before gives back what it grants. Not where the call had an idempotency key:
//! asking again under it is how the answer is delivered then.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::machine::command::{Held, ReleaseLease};
use crate::machine::{Answer, Command, Question, Reply, Revision, Text};
use crate::store::{Consistency, Request, Store, StoreError};

/// How long giving back may take.
const GIVE_BACK: Duration = Duration::from_secs(10);

type Submitted = Result<Reply, StoreError>;

/// A reply on its way to its caller.
pub(super) struct Undelivered {
    outcome: Option<Submitted>,
    taker: Option<Taker>,
}

/// Who is granted something by a command, if it succeeds.
pub(super) struct Taker {
    store: Arc<dyn Store>,
    /// The agent or the holder.
    name: Text,
}

impl Taker {
    /// Nothing where there would be nothing to give back.
    pub(super) fn of(request: &Request, store: &Arc<dyn Store>) -> Option<Taker> {
        let name = match &request.command {
            Command::ClaimNext(claim) => &claim.agent_id,
            Command::Acquire(acquire) => &acquire.holder_id,
            Command::Set(_)
            | Command::Delete(_)
            | Command::Transact(_)
            | Command::Create(_)
            | Command::Claim(_)
            | Command::Heartbeat(_)
            | Command::Release(_)
            | Command::Checkpoint(_)
            | Command::Complete(_)
            | Command::Fail(_)
            | Command::Cancel(_)
            | Command::Renew(_)
            | Command::ReleaseLease(_)
            | Command::SaveSession(_)
            | Command::DeleteSession(_)
            | Command::Reset
            | Command::Sweep { .. } => return None,
        };
        let is_kept = request.idempotency.is_some();
        (!is_kept).then(|| Taker { store: store.clone(), name: name.clone() })
    }

    async fn give_back(self, grant: Grant) {
        let deadline = Instant::now() + GIVE_BACK;
        let (question, token, command) = match grant {
            Grant::Run(run_id, token) => {
                let question = Question::Run { run_id: run_id.clone() };
                let held = Held { run_id, agent_id: self.name, claim_token: token };
                (question, token, Command::Release(held))
            }
            Grant::Lease(resource_id, token) => {
                let question = Question::Lease { resource_id: resource_id.clone() };
                let fencing_token = Some(token);
                let release = ReleaseLease { resource_id, holder_id: self.name, fencing_token };
                (question, token, Command::ReleaseLease(release))
            }
        };
        // Whoever asked again meanwhile under the same name, or showed a sign of
        // life, has it: then the row has changed since the grant.
        let asked = self.store.ask(question, Consistency::Linearizable, deadline).await;
        let untouched = match asked.map(|answered| answered.answer) {
            Ok(Answer::Run(run)) => run.is_some_and(|run| run.revision == token),
            Ok(Answer::Lease(lease)) => lease.is_some_and(|lease| lease.revision == token),
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

/// What a reply grants, with its token.
enum Grant {
    Run(Text, Revision),
    Lease(Text, Revision),
}

impl Grant {
    fn of(reply: &Reply) -> Option<Grant> {
        match reply {
            Reply::Claimed(claimed) if claimed.claimed => {
                Some(Grant::Run(claimed.run_id.clone()?, claimed.claim_token?))
            }
            // What was held before is not this call's to give back.
            Reply::Acquired(acquired) if acquired.granted => {
                Some(Grant::Lease(acquired.resource_id.clone(), acquired.fencing_token?))
            }
            _ => None,
        }
    }
}

impl Undelivered {
    pub(super) fn new(outcome: Submitted, taker: Option<Taker>) -> Undelivered {
        Undelivered { outcome: Some(outcome), taker }
    }

    /// The caller has it.
    pub(super) fn accept(mut self) -> Option<Submitted> {
        self.outcome.take()
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        let Some(Ok(reply)) = self.outcome.take() else { return };
        let Some((taker, grant)) = self.taker.take().zip(Grant::of(&reply)) else { return };
        // Outside of a runtime the program ends, and so does its store.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(taker.give_back(grant));
        }
    }
}

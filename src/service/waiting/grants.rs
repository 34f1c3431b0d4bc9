//! `claim_next` and `acquire`: one call that waits until it is granted a run or a
//! lease, or until its time is over.

use std::time::Duration;

use super::grant_request::{GrantRequest, GrantState};
use super::group::{GrantTaken, Turn};
use super::ticket::WaitTicket;
use super::wait_limits::WaitLimits;
use crate::codec;
use crate::error::ServiceError;
use crate::limits::WAIT_MAX;
use crate::machine::command::{Acquire, ClaimNext, Idempotency};
use crate::machine::filter::ClaimFilter;
use crate::machine::query::Answer;
use crate::machine::remembered;
use crate::machine::reply::{Acquired, Claimed};
use crate::machine::{ClusterMs, Question, Reply, Revision};
use crate::service::{Context, Service};
use crate::store::Consistency;

/// A caller that was refused what it had been woken for checks again after this time
/// at the latest, in case whoever was faster has given it back unnoticed.
const RECHECK_MS: u64 = 1_000;
/// And after this time at the earliest. A node's clock may be seconds ahead of the
/// cluster's, and the caller would otherwise check without a pause.
const RECHECK_SOONEST_MS: u64 = 100;

impl Service {
    /// Claims the best run, and waits up to `wait` for one.
    pub async fn claim_next(
        &self,
        claim: ClaimNext,
        context: Context,
        wait: Duration,
    ) -> Result<Claimed, ServiceError> {
        let filter = ClaimFilter::of(&claim);
        let request = GrantRequest::Work(claim, filter);
        match self.wait_for_grant(request, context, wait).await? {
            Reply::Claimed(claimed) => Ok(claimed),
            _ => Err(ServiceError::unexpected_answer()),
        }
    }

    /// Acquires a lease, and waits up to `wait` for it to become free.
    pub async fn acquire(
        &self,
        acquire: Acquire,
        context: Context,
        wait: Duration,
    ) -> Result<Acquired, ServiceError> {
        match self.wait_for_grant(GrantRequest::Lease(acquire), context, wait).await? {
            Reply::Acquired(acquired) => Ok(acquired),
            _ => Err(ServiceError::unexpected_answer()),
        }
    }

    async fn wait_for_grant(
        &self,
        request: GrantRequest,
        context: Context,
        wait: Duration,
    ) -> Result<Reply, ServiceError> {
        if wait.is_zero() {
            return Box::pin(self.submit(request.command(), context)).await;
        }
        self.check_arguments(&request.command(), &context)?;
        let wait = wait.min(WAIT_MAX);
        let _permit = self.shared.admission.begin_wait()?;
        let ticket = WaitTicket::join(&self.shared.line, request.wanted(), request.holder());
        let limits = WaitLimits::from_now(wait, self.shared.options.deadline);
        WaitingCall { service: self, request, context, ticket, limits }.run().await
    }
}

/// One call that waits.
struct WaitingCall<'a> {
    service: &'a Service,
    request: GrantRequest,
    context: Context,
    ticket: WaitTicket,
    limits: WaitLimits,
}

impl WaitingCall<'_> {
    // Questions and attempts are boxed: a call sleeps nearly all the time, and would
    // otherwise hold the memory of the largest of them meanwhile.
    async fn run(&self) -> Result<Reply, ServiceError> {
        if let Some(reply) = Box::pin(self.remembered_reply()).await? {
            return Ok(reply);
        }
        match Box::pin(self.check()).await? {
            GrantState::Free(run) => self.ticket.report_free(run.as_deref()),
            GrantState::AlreadyHeld => self.ticket.skip_line(),
            GrantState::Nothing(reply) => {
                if let Some(at) = retry_at(&reply) {
                    self.ticket.check_at(at);
                }
            }
        }
        loop {
            let reply = match self.ticket.turn() {
                Turn::Attempt => Box::pin(self.attempt()).await?,
                Turn::Check => match Box::pin(self.check()).await? {
                    GrantState::Free(_) | GrantState::AlreadyHeld => {
                        Box::pin(self.attempt()).await?
                    }
                    GrantState::Nothing(reply) => reply,
                },
                Turn::Sleep if self.is_over() => return Box::pin(self.last_attempt()).await,
                Turn::Sleep => {
                    self.sleep().await;
                    continue;
                }
            };
            if let Some(taken) = grant_of(&reply) {
                self.ticket.take(taken);
                return Ok(reply);
            }
            if self.is_over() {
                return Ok(reply);
            }
            self.ticket.sleep_again(self.recheck_at(&reply));
        }
    }

    async fn sleep(&self) {
        tokio::select! {
            () = self.ticket.woken() => {}
            () = tokio::time::sleep_until(self.limits.until) => {}
            () = self.service.shared.options.stop.cancelled() => {}
        }
    }

    /// Ends the wait: with a grant if there is one now, or else with what the rules
    /// say where there is none.
    async fn last_attempt(&self) -> Result<Reply, ServiceError> {
        if let Some(reply) = self.remembered_reply().await? {
            return Ok(reply);
        }
        match self.check().await? {
            GrantState::Nothing(reply) => Ok(reply),
            GrantState::Free(_) | GrantState::AlreadyHeld => self.attempt().await,
        }
    }

    /// The reply that is remembered under the call's idempotency key, if there is one.
    async fn remembered_reply(&self) -> Result<Option<Reply>, ServiceError> {
        let Some(key) = &self.context.idempotency_key else { return Ok(None) };
        let question = Question::Request { key: key.clone() };
        let Answer::Request(row) = self.ask(question).await? else {
            return Err(ServiceError::unexpected_answer());
        };
        let Some(row) = row else { return Ok(None) };
        let digest = codec::digest(&self.request.command());
        let idempotency = Idempotency { key: key.clone(), digest };
        match remembered::answer_to(&idempotency, &row) {
            Reply::Refused(refusal) => Err(refusal.into()),
            reply => Ok(Some(reply)),
        }
    }

    /// Asks whether the request could be granted now.
    async fn check(&self) -> Result<GrantState, ServiceError> {
        let mut after = None;
        loop {
            let answer = self.ask(self.request.question(after)).await?;
            match self.request.grant_state(answer)? {
                Ok(grant_state) => return Ok(grant_state),
                Err(rank) => after = Some(rank),
            }
        }
    }

    async fn ask(&self, question: Question) -> Result<Answer, ServiceError> {
        let timeout = self.limits.timeout();
        let asked = self.service.ask_within(question, Consistency::Linearizable, timeout);
        Ok(asked.await?.answer)
    }

    async fn attempt(&self) -> Result<Reply, ServiceError> {
        let (command, context) = (self.request.command(), self.context.clone());
        self.service.carry_out(command, context, self.limits.timeout(), true).await
    }

    fn is_over(&self) -> bool {
        self.service.shared.options.stop.is_cancelled() || self.limits.is_over()
    }

    /// When to check again after a refusal, even if no event has arrived.
    fn recheck_at(&self, reply: &Reply) -> ClusterMs {
        let now = self.service.now();
        let at = retry_at(reply).unwrap_or(ClusterMs::LAST);
        at.clamp(now.plus(RECHECK_SOONEST_MS), now.plus(RECHECK_MS))
    }
}

/// When the mere passing of time may change a refusal.
fn retry_at(reply: &Reply) -> Option<ClusterMs> {
    match reply {
        Reply::Claimed(claimed) => claimed.retry_at,
        Reply::Acquired(acquired) => acquired.retry_at,
        _ => None,
    }
}

/// What a reply grants, or `None` for a refusal.
fn grant_of(reply: &Reply) -> Option<GrantTaken> {
    let token = |token: Option<Revision>| token.unwrap_or_default();
    match reply {
        Reply::Claimed(claimed) if claimed.claimed => {
            let last = claimed.further.last().map(|last| last.claim_token);
            let revision = token(last.or(claimed.claim_token));
            let run_id = claimed.run_id.clone();
            Some(GrantTaken { run_id, revision })
        }
        Reply::Acquired(acquired) if acquired.acquired => {
            Some(GrantTaken { run_id: None, revision: token(acquired.fencing_token) })
        }
        _ => None,
    }
}

//! Calls that wait: for work, for a lease, for a change of keys (`changes`).
//!
//! Whoever waits for work or a lease stands in a [`line`] with the others of
//! this node, first come, first served. It sleeps until its turn has come, tries,
//! and sleeps on where another was faster: a thousand who wait cost a busy log
//! nothing, and one run wakes one of them. Read `queues` for whom a run is
//! offered to, `facets` for how the queues are found that may want it, and
//! `dispatch` for how it is noticed.
//!
//! A call that waits writes to the log only where there seems to be something to
//! have. That there was nothing is read, not written.

mod changes;
mod dispatcher;
mod facets;
mod queues;
mod registration;
mod watches;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use changes::Changed;
pub(super) use registration::WaitingLine;
pub(super) use watches::Watches;

use super::{Context, Service, ServiceError};
use crate::codec;
use crate::machine::command::{Acquire, ClaimNext, Idempotency, Rank};
use crate::machine::query::Answer;
use crate::machine::remembered;
use crate::machine::reply::{Acquired, Claimed};
use crate::machine::row::RunRow;
use crate::machine::view::{Candidate, ClaimFilter};
use crate::machine::{ClusterMs, Command, Question, Reply, Revision, Text};
use crate::store::Consistency;
use queues::{GrantTaken, Turn, Wanted};
use registration::WaitTicket;

/// How much longer than the wait the last attempt may take, so that a store
/// that cannot answer does not hold up a caller who asked for a short wait.
const GRACE: Duration = Duration::from_secs(1);
/// Who was refused what it had been woken for looks again after so long, in case
/// that whoever was faster came to nothing after all.
const RECHECK_MS: u64 = 1_000;
/// And after so long at least where only time is waited for: a node's clock may
/// be some seconds ahead of cluster time.
const RECHECK_SOONEST_MS: u64 = 100;
/// How long one who does not wait lets those who do go first.
const GIVE_WAY: Duration = Duration::from_millis(100);

impl Service {
    /// Claims the best run, waiting up to `wait` for one.
    pub async fn claim_next(
        &self,
        claim: ClaimNext,
        context: Context,
        wait: Duration,
    ) -> Result<Claimed, ServiceError> {
        let filter = ClaimFilter { name: claim.name.clone(), tags: claim.tags.clone() };
        let wish = Wish::Work(claim, filter);
        match self.wait_for_grant(wish, context, wait).await? {
            Reply::Claimed(claimed) => Ok(claimed),
            _ => Err(mismatch()),
        }
    }

    /// Takes a lease, waiting up to `wait` for it to become free.
    pub async fn acquire(
        &self,
        acquire: Acquire,
        context: Context,
        wait: Duration,
    ) -> Result<Acquired, ServiceError> {
        match self.wait_for_grant(Wish::Lease(acquire), context, wait).await? {
            Reply::Acquired(acquired) => Ok(acquired),
            _ => Err(mismatch()),
        }
    }

    async fn wait_for_grant(
        &self,
        wish: Wish,
        context: Context,
        wait: Duration,
    ) -> Result<Reply, ServiceError> {
        if wait.is_zero() {
            return Box::pin(self.submit(wish.command(), context)).await;
        }
        let _permit = self.shared.admission.wait()?;
        let ticket = WaitingLine::join(&self.shared, wish.wanted(), wish.holder());
        let (until, last) = self.patience_from_now(wait);
        let stop = self.shared.options.stop.clone();
        let waiter = Waiting { service: self, wish, context, ticket, until, last, stop };
        waiter.run().await
    }

    /// Lets those go first who wait for a lease that is free, so that one who
    /// takes it again and again keeps nobody from it.
    pub(super) async fn give_way(&self, acquire: &Acquire, timeout: Duration) {
        if !self.shared.line.is_wanted(&acquire.resource_id) {
            return;
        }
        let question = Question::Lease { resource_id: acquire.resource_id.clone() };
        let asked = self.ask_within(question, Consistency::Linearizable, timeout).await;
        // What else it may be, the attempt itself will say.
        if asked.is_ok_and(|asked| asked.answer == Answer::Lease(None))
            && let Some(done) = self.shared.line.go_first(&acquire.resource_id)
        {
            // Told by the other side's end.
            let _ = tokio::time::timeout(GIVE_WAY, done).await;
        }
    }

    /// When a wait that begins now ends, and when its last attempt must.
    fn patience_from_now(&self, wait: Duration) -> (Instant, Instant) {
        let now = Instant::now();
        (now + wait, now + self.patience(wait))
    }

    /// How long a call that waits for `wait` may take in all.
    fn patience(&self, wait: Duration) -> Duration {
        let deadline = self.shared.options.deadline;
        if wait.is_zero() { deadline } else { wait.saturating_add(GRACE) }
    }
}

/// What a call waits for.
enum Wish {
    Work(ClaimNext, ClaimFilter),
    Lease(Acquire),
}

/// What a look shows.
enum Sight {
    /// There is something to have: this run, or the lease.
    Free(Option<Box<RunRow>>),
    /// It is the caller's already.
    Own,
    /// There is nothing, in the words of the rules.
    Nothing(Reply),
}

impl Wish {
    fn command(&self) -> Command {
        match self {
            Wish::Work(claim, _) => Command::ClaimNext(claim.clone()),
            Wish::Lease(acquire) => Command::Acquire(acquire.clone()),
        }
    }

    fn wanted(&self) -> Wanted {
        match self {
            Wish::Work(_, filter) => Wanted::Work(filter.clone()),
            Wish::Lease(acquire) => Wanted::Lease(acquire.resource_id.clone()),
        }
    }

    fn holder(&self) -> Option<Text> {
        match self {
            Wish::Work(..) => None,
            Wish::Lease(acquire) => Some(acquire.holder_id.clone()),
        }
    }

    fn question(&self, after: Option<Rank>) -> Question {
        match self {
            Wish::Work(_, filter) => Question::Candidate { filter: filter.clone(), after },
            Wish::Lease(acquire) => Question::Lease { resource_id: acquire.resource_id.clone() },
        }
    }

    /// What an answer shows; or from where on the search is to go on.
    fn sight(&self, answer: Answer) -> Result<Result<Sight, Rank>, ServiceError> {
        let nothing = |at| Sight::Nothing(Reply::Claimed(Claimed::nothing(at)));
        Ok(Ok(match (self, answer) {
            (Wish::Work(..), Answer::Candidate(candidate)) => match candidate {
                Candidate::Ready(run) => Sight::Free(Some(run)),
                Candidate::At(at) => nothing(Some(at)),
                Candidate::None => nothing(None),
                Candidate::Further(rank) => return Ok(Err(rank)),
            },
            (Wish::Lease(acquire), Answer::Lease(lease)) => match lease {
                Some(lease) if lease.holder_id != acquire.holder_id => {
                    let held = Acquired::held(&acquire.resource_id, &lease);
                    Sight::Nothing(Reply::Acquired(held))
                }
                Some(_) => Sight::Own,
                None => Sight::Free(None),
            },
            (Wish::Work(..) | Wish::Lease(_), _) => return Err(mismatch()),
        }))
    }
}

/// One call that waits.
struct Waiting<'a> {
    service: &'a Service,
    wish: Wish,
    context: Context,
    ticket: WaitTicket,
    until: Instant,
    /// When the last attempt must be over.
    last: Instant,
    /// Ends the wait before its time.
    stop: CancellationToken,
}

impl Waiting<'_> {
    // What is asked and submitted is boxed: a call sleeps nearly all the time,
    // and need not hold the room for it meanwhile.
    async fn run(&self) -> Result<Reply, ServiceError> {
        if let Some(reply) = Box::pin(self.recall()).await? {
            return Ok(reply);
        }
        match Box::pin(self.look()).await? {
            Sight::Free(run) => self.ticket.saw(run.as_deref()),
            Sight::Own => self.ticket.pass_all(),
            Sight::Nothing(reply) => {
                if let Some(at) = retry_at(&reply) {
                    self.ticket.expect(at);
                }
            }
        }
        loop {
            let reply = match self.ticket.turn() {
                Turn::Take => Box::pin(self.attempt()).await?,
                Turn::Look => match Box::pin(self.look()).await? {
                    Sight::Free(_) | Sight::Own => Box::pin(self.attempt()).await?,
                    Sight::Nothing(reply) => reply,
                },
                Turn::Sleep if self.is_over() => return Box::pin(self.give_up()).await,
                Turn::Sleep => {
                    self.sleep().await;
                    continue;
                }
            };
            if let Some(taken) = taken(&reply) {
                self.ticket.take(taken);
                return Ok(reply);
            }
            if self.is_over() {
                return Ok(reply);
            }
            self.ticket.rest(self.recheck(&reply));
        }
    }

    async fn sleep(&self) {
        tokio::select! {
            () = self.ticket.woken() => {}
            () = tokio::time::sleep_until(self.until) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// The wait is over: what there is now, or that there is nothing.
    async fn give_up(&self) -> Result<Reply, ServiceError> {
        if let Some(reply) = self.recall().await? {
            return Ok(reply);
        }
        match self.look().await? {
            Sight::Nothing(reply) => Ok(reply),
            Sight::Free(_) | Sight::Own => self.attempt().await,
        }
    }

    /// The answer that is remembered under the call's key, if there is one.
    async fn recall(&self) -> Result<Option<Reply>, ServiceError> {
        let Some(key) = &self.context.idempotency_key else { return Ok(None) };
        let question = Question::Request { key: key.clone() };
        let asked = self.service.ask_within(question, Consistency::Linearizable, self.left());
        let Answer::Request(row) = asked.await?.answer else { return Err(mismatch()) };
        let Some(row) = row else { return Ok(None) };
        let digest = codec::digest(&self.wish.command());
        let idempotency = Idempotency { key: key.clone(), digest };
        match remembered::answer_to(&idempotency, &row) {
            Reply::Refused(refusal) => Err(refusal.into()),
            reply => Ok(Some(reply)),
        }
    }

    /// Whether there is something to have.
    async fn look(&self) -> Result<Sight, ServiceError> {
        let mut after = None;
        loop {
            let question = self.wish.question(after);
            let asked = self.service.ask_within(question, Consistency::Linearizable, self.left());
            match self.wish.sight(asked.await?.answer)? {
                Ok(sight) => return Ok(sight),
                Err(rank) => after = Some(rank),
            }
        }
    }

    async fn attempt(&self) -> Result<Reply, ServiceError> {
        let (command, context) = (self.wish.command(), self.context.clone());
        self.service.carry_out(command, context, self.left(), true).await
    }

    /// How long the next question or attempt may take.
    fn left(&self) -> Duration {
        let left = self.last.saturating_duration_since(Instant::now());
        left.min(self.service.shared.options.deadline)
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.until
    }

    /// When to look again after a refusal although nothing has happened.
    fn recheck(&self, reply: &Reply) -> ClusterMs {
        let now = self.service.shared.now();
        let at = retry_at(reply).unwrap_or(ClusterMs::LAST);
        at.clamp(now.plus(RECHECK_SOONEST_MS), now.plus(RECHECK_MS))
    }
}

/// When time alone may change a refusal.
fn retry_at(reply: &Reply) -> Option<ClusterMs> {
    match reply {
        Reply::Claimed(claimed) => claimed.retry_at,
        Reply::Acquired(acquired) => acquired.retry_at,
        _ => None,
    }
}

/// What a reply grants, if it does.
fn taken(reply: &Reply) -> Option<GrantTaken> {
    let token = |token: Option<Revision>| token.unwrap_or_default();
    match reply {
        Reply::Claimed(claimed) if claimed.claimed => {
            let (run_id, revision) = (claimed.run_id.clone(), token(claimed.claim_token));
            Some(GrantTaken { run_id, revision })
        }
        Reply::Acquired(acquired) if acquired.acquired => {
            Some(GrantTaken { run_id: None, revision: token(acquired.fencing_token) })
        }
        _ => None,
    }
}

fn mismatch() -> ServiceError {
    ServiceError::internal("the store answered another question")
}

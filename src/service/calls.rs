//! [`Service`]: it carries commands and questions to the store, each within its
//! deadline, and each counted for as long as it is under way.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::admission::Admission;
use super::cancellable::{CancellableCall, CancellableCalls};
use super::options::{Context, Options};
use super::undelivered::UndeliveredReply;
use super::waiting::{Subscriptions, WaitingLine, Watches};
use crate::codec;
use crate::cron;
use crate::error::ServiceError;
use crate::limits::{self, Limits};
use crate::machine::command::{Acquire, ClaimNext, Idempotency};
use crate::machine::reply::Claimed;
use crate::machine::timetable::{FiringMs, Timetable};
use crate::machine::{Answer, ClusterMs, Command, Question, Reply};
use crate::store::cluster::{CancellationListener, Cluster};
use crate::store::export::Export;
use crate::store::{Answered, Consistency, Health, Request, Store};

/// How long past the deadline the service still waits for the store. The store keeps
/// deadlines itself and knows more about what happened, so it gets a head start.
const STORE_GRACE: Duration = Duration::from_secs(1);

/// How long a caller that does not wait lets those who do wait go first.
const GIVE_WAY: Duration = Duration::from_millis(100);

/// What a question counts for among the bytes in flight.
const QUESTION_BYTES: usize = 1024;

/// Carries calls to a store. It is cheap to clone, and all clones share the bounds.
#[derive(Clone)]
pub struct Service {
    pub(super) shared: Arc<ServiceShared>,
    /// The call that all commands are part of, if another request may cancel it.
    pub(super) call: Option<Arc<CancellableCall>>,
}

pub(super) struct ServiceShared {
    store: Arc<dyn Store>,
    pub(super) options: Options,
    pub(super) admission: Admission,
    /// The calls that wait for work and leases.
    pub(super) line: Arc<WaitingLine>,
    /// The calls that wait for changes of keys.
    pub(super) watches: Arc<Watches>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) cancellable: Arc<CancellableCalls>,
    started: Instant,
}

impl Service {
    pub fn new(store: Arc<dyn Store>, options: Options) -> Service {
        let cancellable = Arc::new(CancellableCalls::default());
        if let Some(cluster) = store.cluster() {
            let listener: Arc<dyn CancellationListener> = cancellable.clone();
            cluster.set_cancellation_listener(Arc::downgrade(&listener));
        }
        let shared = ServiceShared {
            admission: Admission::new(&options),
            line: Arc::new(WaitingLine::new(store.clone(), options.clock.clone())),
            watches: Arc::new(Watches::new(store.clone())),
            subscriptions: Arc::new(Subscriptions::new(store.clone())),
            cancellable,
            started: Instant::now(),
            store,
            options,
        };
        Service { shared: Arc::new(shared), call: None }
    }

    /// Carries out `command`. If the caller goes away meanwhile, the command is
    /// carried out whole all the same, and what it grants is given back.
    ///
    /// A [`Reply::Refused`] comes back as an error with its code.
    pub async fn submit(&self, command: Command, context: Context) -> Result<Reply, ServiceError> {
        self.submit_within(command, context, self.shared.options.deadline).await
    }

    /// Does what [`Service::submit`] does, with a deadline of the caller's.
    pub async fn submit_within(
        &self,
        command: Command,
        context: Context,
        timeout: Duration,
    ) -> Result<Reply, ServiceError> {
        self.check_arguments(&command, &context)?;
        if let Command::Acquire(acquire) = &command {
            self.give_way(acquire, timeout).await;
        }
        self.carry_out(command, context, timeout, false).await
    }

    /// Checks the arguments of a call, once for however many attempts.
    pub(super) fn check_arguments(
        &self,
        command: &Command,
        context: &Context,
    ) -> Result<(), ServiceError> {
        self.shared.options.limits.check_command(command)?;
        limits::check_names(&context.actor, &context.idempotency_key)?;
        Ok(())
    }

    /// Carries out `command`. An `attempt` writes nothing where it would be granted
    /// nothing. If the store ends a search for a run early, the search goes on with
    /// the next command.
    pub(super) async fn carry_out(
        &self,
        mut command: Command,
        context: Context,
        timeout: Duration,
        attempt: bool,
    ) -> Result<Reply, ServiceError> {
        let deadline = Instant::now() + timeout;
        let Context { actor, idempotency_key } = context;
        let digest = |key| Idempotency { key, digest: codec::digest(&command) };
        let idempotency = idempotency_key.map(digest);
        if let Command::SetSchedule(set) = &mut command {
            set.first_at = self.first_firing(&set.timetable)?;
        }
        let search = match &command {
            Command::ClaimNext(claim) => Some(claim.clone()),
            _ => None,
        };
        loop {
            // Only commands that make names need one.
            let random = match command.kind().uses_random {
                true => self.shared.options.random.draw(),
                false => 0,
            };
            let (idempotency, actor) = (idempotency.clone(), actor.clone());
            let request = Request { command, idempotency, actor, random, attempt };
            let after = match self.send(request, deadline).await? {
                Reply::Refused(refusal) => return Err(refusal.into()),
                Reply::Claimed(Claimed { claimed: false, searched: Some(rank), .. }) => rank,
                reply => return Ok(reply),
            };
            let Some(claim) = search.clone().filter(|_| Instant::now() < deadline) else {
                let why = "unavailable: the search for a run did not end in time; try again";
                return Err(ServiceError::unavailable(why));
            };
            command = Command::ClaimNext(ClaimNext { after: Some(after), ..claim });
        }
    }

    /// The first firing of a cron expression. It is no part of the caller's request,
    /// which may be repeated.
    fn first_firing(&self, timetable: &Timetable) -> Result<Option<FiringMs>, ServiceError> {
        let Timetable::Cron { .. } = timetable else { return Ok(None) };
        let first = cron::next_after(timetable, FiringMs(self.now().0));
        first.map(Some).map_err(|error| ServiceError::invalid(error.to_string()))
    }

    async fn send(&self, request: Request, deadline: Instant) -> Result<Reply, ServiceError> {
        let permit = self.shared.admission.enter(command_bytes(&request.command))?;
        let store = self.shared.store.clone();
        let undelivered = UndeliveredReply::expected(&request, &store);
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let outcome = store.submit(request, deadline).await;
            drop(permit);
            // If the caller has gone away, the reply is dropped here and gives back
            // what it grants.
            let _ = sender.send(undelivered.with(outcome));
        });
        // The store keeps the deadline. Should it fail to, the caller is answered all
        // the same, and nobody knows what became of the command.
        let late = deadline + STORE_GRACE;
        match tokio::time::timeout_at(late, receiver).await {
            Ok(Ok(mut reply)) => {
                if let Some(call) = &self.call
                    && let Some(grant) = reply.take_grant()
                {
                    call.granted(grant);
                }
                match reply.accept() {
                    Some(Ok(reply)) => Ok(reply),
                    Some(Err(error)) => Err(error.into()),
                    None => Err(ServiceError::internal("an answer was delivered twice")),
                }
            }
            Ok(Err(_panicked)) => Err(ServiceError::unknown("the store failed")),
            Err(_) => Err(ServiceError::unknown("the store did not answer in time")),
        }
    }

    /// Lets the first caller that waits for a free lease go before this one, so that
    /// one who acquires it again and again does not starve the others.
    async fn give_way(&self, acquire: &Acquire, timeout: Duration) {
        if !self.shared.line.is_wanted(&acquire.resource_id) {
            return;
        }
        let question = Question::Lease { resource_id: acquire.resource_id.clone() };
        let asked = self.ask_within(question, Consistency::Linearizable, timeout).await;
        // If the question fails, the attempt that follows reports the reason.
        let Acquire { resource_id, holder_id, permits, .. } = acquire;
        let is_free = |answer: &Answer| match answer {
            Answer::Lease(Some(lease)) => {
                lease.holder(holder_id).is_none() && lease.has_room(*permits)
            }
            answer => *answer == Answer::Lease(None),
        };
        if asked.is_ok_and(|asked| is_free(&asked.answer))
            && let Some(done) = self.shared.line.let_first_go(resource_id, *permits)
        {
            // The sender is dropped when the other caller is done, so both outcomes
            // mean that there is nothing left to wait for.
            let _ = tokio::time::timeout(GIVE_WAY, done).await;
        }
    }

    /// Answers `question`.
    pub async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
    ) -> Result<Answered, ServiceError> {
        self.ask_within(question, consistency, self.shared.options.deadline).await
    }

    /// Does what [`Service::ask`] does, with a deadline of the caller's.
    pub async fn ask_within(
        &self,
        mut question: Question,
        consistency: Consistency,
        timeout: Duration,
    ) -> Result<Answered, ServiceError> {
        limits::check_question(&mut question)?;
        let _permit = self.shared.admission.enter(QUESTION_BYTES)?;
        let deadline = Instant::now() + timeout;
        let answer = self.shared.store.ask(question, consistency, deadline);
        match tokio::time::timeout_at(deadline + STORE_GRACE, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(ServiceError::unavailable("the store did not answer in time")),
        }
    }

    /// Exports the whole state. The export must begin within `timeout`, and counts as
    /// under way until its parts are dropped.
    pub async fn export(&self, timeout: Duration) -> Result<Export, ServiceError> {
        let permit = self.shared.admission.begin_export()?;
        let deadline = Instant::now() + timeout;
        let export = self.shared.store.export(deadline);
        let Ok(export) = tokio::time::timeout_at(deadline + STORE_GRACE, export).await else {
            return Err(ServiceError::unavailable("the store did not answer in time"));
        };
        let Export { meta, parts } = export?;
        let parts = parts.inspect(move |_| _ = &permit).boxed();
        Ok(Export { meta, parts })
    }

    /// The members of the cluster, where the store is one.
    pub fn cluster(&self) -> Option<&dyn Cluster> {
        self.shared.store.cluster()
    }

    /// The health that the store reports.
    pub async fn health(&self) -> Health {
        self.shared.store.health().await
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.options.limits
    }

    /// How long this service has been up.
    pub fn uptime(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// How many calls are at the store, and how many wait, at this moment.
    pub fn load(&self) -> (usize, usize) {
        self.shared.admission.load()
    }

    /// The time by this node's clock.
    pub(crate) fn now(&self) -> ClusterMs {
        ClusterMs(self.shared.options.clock.wall_ms())
    }
}

/// Estimates how many bytes a command holds. Short fields count as a lump.
fn command_bytes(command: &Command) -> usize {
    const SHORT_FIELDS_BYTES: usize = 512;
    let operations = match command {
        Command::Transact(transact) => transact.then.len() + transact.otherwise.len(),
        _ => 0,
    };
    command.kind().value_bytes + (operations + 1) * SHORT_FIELDS_BYTES
}

//! Commands and questions drawn at random from a small world, so that they
//! meet: few names, short deadlines, tokens that are often right.
//!
//! What is drawn follows from the choices made and from the state that is shown
//! alone. The lowest choice is the plainest, so that a sequence of choices that
//! shows a fault can be made shorter and lower until little is left of it.

mod questions;

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::command::{
    Acquire, Ask, Cancel, Checkpoint, Claim, ClaimNext, Claimant, Compare, Complete, Concurrency,
    Condition, Create, Decide, Delete, DeleteRun, DeleteSchedule, DeleteSession, Fail, Fence,
    FireSchedule, HeldClaim, Idempotency, LastStep, Operation, Pause, ReleaseLease, Renew,
    RetriedRuns, Retry, RunDeadline, SaveSession, Set, SetSchedule, Transact, UniqueFor,
    UniqueRequest,
};
use mcp_state_sidecar::machine::dependency_failure::OnDependencyFailure;
use mcp_state_sidecar::machine::filter::{ClaimFilter, RunFilter};
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::row::RunRow;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::timetable::{FiringMs, Overlap, Timetable};
use mcp_state_sidecar::machine::{ClusterMs, Command, Json, Revision, Text, lookup};
use mcp_state_sidecar::store::tables::Tables;

/// Names of everything. Their order by bytes is not that of any language, and
/// some mean something to LIKE, GLOB or C.
pub const NAMES: &[&str] =
    &["", "A", "A%", "A*", "AB", "Aé", "a", "a\0b", "ab", "ab'c", "z", "é", "\u{ffff}", "🦀"];

const JSON: &[&str] = &["null", "1", "1.50", "\"\\u0041\"", "{\"b\":1,\"a\":[]}", "[\"'\\n\"]"];

/// Where choices come from: each any number, all equally likely.
pub struct Draw<'a>(Box<dyn FnMut() -> u32 + Send + 'a>);

pub fn set(key: &str, ttl_ms: Option<u64>) -> Command {
    let (key, value) = (key.into(), Json::new("1"));
    Command::Set(Set { key, value, ttl_ms, agent_id: None, if_revision: None, fence: None })
}

impl<'a> Draw<'a> {
    pub fn new(choices: impl FnMut() -> u32 + Send + 'a) -> Self {
        Draw(Box::new(choices))
    }

    /// A number below `bound`, by one choice.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from((self.0)()) * u128::from(bound)) >> 32) as u64
    }

    /// True in so many cases of a hundred; what is false is plainer.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) >= 100 - percent
    }

    /// What new run ids are made from.
    pub fn chance(&mut self) -> u64 {
        u64::from((self.0)()) << 32 | u64::from((self.0)())
    }

    /// Mostly none, sometimes past some deadlines, rarely past all.
    pub fn pause_ms(&mut self) -> u64 {
        match self.below(100) {
            0..60 => 0,
            60..99 => self.below(3_000),
            _ => 3_700_000,
        }
    }

    pub fn maybe(&mut self, among: &[&str]) -> Option<Text> {
        self.percent(50).then(|| self.one(among).into())
    }

    fn one<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize]
    }

    fn name(&mut self) -> Text {
        self.one(NAMES).into()
    }

    /// Few enough that they are met again.
    fn agent(&mut self) -> Text {
        self.one(&["a", "b", "é"]).into()
    }

    fn json(&mut self) -> Json {
        Json::new(self.one(JSON))
    }

    fn tags(&mut self) -> BTreeMap<Text, Text> {
        let tags = [("x", "1"), ("x", "2"), ("y", "1"), ("y", "'%\"")];
        let count = self.below(3);
        (0..count).map(|_| self.one(&tags)).map(|(k, v)| (k.into(), v.into())).collect()
    }

    fn ttl_ms(&mut self) -> u64 {
        match self.below(20) {
            19 => u64::MAX,
            _ => 1 + self.below(8_000),
        }
    }

    /// A duration that a row may hold.
    fn row_ms(&mut self) -> u64 {
        1 + self.below(8_000)
    }

    /// Some run that there is, or none.
    fn run(&mut self, state: &Tables) -> Option<RunRow> {
        let page = Page::of_rows(12);
        let Ok((runs, _)) = lookup::runs(state, &RunFilter::default(), None, ClusterMs(0), page);
        (!runs.is_empty()).then(|| runs[self.below(runs.len() as u64) as usize].clone())
    }

    /// A run that waits for a person, if there is one.
    fn asking(&mut self, state: &Tables) -> Option<Text> {
        let filter = RunFilter { status: Some(Status::AwaitingApproval), ..RunFilter::default() };
        let Ok((runs, _)) = lookup::runs(state, &filter, None, ClusterMs(0), Page::of_rows(1));
        runs.first().map(|run| run.run_id.clone())
    }

    /// Who says to hold the run: often who does.
    fn held(&mut self, state: &Tables) -> HeldClaim {
        let run = self.run(state);
        let right = self.percent(80);
        let token = run.as_ref().and_then(|run| run.claim.as_ref()).map(|claim| claim.token);
        let holder = run.as_ref().and_then(|run| run.agent_id.clone());
        HeldClaim {
            run_id: run.map_or_else(|| "wf-none".into(), |run| run.run_id),
            agent_id: holder.filter(|_| right).unwrap_or_else(|| self.agent()),
            claim_token: token.filter(|_| right).unwrap_or(Revision(3)),
        }
    }

    fn claimant(&mut self, held: &HeldClaim) -> Claimant {
        Claimant {
            agent_id: self.percent(70).then(|| held.agent_id.clone()),
            claim_token: self.percent(70).then_some(held.claim_token),
        }
    }

    fn lease_token(&mut self, state: &Tables, resource_id: &str) -> Revision {
        let Ok(lease) = lookup::lease(state, &resource_id.into());
        let holders = lease.filter(|_| self.percent(80)).map_or(Vec::new(), |lease| lease.holders);
        match holders.len() as u64 {
            0 => Revision(1),
            count => holders[self.below(count) as usize].token,
        }
    }

    fn fence(&mut self, state: &Tables) -> Option<Fence> {
        self.percent(20).then(|| {
            let resource_id = self.name();
            let token = self.lease_token(state, &resource_id);
            Fence { resource_id, token }
        })
    }

    pub fn command(&mut self, state: &Tables) -> (Command, Option<Idempotency>) {
        let idempotency = self
            .percent(10)
            .then(|| Idempotency { key: self.name(), digest: [self.below(2) as u8; 32] });
        let command = match self.below(100) {
            0..35 => self.key_command(state),
            35..75 => self.run_command(state),
            75..88 => self.lease_command(state),
            88..92 => self.session_command(state),
            92..95 => self.schedule_command(state),
            95..99 => Command::Sweep { limit: self.below(5) as u32 },
            // One in a thousand or so: there must be something to clear.
            _ if self.percent(10) => Command::Reset,
            _ => Command::Sweep { limit: 100 },
        };
        (command, idempotency)
    }

    fn key_command(&mut self, state: &Tables) -> Command {
        let key = self.name();
        let Ok(row) = lookup::key(state, &key);
        let current = row.map_or(Revision::ZERO, |row| row.revision);
        let if_revision = match self.below(6) {
            0 => Some(Revision(2)),
            1 | 2 => Some(current),
            _ => None,
        };
        let (agent_id, fence) = (self.maybe(NAMES), self.fence(state));
        match self.below(10) {
            0..6 => Command::Set(Set {
                key,
                value: self.json(),
                ttl_ms: self.percent(40).then(|| self.ttl_ms()),
                agent_id,
                if_revision,
                fence,
            }),
            6 => Command::Delete(Delete { key, agent_id, if_revision, fence }),
            _ => Command::Transact(Transact {
                compare: vec![Compare { key, condition: self.condition(current) }],
                then: self.operations(),
                otherwise: self.operations(),
                agent_id,
                fence,
            }),
        }
    }

    fn condition(&mut self, current: Revision) -> Condition {
        match self.below(3) {
            0 => Condition::Revision(current),
            1 => Condition::Value(self.json()),
            _ => Condition::Exists(self.percent(50)),
        }
    }

    fn operations(&mut self) -> Vec<Operation> {
        let count = self.below(4);
        let operation = |draw: &mut Draw| match draw.below(4) {
            0 => Operation::Get { key: draw.name() },
            1 => Operation::Delete { key: draw.name() },
            _ => Operation::Set {
                key: draw.name(),
                value: draw.json(),
                ttl_ms: draw.percent(30).then(|| draw.ttl_ms()),
            },
        };
        (0..count).map(|_| operation(self)).collect()
    }

    fn run_command(&mut self, state: &Tables) -> Command {
        let held = self.held(state);
        let run_id = held.run_id.clone();
        let claim_ttl_ms = 1 + self.below(8_000);
        let claimant = self.claimant(&held);
        if let Some(run_id) = self.asking(state)
            && self.percent(40)
        {
            let (answer, comment) = (self.name(), self.maybe(NAMES));
            let agent_id = self.maybe(NAMES);
            return Command::Decide(Decide { run_id, answer, comment, digest: None, agent_id });
        }
        match self.below(26) {
            0..5 => Command::Create(self.create_after(state, run_id)),
            5..8 => Command::Claim(Claim { run_id, agent_id: self.agent(), claim_ttl_ms }),
            8..13 => {
                let ClaimFilter { names, tags } = self.claim_filter();
                let (agent_id, after) = (self.agent(), None);
                let limit = self.percent(30).then(|| 1 + self.below(4) as u32);
                Command::ClaimNext(ClaimNext { agent_id, names, tags, claim_ttl_ms, after, limit })
            }
            13 => Command::Heartbeat(held),
            14 => Command::Release(held),
            15..18 => Command::Checkpoint(Checkpoint {
                run_id,
                step: self.below(5),
                output: self.json(),
                claimant,
                ask: self.percent(40).then(|| Ask {
                    question: self.name(),
                    options: (0..self.below(3)).map(|_| self.name()).collect(),
                    expires_ms: self.percent(50).then(|| self.row_ms()),
                }),
            }),
            18 => Command::Complete(Complete {
                run_id,
                result: self.percent(50).then(|| self.json()),
                claimant,
                last_step: self
                    .percent(20)
                    .then(|| LastStep { step: self.below(5), output: self.json() }),
                successors: match self.percent(20) {
                    true => vec![self.create_after(state, held.run_id.clone())],
                    false => Vec::new(),
                },
            }),
            19 | 20 => Command::Fail(Fail {
                run_id,
                error: self.name(),
                retry: self.percent(70),
                claimant,
                retry_after_ms: self.percent(20).then(|| self.row_ms()),
            }),
            21 => {
                let (name, tags) = (self.maybe(&["a", "b", "none"]), self.tags());
                let runs = match self.percent(80) {
                    true => RetriedRuns::One(run_id),
                    false => RetriedRuns::Many { name, tags, before: None },
                };
                Command::Retry(Retry { runs, agent_id: self.maybe(NAMES) })
            }
            22 => Command::DeleteRun(DeleteRun { run_id, agent_id: self.maybe(NAMES) }),
            23 | 24 => Command::Decide(Decide {
                run_id,
                answer: self.name(),
                comment: self.maybe(NAMES),
                digest: None,
                agent_id: self.maybe(NAMES),
            }),
            _ => Command::Cancel(Cancel {
                run_id,
                reason: self.maybe(NAMES),
                agent_id: self.maybe(NAMES),
            }),
        }
    }

    /// A run that may depend on others.
    fn create_after(&mut self, state: &Tables, run_id: Text) -> Create {
        let create = self.create(run_id);
        let count = if self.percent(25) { 1 + self.below(2) } else { 0 };
        let depends_on = (0..count).filter_map(|_| self.run(state)).map(|run| run.run_id);
        Create {
            depends_on: depends_on.collect(),
            on_dependency_failure: self.one(&[
                OnDependencyFailure::Fail,
                OnDependencyFailure::Cancel,
                OnDependencyFailure::Continue,
            ]),
            ..create
        }
    }

    fn create(&mut self, run_id: Text) -> Create {
        Create {
            name: self.agent(),
            tags: self.tags(),
            input: self.percent(50).then(|| self.json()),
            priority: self.one(&[i64::MIN, -1, 0, 0, 1, i64::MAX]),
            delay_ms: self.percent(30).then(|| self.below(5_000)),
            max_attempts: self.below(4) as u32,
            parent_run_id: self.percent(30).then_some(run_id),
            backoff_ms: self.percent(20).then(|| self.row_ms()),
            backoff_max_ms: self.percent(20).then(|| self.row_ms()),
            deadline: self
                .percent(15)
                .then(|| RunDeadline { ms: self.row_ms(), from_claim: self.percent(50) }),
            start_within_ms: self.percent(15).then(|| self.row_ms()),
            keep_ms: self.percent(30).then(|| self.row_ms()),
            concurrency: self
                .percent(30)
                .then(|| Concurrency { key: self.name(), limit: 1 + self.below(2) as u32 }),
            fair_key: self.percent(30).then(|| self.name()),
            unique: self.percent(15).then(|| UniqueRequest {
                key: self.name(),
                held: match self.below(3) {
                    0 => UniqueFor::Queued,
                    1 => UniqueFor::Active,
                    _ => UniqueFor::Ms(1 + self.below(5_000)),
                },
            }),
            ..Create::default()
        }
    }

    /// Firings are mostly of a schedule that there is, and often due.
    fn schedule_command(&mut self, state: &Tables) -> Command {
        let (name, agent_id) = (self.name(), self.maybe(NAMES));
        let Ok(row) = lookup::schedule(state, &name);
        let next_at = row.as_ref().and_then(|row| row.next_at);
        match self.below(10) {
            8 | 9 => {
                let Ok(pauses) = lookup::pauses(state);
                let paused = pauses.first().map(|(name, _)| name.clone());
                let paused = paused.filter(|_| self.percent(70));
                let (resume, agent_id) = (paused.is_some(), self.maybe(NAMES));
                let name = paused.unwrap_or_else(|| self.agent());
                Command::Pause(Pause { name, resume, agent_id })
            }
            0 => Command::DeleteSchedule(DeleteSchedule { name, agent_id }),
            1..6 if next_at.is_some() => {
                let due_at = next_at.unwrap_or_default().plus(self.below(10) / 9);
                Command::FireSchedule(FireSchedule {
                    name,
                    due_at,
                    next_at: self.percent(90).then(|| due_at.plus(self.row_ms())),
                    missed: self.below(3),
                    error: self.maybe(NAMES),
                })
            }
            _ => {
                let run_id = self.run(state).map_or_else(|| "wf-none".into(), |run| run.run_id);
                let timetable = match self.percent(50) {
                    true => Timetable::Every { ms: self.row_ms() },
                    false => Timetable::Cron {
                        expression: self.one(&["* * * * *", "@daily"]).into(),
                        time_zone: "UTC".into(),
                    },
                };
                let present = FiringMs(state.meta().clock.0);
                Command::SetSchedule(Box::new(SetSchedule {
                    name,
                    timetable,
                    template: self.create(run_id),
                    overlap: self.one(&Overlap::NAMED).0,
                    first_at: self.percent(90).then(|| present.plus(self.row_ms())),
                    agent_id,
                }))
            }
        }
    }

    fn lease_command(&mut self, state: &Tables) -> Command {
        let (resource_id, holder_id, ttl_ms) = (self.name(), self.agent(), self.ttl_ms());
        let token = self.lease_token(state, &resource_id);
        let fencing_token = self.percent(50).then_some(token);
        match self.below(4) {
            0 | 1 => {
                let exclusive = self.percent(20);
                let permits = if self.percent(60) { self.below(4) as u32 } else { 0 };
                Command::Acquire(Acquire { resource_id, holder_id, ttl_ms, exclusive, permits })
            }
            2 => Command::Renew(Renew { resource_id, holder_id, ttl_ms, fencing_token }),
            _ => Command::ReleaseLease(ReleaseLease { resource_id, holder_id, fencing_token }),
        }
    }

    fn session_command(&mut self, state: &Tables) -> Command {
        let (session_id, agent_id) = (self.name(), self.maybe(NAMES));
        match self.percent(70) {
            true => Command::SaveSession(SaveSession {
                session_id,
                context: Json::new("{\"k\": 1}"),
                agent_id,
                fence: self.fence(state),
                ttl_ms: self.percent(40).then(|| self.ttl_ms()),
            }),
            false => Command::DeleteSession(DeleteSession { session_id, agent_id }),
        }
    }
}

//! Commands and questions drawn at random from a small world, so that they
//! meet: few names, short deadlines, tokens that are often right.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::machine::command::{
    Acquire, Cancel, Checkpoint, Claim, ClaimNext, Claimant, Compare, Complete, Condition, Create,
    Delete, DeleteSession, Fail, Fence, Held, Idempotency, Operation, ReleaseLease, Renew,
    SaveSession, Set, Transact,
};
use crate::machine::row::{RunRow, Status};
use crate::machine::view::{ClaimFilter, HistoryFilter, RunFilter, Scan, View};
use crate::machine::{Action, ClusterMs, Command, Json, Question, Revision, Text};
use crate::store::Consistency;
use crate::store::tables::Tables;

/// Names of everything. Their order by bytes is not that of any language, and
/// some mean something to LIKE, GLOB or C.
pub const NAMES: &[&str] =
    &["", "A", "A%", "A*", "AB", "Aé", "a", "a\0b", "ab", "ab'c", "z", "é", "\u{ffff}", "🦀"];

const JSON: &[&str] = &["null", "1", "1.50", "\"\\u0041\"", "{\"b\":1,\"a\":[]}", "[\"'\\n\"]"];

const STATUSES: &[Status] = &[
    Status::Created,
    Status::Claimed,
    Status::Running,
    Status::Done,
    Status::Failed,
    Status::Cancelled,
];

pub struct Draw(pub StdRng);

pub fn set(key: &str, ttl_ms: Option<u64>) -> Command {
    let (key, value) = (key.into(), Json::new("1"));
    Command::Set(Set { key, value, ttl_ms, agent_id: None, if_revision: None, fence: None })
}

impl Draw {
    /// Mostly none, sometimes past some deadlines, rarely past all.
    pub fn pause_ms(&mut self) -> u64 {
        match self.0.random_range(0..100) {
            0..60 => 0,
            60..99 => self.0.random_range(0..3_000),
            _ => 3_700_000,
        }
    }

    pub fn maybe(&mut self, among: &[&str]) -> Option<Text> {
        self.0.random_bool(0.5).then(|| self.one(among).into())
    }

    fn one<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.0.random_range(0..among.len())]
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
        let count = self.0.random_range(0..3);
        (0..count).map(|_| self.one(&tags)).map(|(k, v)| (k.into(), v.into())).collect()
    }

    fn ttl_ms(&mut self) -> u64 {
        match self.0.random_range(0..20) {
            0 => u64::MAX,
            _ => self.0.random_range(1..8_000),
        }
    }

    /// Some run that there is, or none.
    fn run(&mut self, state: &Tables) -> Option<RunRow> {
        let Ok(runs) = state.runs(&RunFilter::default(), None, ClusterMs(0), 12);
        (!runs.is_empty()).then(|| runs[self.0.random_range(0..runs.len())].clone())
    }

    /// Who says to hold the run: often who does.
    fn held(&mut self, state: &Tables) -> Held {
        let run = self.run(state);
        let right = self.0.random_bool(0.8);
        let token = run.as_ref().and_then(|run| run.claim.as_ref()).map(|claim| claim.token);
        let holder = run.as_ref().and_then(|run| run.agent_id.clone());
        Held {
            run_id: run.map_or_else(|| "wf-none".into(), |run| run.run_id),
            agent_id: holder.filter(|_| right).unwrap_or_else(|| self.agent()),
            claim_token: token.filter(|_| right).unwrap_or(Revision(3)),
        }
    }

    fn claimant(&mut self, held: &Held) -> Claimant {
        Claimant {
            agent_id: self.0.random_bool(0.7).then(|| held.agent_id.clone()),
            claim_token: self.0.random_bool(0.7).then_some(held.claim_token),
        }
    }

    fn lease_token(&mut self, state: &Tables, resource_id: &str) -> Revision {
        let Ok(lease) = state.lease(resource_id);
        lease.filter(|_| self.0.random_bool(0.8)).map_or(Revision(1), |lease| lease.token)
    }

    fn fence(&mut self, state: &Tables) -> Option<Fence> {
        self.0.random_bool(0.2).then(|| {
            let resource_id = self.name();
            let token = self.lease_token(state, &resource_id);
            Fence { resource_id, token }
        })
    }

    pub fn command(&mut self, state: &Tables) -> (Command, Option<Idempotency>) {
        let idempotency = self
            .0
            .random_bool(0.1)
            .then(|| Idempotency { key: self.name(), digest: [self.0.random_range(0..2); 32] });
        let command = match self.0.random_range(0..100) {
            0..35 => self.key_command(state),
            35..75 => self.run_command(state),
            75..88 => self.lease_command(state),
            88..94 => self.session_command(state),
            94..99 => Command::Sweep { limit: self.0.random_range(0..5) },
            // One in a thousand or so: there must be something to clear.
            _ if self.0.random_bool(0.1) => Command::Reset,
            _ => Command::Sweep { limit: 100 },
        };
        (command, idempotency)
    }

    fn key_command(&mut self, state: &Tables) -> Command {
        let key = self.name();
        let Ok(row) = state.key(&key);
        let current = row.map_or(Revision::ZERO, |row| row.revision);
        let if_revision = match self.0.random_range(0..6) {
            0 => Some(Revision(2)),
            1 | 2 => Some(current),
            _ => None,
        };
        let (agent_id, fence) = (self.maybe(NAMES), self.fence(state));
        match self.0.random_range(0..10) {
            0..6 => Command::Set(Set {
                key,
                value: self.json(),
                ttl_ms: self.0.random_bool(0.4).then(|| self.ttl_ms()),
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
        match self.0.random_range(0..3) {
            0 => Condition::Revision(current),
            1 => Condition::Value(self.json()),
            _ => Condition::Exists(self.0.random_bool(0.5)),
        }
    }

    fn operations(&mut self) -> Vec<Operation> {
        let count = self.0.random_range(0..4);
        let operation = |draw: &mut Draw| match draw.0.random_range(0..4) {
            0 => Operation::Get { key: draw.name() },
            1 => Operation::Delete { key: draw.name() },
            _ => Operation::Set {
                key: draw.name(),
                value: draw.json(),
                ttl_ms: draw.0.random_bool(0.3).then(|| draw.ttl_ms()),
            },
        };
        (0..count).map(|_| operation(self)).collect()
    }

    fn run_command(&mut self, state: &Tables) -> Command {
        let held = self.held(state);
        let run_id = held.run_id.clone();
        let claim_ttl_ms = self.0.random_range(1..8_000);
        let claimant = self.claimant(&held);
        match self.0.random_range(0..22) {
            0..5 => Command::Create(Create {
                name: self.agent(),
                tags: self.tags(),
                input: self.0.random_bool(0.5).then(|| self.json()),
                priority: self.one(&[i64::MIN, -1, 0, 0, 1, i64::MAX]),
                delay_ms: self.0.random_bool(0.3).then(|| self.0.random_range(0..5_000)),
                max_attempts: self.0.random_range(1..4),
                parent_run_id: self.0.random_bool(0.3).then_some(run_id),
            }),
            5..8 => Command::Claim(Claim { run_id, agent_id: self.agent(), claim_ttl_ms }),
            8..13 => {
                let ClaimFilter { name, tags } = self.claim_filter();
                Command::ClaimNext(ClaimNext { agent_id: self.agent(), name, tags, claim_ttl_ms })
            }
            13 => Command::Heartbeat(held),
            14 => Command::Release(held),
            15..18 => Command::Checkpoint(Checkpoint {
                run_id,
                step: self.0.random_range(0..5),
                output: self.json(),
                claimant,
            }),
            18 => Command::Complete(Complete {
                run_id,
                result: self.0.random_bool(0.5).then(|| self.json()),
                claimant,
            }),
            19 | 20 => Command::Fail(Fail {
                run_id,
                error: self.name(),
                retry: self.0.random_bool(0.7),
                claimant,
            }),
            _ => Command::Cancel(Cancel {
                run_id,
                reason: self.maybe(NAMES),
                agent_id: self.maybe(NAMES),
            }),
        }
    }

    fn lease_command(&mut self, state: &Tables) -> Command {
        let (resource_id, holder_id, ttl_ms) = (self.name(), self.agent(), self.ttl_ms());
        let token = self.lease_token(state, &resource_id);
        let fencing_token = self.0.random_bool(0.5).then_some(token);
        match self.0.random_range(0..4) {
            0 | 1 => Command::Acquire(Acquire { resource_id, holder_id, ttl_ms }),
            2 => Command::Renew(Renew { resource_id, holder_id, ttl_ms, fencing_token }),
            _ => Command::ReleaseLease(ReleaseLease { resource_id, holder_id, fencing_token }),
        }
    }

    fn session_command(&mut self, state: &Tables) -> Command {
        let (session_id, agent_id) = (self.name(), self.maybe(NAMES));
        match self.0.random_bool(0.7) {
            true => Command::SaveSession(SaveSession {
                session_id,
                context: Json::new("{\"k\": 1}"),
                agent_id,
                fence: self.fence(state),
            }),
            false => Command::DeleteSession(DeleteSession { session_id, agent_id }),
        }
    }

    pub fn scan(&mut self) -> Scan {
        Scan { prefix: self.name(), after: self.maybe(NAMES) }
    }

    pub fn claim_filter(&mut self) -> ClaimFilter {
        ClaimFilter { name: self.maybe(&["a", "b", "none"]), tags: self.tags() }
    }

    pub fn run_filter(&mut self) -> RunFilter {
        RunFilter {
            tags: if self.0.random_bool(0.5) { self.tags() } else { BTreeMap::new() },
            status: self.0.random_bool(0.3).then(|| self.one(STATUSES)),
            claimable: self.0.random_bool(0.4).then(|| self.0.random()),
        }
    }

    pub fn history_filter(&mut self) -> HistoryFilter {
        HistoryFilter {
            subject: self.maybe(NAMES).filter(|_| self.0.random_bool(0.5)),
            action: self.0.random_bool(0.4).then(|| self.one(Action::ALL)),
            actor: self.maybe(NAMES).filter(|_| self.0.random_bool(0.5)),
        }
    }

    /// None, one up to `newest`, or the last there can be.
    pub fn revision(&mut self, newest: Revision) -> Option<Revision> {
        match self.0.random_range(0..4) {
            0 => None,
            1 => Some(Revision(u64::MAX)),
            _ => Some(Revision(self.0.random_range(0..=newest.0 + 2))),
        }
    }

    pub fn consistency(&mut self) -> Consistency {
        self.one(&[Consistency::Linearizable, Consistency::Local])
    }

    pub fn question(&mut self) -> Question {
        let limit = self.one(&[1, 3, 10_000]);
        match self.0.random_range(0..9) {
            0 => Question::Key { key: self.name() },
            1 => Question::Keys { scan: self.scan(), limit },
            2 => Question::Runs { filter: self.run_filter(), before: None, limit },
            3 => Question::Leases { scan: self.scan(), limit },
            4 => Question::Session { session_id: self.name() },
            5 => Question::Sessions { scan: self.scan(), limit },
            6 => Question::Counts,
            7 => {
                let before = self.revision(Revision(1_000));
                Question::History { filter: self.history_filter(), before, limit }
            }
            _ => Question::Changes {
                filter: crate::machine::view::ChangeFilter::Prefix(self.name()),
                after: self.revision(Revision(1_000)).unwrap_or_default(),
                limit,
            },
        }
    }
}

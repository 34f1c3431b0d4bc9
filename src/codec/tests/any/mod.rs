//! Generated values: every variant of everything that has a byte form.

mod outcome;

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::codec::ForwardedRequest;
use crate::machine::command::*;
use crate::machine::event::Chain;
use crate::machine::timetable::{FiringMs, Overlap, Timetable};
use crate::machine::{ClusterMs, Json, Revision, Text, WallMs};

/// Which optional fields are set and which lists hold something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    Bare,
    Full,
    Mixed,
}

pub struct Any {
    rng: SmallRng,
    fill: Fill,
}

impl Any {
    pub fn new(seed: u64, fill: Fill) -> Any {
        Any { rng: SmallRng::seed_from_u64(seed), fill }
    }

    fn filled(&mut self) -> bool {
        match self.fill {
            Fill::Bare => false,
            Fill::Full => true,
            Fill::Mixed => self.rng.random(),
        }
    }

    fn opt<T>(&mut self, make: fn(&mut Any) -> T) -> Option<T> {
        self.filled().then(|| make(self))
    }

    fn list<T>(&mut self, make: fn(&mut Any) -> T) -> Vec<T> {
        let length = if self.filled() { self.rng.random_range(1..4) } else { 0 };
        (0..length).map(|_| make(self)).collect()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())].clone()
    }

    pub fn flag(&mut self) -> bool {
        self.filled()
    }

    /// Small ones, the edges of variable-length integers, and the largest.
    pub fn number(&mut self) -> u64 {
        let drawn = self.rng.random();
        self.pick(&[0, 1, 127, 128, 300, 1 << 32, i64::MAX as u64, u64::MAX, drawn])
    }

    fn number32(&mut self) -> u32 {
        self.pick(&[0, 1, 127, 128, u32::MAX])
    }

    pub fn text(&mut self) -> Text {
        let long = "k".repeat(self.rng.random_range(120..140));
        self.pick(&["", "a", "wf-0123456789ab", "zażółć 🦀", "\0\n\"", long.as_str()]).into()
    }

    fn json(&mut self) -> Json {
        let long = format!("\"{}\"", "v".repeat(self.rng.random_range(0..300)));
        Json::new(self.pick(&[
            "null",
            "1.00",
            r#"{"b":1,"a":[1e400,"\u0000"]}"#,
            "12345678901234567890123",
            long.as_str(),
        ]))
    }

    fn revision(&mut self) -> Revision {
        Revision(self.number())
    }

    fn clock(&mut self) -> ClusterMs {
        ClusterMs(self.number())
    }

    fn wall(&mut self) -> WallMs {
        WallMs(self.number())
    }

    fn chain(&mut self) -> Chain {
        Chain(self.rng.random())
    }

    fn tags(&mut self) -> BTreeMap<Text, Text> {
        self.list(|any| (any.text(), any.text())).into_iter().collect()
    }

    fn rank(&mut self) -> Rank {
        Rank { priority: self.number() as i64, place: self.revision() }
    }

    fn fence(&mut self) -> Fence {
        Fence { resource_id: self.text(), token: self.revision() }
    }

    fn claimant(&mut self) -> Claimant {
        Claimant { agent_id: self.opt(Any::text), claim_token: self.opt(Any::revision) }
    }

    fn held(&mut self) -> HeldClaim {
        HeldClaim { run_id: self.text(), agent_id: self.text(), claim_token: self.revision() }
    }

    fn condition(&mut self) -> Condition {
        let all = [
            Condition::Revision(self.revision()),
            Condition::Value(self.json()),
            Condition::Exists(self.flag()),
        ];
        self.pick(&all)
    }

    fn operation(&mut self) -> Operation {
        let (key, value, ttl_ms) = (self.text(), self.json(), self.opt(Any::number));
        let all = [
            Operation::Set { key: key.clone(), value, ttl_ms },
            Operation::Delete { key: key.clone() },
            Operation::Get { key },
        ];
        self.pick(&all)
    }

    /// One of each kind.
    pub fn commands(&mut self) -> Vec<Command> {
        let mut all = self.write_commands();
        all.extend(self.run_commands());
        all.extend(self.schedule_commands());
        all
    }

    fn write_commands(&mut self) -> Vec<Command> {
        vec![
            Command::Set(Set {
                key: self.text(),
                value: self.json(),
                ttl_ms: self.opt(Any::number),
                agent_id: self.opt(Any::text),
                if_revision: self.opt(Any::revision),
                fence: self.opt(Any::fence),
            }),
            Command::Delete(Delete {
                key: self.text(),
                agent_id: self.opt(Any::text),
                if_revision: self.opt(Any::revision),
                fence: self.opt(Any::fence),
            }),
            Command::Transact(Transact {
                compare: self.list(|any| Compare { key: any.text(), condition: any.condition() }),
                then: self.list(Any::operation),
                otherwise: self.list(Any::operation),
                agent_id: self.opt(Any::text),
                fence: self.opt(Any::fence),
            }),
            Command::Acquire(Acquire {
                resource_id: self.text(),
                holder_id: self.text(),
                ttl_ms: self.number(),
                exclusive: self.flag(),
                permits: self.number32(),
            }),
            Command::Renew(Renew {
                resource_id: self.text(),
                holder_id: self.text(),
                ttl_ms: self.number(),
                fencing_token: self.opt(Any::revision),
            }),
            Command::ReleaseLease(ReleaseLease {
                resource_id: self.text(),
                holder_id: self.text(),
                fencing_token: self.opt(Any::revision),
            }),
            Command::SaveSession(SaveSession {
                session_id: self.text(),
                context: self.json(),
                agent_id: self.opt(Any::text),
                fence: self.opt(Any::fence),
                ttl_ms: self.opt(Any::number),
            }),
            Command::DeleteSession(DeleteSession {
                session_id: self.text(),
                agent_id: self.opt(Any::text),
            }),
            Command::Reset,
            Command::Sweep { limit: self.number32() },
        ]
    }

    fn run_commands(&mut self) -> Vec<Command> {
        vec![
            Command::Create(self.create()),
            Command::Claim(Claim {
                run_id: self.text(),
                agent_id: self.text(),
                claim_ttl_ms: self.number(),
            }),
            Command::ClaimNext(ClaimNext {
                agent_id: self.text(),
                names: self.list(Any::text).into_iter().collect(),
                tags: self.tags(),
                claim_ttl_ms: self.number(),
                after: self.opt(Any::rank),
                limit: self.opt(Any::number32),
            }),
            Command::Pause(Pause {
                name: self.text(),
                resume: self.flag(),
                agent_id: self.opt(Any::text),
            }),
            Command::Heartbeat(self.held()),
            Command::Release(self.held()),
            Command::Checkpoint(Checkpoint {
                run_id: self.text(),
                step: self.number(),
                output: self.json(),
                claimant: self.claimant(),
                ask: self.opt(|any| Ask {
                    question: any.text(),
                    options: any.list(Any::text),
                    expires_ms: any.opt(Any::number),
                }),
            }),
            Command::Complete(Complete {
                run_id: self.text(),
                result: self.opt(Any::json),
                claimant: self.claimant(),
                last_step: self.opt(|any| LastStep { step: any.number(), output: any.json() }),
                successors: self.list(Any::create),
            }),
            Command::Fail(Fail {
                run_id: self.text(),
                error: self.text(),
                retry: self.flag(),
                claimant: self.claimant(),
                retry_after_ms: self.opt(Any::number),
            }),
            Command::Retry(Retry { runs: self.retried_runs(), agent_id: self.opt(Any::text) }),
            Command::DeleteRun(DeleteRun { run_id: self.text(), agent_id: self.opt(Any::text) }),
            Command::Decide(Decide {
                run_id: self.text(),
                answer: self.text(),
                comment: self.opt(Any::text),
                digest: self.opt(Any::text),
                agent_id: self.opt(Any::text),
            }),
            Command::Cancel(Cancel {
                run_id: self.text(),
                reason: self.opt(Any::text),
                agent_id: self.opt(Any::text),
            }),
        ]
    }

    fn schedule_commands(&mut self) -> Vec<Command> {
        vec![
            Command::SetSchedule(Box::new(SetSchedule {
                name: self.text(),
                timetable: self.timetable(),
                template: self.create(),
                overlap: self.overlap(),
                first_at: self.opt(Any::firing),
                agent_id: self.opt(Any::text),
            })),
            Command::DeleteSchedule(DeleteSchedule {
                name: self.text(),
                agent_id: self.opt(Any::text),
            }),
            Command::FireSchedule(FireSchedule {
                name: self.text(),
                due_at: self.firing(),
                next_at: self.opt(Any::firing),
                missed: self.number(),
                error: self.opt(Any::text),
            }),
        ]
    }

    fn create(&mut self) -> Create {
        Create {
            name: self.text(),
            tags: self.tags(),
            input: self.opt(Any::json),
            priority: self.number() as i64,
            delay_ms: self.opt(Any::number),
            max_attempts: self.number32(),
            parent_run_id: self.opt(Any::text),
            backoff_ms: self.opt(Any::number),
            backoff_max_ms: self.opt(Any::number),
            deadline: self.opt(|any| RunDeadline { ms: any.number(), from_claim: any.flag() }),
            start_within_ms: self.opt(Any::number),
            keep_ms: self.opt(Any::number),
            concurrency: self.opt(|any| Concurrency { key: any.text(), limit: any.number32() }),
            fair_key: self.opt(Any::text),
            unique: self.opt(|any| {
                let all = [UniqueFor::Queued, UniqueFor::Active, UniqueFor::Ms(any.number())];
                UniqueRequest { key: any.text(), held: any.pick(&all) }
            }),
            depends_on: self.list(Any::text),
            on_dependency_failure: self.on_dependency_failure(),
        }
    }

    fn timetable(&mut self) -> Timetable {
        match self.flag() {
            true => Timetable::Cron { expression: self.text(), time_zone: self.text() },
            false => Timetable::Every { ms: self.number() },
        }
    }

    fn overlap(&mut self) -> Overlap {
        self.pick(&Overlap::NAMED).0
    }

    fn firing(&mut self) -> FiringMs {
        FiringMs(self.number())
    }

    fn retried_runs(&mut self) -> RetriedRuns {
        match self.flag() {
            true => RetriedRuns::One(self.text()),
            false => RetriedRuns::Many {
                name: self.opt(Any::text),
                tags: self.tags(),
                before: self.opt(Any::revision),
            },
        }
    }

    fn origin(&mut self) -> Origin {
        Origin { session: self.number(), sequence: self.number(), lowest: self.number() }
    }

    fn idempotency(&mut self) -> Idempotency {
        Idempotency { key: self.text(), digest: self.rng.random() }
    }

    pub fn forwarded(&mut self, command: Command) -> ForwardedRequest {
        ForwardedRequest {
            origin: self.opt(Any::origin),
            idempotency: self.opt(Any::idempotency),
            actor: self.opt(Any::text),
            random: self.number(),
            attempt: self.flag(),
            command,
        }
    }

    pub fn envelope(&mut self, command: Command) -> Envelope {
        let (wall, clock) = (self.wall(), self.clock());
        let limits = StateLimits {
            bytes_max: Some(self.number()).filter(|bytes| bytes % 2 == 0),
            run_retention_ms: self.opt(Any::number),
        };
        let rules = self.pick(&[Rules::Whole, Rules::Stepwise, Rules::Attempts]);
        self.forwarded(command).stamp(wall, clock, limits, rules)
    }
}

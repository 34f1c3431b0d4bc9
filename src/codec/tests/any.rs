//! Generated values: every variant of everything that has a byte form.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::codec::{Request, StateRecord};
use crate::machine::command::*;
use crate::machine::event::{Action, Chain, Event};
use crate::machine::query::{Answer, Question, Resumed};
use crate::machine::reply::*;
use crate::machine::row::*;
use crate::machine::view::{ChangeFilter, Counts, HistoryFilter, RunFilter, Scan};
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

    fn fence(&mut self) -> Fence {
        Fence { resource_id: self.text(), token: self.revision() }
    }

    fn claimant(&mut self) -> Claimant {
        Claimant { agent_id: self.opt(Any::text), claim_token: self.opt(Any::revision) }
    }

    fn held(&mut self) -> Held {
        Held { run_id: self.text(), agent_id: self.text(), claim_token: self.revision() }
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
            Command::Create(Create {
                name: self.text(),
                tags: self.tags(),
                input: self.opt(Any::json),
                priority: self.number() as i64,
                delay_ms: self.opt(Any::number),
                max_attempts: self.number32(),
                parent_run_id: self.opt(Any::text),
            }),
            Command::Claim(Claim {
                run_id: self.text(),
                agent_id: self.text(),
                claim_ttl_ms: self.number(),
            }),
            Command::ClaimNext(ClaimNext {
                agent_id: self.text(),
                name: self.opt(Any::text),
                tags: self.tags(),
                claim_ttl_ms: self.number(),
            }),
            Command::Heartbeat(self.held()),
            Command::Release(self.held()),
            Command::Checkpoint(Checkpoint {
                run_id: self.text(),
                step: self.number(),
                output: self.json(),
                claimant: self.claimant(),
            }),
            Command::Complete(Complete {
                run_id: self.text(),
                result: self.opt(Any::json),
                claimant: self.claimant(),
            }),
            Command::Fail(Fail {
                run_id: self.text(),
                error: self.text(),
                retry: self.flag(),
                claimant: self.claimant(),
            }),
            Command::Cancel(Cancel {
                run_id: self.text(),
                reason: self.opt(Any::text),
                agent_id: self.opt(Any::text),
            }),
        ]
    }

    fn origin(&mut self) -> Origin {
        Origin { session: self.number(), sequence: self.number(), lowest: self.number() }
    }

    fn idempotency(&mut self) -> Idempotency {
        Idempotency { key: self.text(), digest: self.rng.random() }
    }

    pub fn request(&mut self, command: Command) -> Request {
        Request {
            origin: self.opt(Any::origin),
            idempotency: self.opt(Any::idempotency),
            actor: self.opt(Any::text),
            chance: self.number(),
            command,
        }
    }

    pub fn envelope(&mut self, command: Command) -> Envelope {
        let (wall, clock) = (self.wall(), self.clock());
        self.request(command).stamp(wall, clock)
    }

    fn written(&mut self) -> Written {
        Written { ok: self.flag(), revision: self.revision(), reason: self.opt(Any::text) }
    }

    fn result(&mut self) -> OperationResult {
        let (revision, found, value) = (self.revision(), self.flag(), self.opt(Any::json));
        let all = [
            OperationResult::Set { revision },
            OperationResult::Deleted { ok: found },
            OperationResult::Got { found, value, revision },
        ];
        self.pick(&all)
    }

    /// One of each kind.
    pub fn replies(&mut self) -> Vec<Reply> {
        use RefusalCode::*;
        let code = self.pick(&[InvalidArgument, NotFound, QuotaExceeded, Internal]);
        vec![
            Reply::Refused(Refusal { code, message: self.text() }),
            Reply::Set(self.written()),
            Reply::Deleted(self.written()),
            Reply::Transacted(Transacted {
                succeeded: self.flag(),
                results: self.list(Any::result),
                revision: self.revision(),
                reason: self.opt(Any::text),
            }),
            Reply::Created { run_id: self.text(), name: self.text() },
            Reply::Claimed(Claimed {
                claimed: self.flag(),
                run_id: self.opt(Any::text),
                agent_id: self.opt(Any::text),
                reason: self.opt(Any::text),
                claim_token: self.opt(Any::revision),
                claim_expires_at: self.opt(Any::clock),
                retry_at: self.opt(Any::clock),
            }),
            Reply::Moved(Moved {
                ok: self.flag(),
                run_id: self.text(),
                status: self.status(),
                reason: self.opt(Any::text),
                claim_expires_at: self.opt(Any::clock),
            }),
            Reply::Checkpointed(Checkpointed {
                ok: self.flag(),
                run_id: self.text(),
                step: self.number(),
                last_step: self.number(),
                reason: self.opt(Any::text),
            }),
            Reply::Acquired(Acquired {
                acquired: self.flag(),
                resource_id: self.text(),
                holder: self.opt(Any::text),
                expires_at: self.opt(Any::clock),
                reason: self.opt(Any::text),
                fencing_token: self.opt(Any::revision),
                retry_at: self.opt(Any::clock),
            }),
            Reply::Renewed(Renewed {
                renewed: self.flag(),
                resource_id: self.text(),
                expires_at: self.opt(Any::clock),
                fencing_token: self.opt(Any::revision),
            }),
            Reply::LeaseReleased { released: self.flag(), resource_id: self.text() },
            Reply::SessionSaved {
                ok: self.flag(),
                session_id: self.text(),
                revision: self.revision(),
                reason: self.opt(Any::text),
            },
            Reply::SessionDeleted { ok: self.flag(), session_id: self.text() },
            Reply::Reset { cleared: self.number() },
            Reply::Swept { removed: self.number32(), more: self.flag() },
        ]
    }

    fn reply(&mut self) -> Reply {
        let all = self.replies();
        self.pick(&all)
    }

    pub fn status(&mut self) -> Status {
        use Status::*;
        self.pick(&[Created, Claimed, Running, Done, Failed, Cancelled])
    }

    fn key_row(&mut self) -> KeyRow {
        KeyRow { value: self.json(), revision: self.revision(), expires_at: self.opt(Any::clock) }
    }

    fn lease_row(&mut self) -> LeaseRow {
        LeaseRow {
            holder_id: self.text(),
            token: self.revision(),
            revision: self.revision(),
            expires_at: self.clock(),
        }
    }

    fn session_row(&mut self) -> SessionRow {
        SessionRow {
            context: self.json(),
            revision: self.revision(),
            saved_at: self.wall(),
            updated_at: self.wall(),
        }
    }

    fn step_row(&mut self) -> StepRow {
        StepRow { output: self.json(), revision: self.revision() }
    }

    fn claim_row(&mut self) -> ClaimRow {
        ClaimRow { token: self.revision(), ttl_ms: self.number(), expires_at: self.clock() }
    }

    fn run_row(&mut self) -> RunRow {
        RunRow {
            run_id: self.text(),
            name: self.text(),
            status: self.status(),
            tags: self.tags(),
            input: self.opt(Any::json),
            priority: self.number() as i64,
            parent_run_id: self.opt(Any::text),
            created_revision: self.revision(),
            revision: self.revision(),
            created_at: self.wall(),
            updated_at: self.wall(),
            last_step: self.number(),
            attempts: self.number32(),
            max_attempts: self.number32(),
            ready_at: self.opt(Any::clock),
            agent_id: self.opt(Any::text),
            claim: self.opt(Any::claim_row),
            result: self.opt(Any::json),
            error: self.opt(Any::text),
        }
    }

    /// One of each kind.
    pub fn state_records(&mut self) -> Vec<StateRecord> {
        vec![
            StateRecord::Meta(Meta {
                revision: self.revision(),
                chain: self.chain(),
                clock: self.clock(),
                wall: self.wall(),
                anchor: Anchor { revision: self.revision(), chain: self.chain() },
                sets: self.number(),
            }),
            StateRecord::Key(self.text(), self.key_row()),
            StateRecord::Lease(self.text(), self.lease_row()),
            StateRecord::Run(self.run_row()),
            StateRecord::Step(self.text(), self.number(), self.step_row()),
            StateRecord::Session(self.text(), self.session_row()),
            StateRecord::Request(
                self.text(),
                RequestRow { digest: self.rng.random(), reply: self.reply(), at: self.clock() },
            ),
            StateRecord::Origin(
                self.number(),
                OriginRow { lowest: self.number(), seen_at: self.clock() },
            ),
            StateRecord::Answer(self.number(), self.number(), self.reply()),
        ]
    }

    fn action(&mut self) -> Action {
        self.pick(Action::ALL)
    }

    pub fn event(&mut self) -> Event {
        Event {
            revision: self.revision(),
            at: self.wall(),
            actor: self.opt(Any::text),
            action: self.action(),
            subject: self.text(),
            new: self.opt(Any::json),
            previous: self.opt(Any::json),
            chain: self.chain(),
        }
    }

    fn scan(&mut self) -> Scan {
        Scan { prefix: self.text(), after: self.opt(Any::text) }
    }

    fn change_filter(&mut self) -> ChangeFilter {
        let all = [ChangeFilter::Key(self.text()), ChangeFilter::Prefix(self.text())];
        self.pick(&all)
    }

    /// One of each kind.
    pub fn questions(&mut self) -> Vec<Question> {
        let limit = self.number() as usize;
        vec![
            Question::Key { key: self.text() },
            Question::Keys { scan: self.scan(), limit },
            Question::Runs {
                filter: RunFilter {
                    tags: self.tags(),
                    status: self.opt(Any::status),
                    claimable: self.opt(Any::flag),
                },
                before: self.opt(Any::revision),
                limit,
            },
            Question::Run { run_id: self.text() },
            Question::Resume { run_id: self.text() },
            Question::Leases { scan: self.scan(), limit },
            Question::Session { session_id: self.text() },
            Question::Sessions { scan: self.scan(), limit },
            Question::Counts,
            Question::History {
                filter: HistoryFilter {
                    subject: self.opt(Any::text),
                    action: self.opt(Any::action),
                    actor: self.opt(Any::text),
                },
                before: self.opt(Any::revision),
                limit,
            },
            Question::Changes { filter: self.change_filter(), after: self.revision(), limit },
        ]
    }

    fn resumed(&mut self) -> Box<Resumed> {
        let steps = self.list(|any| (any.number(), any.step_row()));
        Box::new(Resumed { run: self.run_row(), steps })
    }

    /// One of each kind.
    pub fn answers(&mut self) -> Vec<Answer> {
        let more = self.flag();
        vec![
            Answer::Key(self.opt(Any::key_row)),
            Answer::Keys { rows: self.list(|any| (any.text(), any.key_row())), more },
            Answer::Runs { rows: self.list(Any::run_row), more },
            Answer::Run(self.opt(|any| Box::new(any.run_row()))),
            Answer::Resume(self.opt(Any::resumed)),
            Answer::Leases { rows: self.list(|any| (any.text(), any.lease_row())), more },
            Answer::Session(self.opt(Any::session_row)),
            Answer::Sessions { rows: self.list(|any| (any.text(), any.session_row())), more },
            Answer::Counts(Counts {
                keys: self.number(),
                runs: self.number(),
                steps: self.number(),
                leases: self.number(),
                sessions: self.number(),
            }),
            Answer::History { events: self.list(Any::event), more },
            Answer::Changes { events: self.list(Any::event), complete: more },
        ]
    }
}

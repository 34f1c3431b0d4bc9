//! Generated replies, rows, events, questions and answers.

use rand::RngExt;

use super::Any;
use crate::codec::StateRecord;
use crate::machine::event::{Action, Event};
use crate::machine::query::{Answer, Question, Resumed};
use crate::machine::reply::*;
use crate::machine::row::*;
use crate::machine::view::{ChangeFilter, Counts, HistoryFilter, RunFilter, Scan};

impl Any {
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
                state_bytes: self.number(),
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

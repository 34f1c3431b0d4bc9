//! Generated replies, rows, events, questions and answers.

use rand::RngExt;

use super::Any;
use crate::codec::StateRecord;
use crate::machine::Row;
use crate::machine::command::Rules;
use crate::machine::event::{Action, Event};
use crate::machine::filter::{ChangeFilter, ClaimFilter, HistoryFilter, RunFilter};
use crate::machine::meta::*;
use crate::machine::page::{Page, Scan};
use crate::machine::query::Candidate;
use crate::machine::query::{Answer, NameStats, Question, Resumed};
use crate::machine::reply::*;
use crate::machine::row::*;
use crate::machine::run_group::{GroupRow, RecentCounts, RunChanges, RunGroup};
use crate::machine::status::*;
use crate::machine::stored_steps::StoredSteps;

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
            Reply::Created {
                run_id: self.text(),
                name: self.text(),
                status: self.status(),
                existing: self.flag(),
            },
            Reply::Claimed(Claimed {
                claimed: self.flag(),
                run_id: self.opt(Any::text),
                agent_id: self.opt(Any::text),
                reason: self.opt(Any::text),
                claim_token: self.opt(Any::revision),
                claim_expires_at: self.opt(Any::clock),
                retry_at: self.opt(Any::clock),
                searched: self.opt(Any::rank),
                has_prerequisites: self.flag(),
                further: self.list(Any::further_claim),
            }),
            Reply::Moved(Moved {
                ok: self.flag(),
                run_id: self.text(),
                status: self.status(),
                reason: self.opt(Any::text),
                claim_expires_at: self.opt(Any::clock),
                result: self.opt(Any::json),
                successors: self.list(Any::text),
            }),
            Reply::Retried(Retried {
                run_ids: self.list(Any::text),
                next: self.opt(Any::revision),
            }),
            Reply::Checkpointed(Checkpointed {
                ok: self.flag(),
                run_id: self.text(),
                step: self.number(),
                last_step: self.number(),
                reason: self.opt(Any::text),
                steps: self.stored_steps(),
            }),
            Reply::Acquired(Acquired {
                acquired: self.flag(),
                resource_id: self.text(),
                holder: self.opt(Any::text),
                expires_at: self.opt(Any::clock),
                reason: self.opt(Any::text),
                fencing_token: self.opt(Any::revision),
                retry_at: self.opt(Any::clock),
                granted: self.flag(),
            }),
            Reply::Renewed(Renewed {
                renewed: self.flag(),
                resource_id: self.text(),
                expires_at: self.opt(Any::clock),
                fencing_token: self.opt(Any::revision),
                reason: self.opt(Any::text),
            }),
            Reply::LeaseReleased { released: self.flag(), resource_id: self.text() },
            Reply::SessionSaved {
                ok: self.flag(),
                session_id: self.text(),
                revision: self.revision(),
                reason: self.opt(Any::text),
            },
            Reply::SessionDeleted { ok: self.flag(), session_id: self.text() },
            Reply::Paused { name: self.text(), paused: self.flag(), changed: self.flag() },
            Reply::ScheduleSet {
                name: self.text(),
                revision: self.revision(),
                next_at: self.opt(Any::firing),
            },
            Reply::ScheduleDeleted { ok: self.flag(), name: self.text() },
            Reply::ScheduleFired(ScheduleFired {
                fired: self.flag(),
                run_id: self.opt(Any::text),
                error: self.opt(Any::text),
            }),
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

    fn further_claim(&mut self) -> FurtherClaim {
        FurtherClaim {
            run_id: self.text(),
            claim_token: self.revision(),
            claim_expires_at: self.clock(),
        }
    }

    fn lease_row(&mut self) -> LeaseRow {
        let first = self.lease_holder();
        let others = self.list(Any::lease_holder);
        let holders = [first].into_iter().chain(others).collect();
        LeaseRow { revision: self.revision(), holders }
    }

    fn lease_holder(&mut self) -> LeaseHolder {
        LeaseHolder {
            holder_id: self.text(),
            token: self.revision(),
            revision: crate::machine::Revision(1 + self.number() / 2),
            expires_at: self.clock(),
            permits: self.number32(),
        }
    }

    fn session_row(&mut self) -> SessionRow {
        SessionRow {
            context: self.json(),
            revision: self.revision(),
            saved_at: self.wall(),
            updated_at: self.wall(),
            expires_at: self.opt(Any::clock),
        }
    }

    fn schedule_row(&mut self) -> ScheduleRow {
        ScheduleRow {
            timetable: self.timetable(),
            template: self.create(),
            overlap: self.overlap(),
            next_at: self.opt(Any::firing),
            revision: self.revision(),
            set_at: self.wall(),
            agent_id: self.opt(Any::text),
            fired: self.number(),
            missed: self.number(),
            skipped: self.number(),
            last_run_id: self.opt(Any::text),
            last_fired_at: self.opt(Any::wall),
            last_error: self.opt(Any::text),
        }
    }

    fn step_row(&mut self) -> StepRow {
        StepRow { output: self.json(), revision: self.revision() }
    }

    fn claim_row(&mut self) -> ClaimRow {
        ClaimRow {
            token: self.revision(),
            ttl_ms: self.number(),
            expires_at: self.clock(),
            on_lapse: match self.number() % 3 {
                0 => OnLapse::TakeOver,
                1 => OnLapse::Fail,
                _ => OnLapse::Retry { pause_ms: self.number() },
            },
        }
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
            promoted: self.flag(),
            depth: self.number32(),
            steps: self.stored_steps(),
            retry: RetryPolicy {
                lapses_max: self.number32(),
                backoff_ms: self.number(),
                backoff_max_ms: self.number(),
            },
            claims: self.number32(),
            deadline_at: self.opt(Any::clock),
            deadline_ms: self.opt(Any::number),
            start_by: self.opt(Any::clock),
            keep_ms: self.opt(Any::number),
            expires_at: self.opt(Any::clock),
            removed: self.flag(),
            constraints: self.opt(|any| Box::new(any.constraints())),
            has_dependents: self.flag(),
            place: self.opt(Any::revision),
            is_counted: self.flag(),
            approval: self.opt(|any| Box::new(any.approval_row())),
        }
    }

    pub(super) fn on_dependency_failure(&mut self) -> OnDependencyFailure {
        let failures =
            [OnDependencyFailure::Fail, OnDependencyFailure::Cancel, OnDependencyFailure::Continue];
        self.pick(&failures)
    }

    fn constraints(&mut self) -> Constraints {
        Constraints {
            depends_on: self.list(Any::text),
            blocked_by: self.list(Any::text),
            on_dependency_failure: self.on_dependency_failure(),
            concurrency: self.opt(|any| Concurrency { key: any.text(), limit: any.number32() }),
            fair_key: self.opt(Any::text),
            unique: self.opt(|any| {
                let held =
                    [UniqueWhile::Queued, UniqueWhile::Active, UniqueWhile::Until(any.clock())];
                Unique { key: any.text(), held: any.pick(&held) }
            }),
        }
    }

    fn approval_row(&mut self) -> ApprovalRow {
        ApprovalRow {
            question: self.text(),
            options: self.list(Any::text),
            asked_revision: self.revision(),
            expires_at: self.opt(Any::clock),
            decision: self.opt(|any| ApprovalDecision {
                answer: any.opt(Any::text),
                by: any.opt(Any::text),
                comment: any.opt(Any::text),
            }),
        }
    }

    fn group(&mut self) -> RunGroup {
        let common = self.text();
        let groups = [
            RunGroup::Name(common.clone()),
            RunGroup::Parent(common.clone()),
            RunGroup::Concurrency(common),
        ];
        self.pick(&groups)
    }

    fn stored_steps(&mut self) -> StoredSteps {
        StoredSteps { count: self.number(), first: self.number(), next: self.number() }
    }

    fn cancellation_row(&mut self) -> CancellationRow {
        CancellationRow {
            revision: self.revision(),
            actor: self.opt(Any::text),
            reason: self.opt(Any::text),
            frames: self.list(|any| (any.text(), any.revision())).into(),
            at: self.clock(),
        }
    }

    fn counts(&mut self) -> Counts {
        Counts {
            keys: self.number(),
            runs: self.number(),
            steps: self.number(),
            leases: self.number(),
            sessions: self.number(),
            requests: self.number(),
            cancellations: self.number(),
            schedules: self.number(),
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
                counts: self.opt(Any::counts).unwrap_or_default(),
                rules: self.pick(&[Rules::Whole, Rules::Stepwise, Rules::Attempts]),
            }),
            StateRecord::Row(Row::Key(self.text(), self.key_row())),
            StateRecord::Row(Row::Lease(self.text(), self.lease_row())),
            StateRecord::Row(Row::Run(Box::new(self.run_row()))),
            StateRecord::Row(Row::Step(self.text(), self.number(), self.step_row())),
            StateRecord::Row(Row::Session(self.text(), self.session_row())),
            StateRecord::Row(Row::Group(self.group(), self.group_row())),
            StateRecord::Row(Row::Pause(
                self.text(),
                PauseRow {
                    revision: self.revision(),
                    at: self.wall(),
                    agent_id: self.opt(Any::text),
                },
            )),
            StateRecord::Row(Row::Schedule(self.text(), Box::new(self.schedule_row()))),
            StateRecord::Row(Row::Cancellation(self.text(), Box::new(self.cancellation_row()))),
            StateRecord::Row(Row::Request(self.text(), Box::new(self.request_row()))),
            StateRecord::Row(Row::Origin(
                self.number(),
                OriginRow { lowest: self.number(), seen_at: self.clock() },
            )),
            StateRecord::Row(Row::Answer(self.number(), self.number(), Box::new(self.reply()))),
        ]
    }

    fn request_row(&mut self) -> RequestRow {
        RequestRow { digest: self.rng.random(), reply: self.reply(), at: self.clock() }
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
        let (key, prefix) = (self.text(), self.text());
        let all = [ChangeFilter::Key(key), ChangeFilter::Prefix(prefix), ChangeFilter::Grants];
        self.pick(&all)
    }

    /// One of each kind.
    pub fn questions(&mut self) -> Vec<Question> {
        let bytes = self.opt(Any::number).map_or(usize::MAX, |bytes| bytes as usize);
        let page = Page { rows: self.number() as usize, bytes };
        vec![
            Question::Key { key: self.text() },
            Question::Keys { scan: self.scan(), page },
            Question::Runs {
                filter: RunFilter {
                    tags: self.tags(),
                    status: self.opt(Any::status),
                    claimable: self.opt(Any::flag),
                    name: self.opt(Any::text),
                    parent_run_id: self.opt(Any::text),
                    agent_id: self.opt(Any::text),
                },
                before: self.opt(Any::revision),
                page,
            },
            Question::Run { run_id: self.text() },
            Question::Resume { run_id: self.text(), from_step: self.number(), page },
            Question::Prerequisites { run_id: self.text(), page },
            Question::Candidate {
                filter: ClaimFilter {
                    names: self.list(Any::text).into_iter().collect(),
                    tags: self.tags(),
                },
                after: self.opt(Any::rank),
            },
            Question::Lease { resource_id: self.text() },
            Question::Request { key: self.text() },
            Question::Leases { scan: self.scan(), page },
            Question::Session { session_id: self.text() },
            Question::Sessions { scan: self.scan(), page },
            Question::Schedules { scan: self.scan(), page },
            Question::Stats { scan: self.scan(), page },
            Question::Counts,
            Question::History {
                filter: HistoryFilter {
                    subject: self.opt(Any::text),
                    action: self.opt(Any::action),
                    actor: self.opt(Any::text),
                },
                before: self.opt(Any::revision),
                page,
            },
            Question::Changes { filter: self.change_filter(), after: self.revision(), page },
        ]
    }

    fn group_row(&mut self) -> GroupRow {
        GroupRow {
            counts: std::array::from_fn(|_| self.number()),
            recent: self.opt(|any| {
                Box::new(RecentCounts {
                    window: any.number(),
                    current: any.run_changes(),
                    previous: any.run_changes(),
                })
            }),
        }
    }

    fn run_changes(&mut self) -> RunChanges {
        RunChanges {
            created: self.number(),
            claimed: self.number(),
            completed: self.number(),
            failed: self.number(),
        }
    }

    fn name_stats(&mut self) -> NameStats {
        NameStats {
            name: self.text(),
            counts: std::array::from_fn(|_| self.number()),
            oldest: self.opt(|any| (any.text(), any.wall())),
            paused: self.flag(),
            recent: self.run_changes(),
        }
    }

    fn resumed(&mut self) -> Box<Resumed> {
        let steps = self.list(|any| (any.number(), any.step_row()));
        Box::new(Resumed { run: self.run_row(), steps, next_step: self.opt(Any::number) })
    }

    /// One of each kind.
    pub fn answers(&mut self) -> Vec<Answer> {
        let (more, name) = (self.flag(), self.opt(Any::text));
        let candidates = [
            Candidate::Ready(Box::new(self.run_row())),
            Candidate::At(self.clock()),
            Candidate::Further(self.rank()),
            Candidate::None,
        ];
        vec![
            Answer::Key(self.opt(Any::key_row)),
            Answer::Keys { rows: self.list(|any| (any.text(), any.key_row())), next: name.clone() },
            Answer::Runs { rows: self.list(Any::run_row), next: self.opt(Any::revision) },
            Answer::Run {
                run: self.opt(|any| Box::new(any.run_row())),
                children: std::array::from_fn(|_| self.number()),
            },
            Answer::Stats { rows: self.list(Any::name_stats), next: name.clone() },
            Answer::Resume(self.opt(Any::resumed)),
            Answer::Leases {
                rows: self.list(|any| (any.text(), any.lease_row())),
                next: name.clone(),
            },
            Answer::Session(self.opt(Any::session_row)),
            Answer::Sessions {
                rows: self.list(|any| (any.text(), any.session_row())),
                next: name.clone(),
            },
            Answer::Schedules {
                rows: self.list(|any| (any.text(), any.schedule_row())),
                next: name,
            },
            Answer::Counts(Counts { requests: 0, cancellations: 0, schedules: 0, ..self.counts() }),
            Answer::Candidate(self.pick(&candidates)),
            Answer::Lease(self.opt(Any::lease_row)),
            Answer::Request(self.opt(|any| Box::new(any.request_row()))),
            Answer::History { events: self.list(Any::event), more },
            Answer::Changes { events: self.list(Any::event), complete: more, more: self.flag() },
        ]
    }
}

//! Rows and events into lines.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::form::{
    ApprovalLine, CancellationLine, ClaimLine, ConstraintsLine, DecisionLine,
    DependencyFailureLine, EventLine, FirstLine, HolderLine, KeyLine, LapseLine, LastLine,
    LeaseLine, Line, PauseLine, RequestLine, RetryLine, RunLine, ScheduleLine, SessionLine,
    StepLine, StepsLine, UniqueLine,
};
use crate::codec::{self, StateRecord};
use crate::export::counts::ExportCounts;
use crate::export::header::{ExportHeader, FORMAT, VERSION};
use crate::machine::hex;
use crate::machine::row::{
    ApprovalRow, Constraints, LeaseHolder, LeaseRow, OnDependencyFailure, OnLapse, RunRow,
    UniqueWhile,
};
use crate::machine::{Event, Json, Row};
use crate::store::export::Part;

impl<'a> FirstLine<&'a str> {
    pub fn of(header: &'a ExportHeader) -> FirstLine<&'a str> {
        let ExportHeader { origin, meta } = header;
        FirstLine {
            format: FORMAT,
            version: VERSION,
            release: &origin.release,
            backend: &origin.backend,
            revision: meta.revision.0,
            chain: hex::encode(&meta.chain.0),
            clock_ms: meta.clock.0,
            wall_ms: meta.wall.0,
            anchor_revision: meta.anchor.revision.0,
            anchor_chain: hex::encode(&meta.anchor.chain.0),
            sets: meta.sets,
        }
    }
}

impl<'a> Line<&'a str> {
    /// The line of a row or an event, unless the row is one that a node keeps for
    /// itself.
    pub fn of(part: &'a Part) -> Option<Line<&'a str>> {
        Some(match part {
            Part::Row(Row::Key(key, row)) => Line::Key(KeyLine {
                key,
                value: row.value.as_str(),
                revision: row.revision.0,
                expires_at_ms: row.expires_at.map(|at| at.0),
            }),
            Part::Row(Row::Lease(resource_id, row)) => {
                Line::Lease(LeaseLine::of(resource_id, row)?)
            }
            Part::Row(Row::Run(row)) => Line::Run(Box::new(RunLine::of(row))),
            Part::Row(Row::Step(run_id, step, row)) => Line::Step(StepLine {
                run_id,
                step: *step,
                output: row.output.as_str(),
                revision: row.revision.0,
            }),
            Part::Row(Row::Session(session_id, row)) => Line::Session(SessionLine {
                session_id,
                context: row.context.as_str(),
                revision: row.revision.0,
                saved_at_ms: row.saved_at.0,
                updated_at_ms: row.updated_at.0,
                expires_at_ms: row.expires_at.map(|at| at.0),
            }),
            Part::Row(row @ Row::Schedule(name, _)) => {
                let record = codec::encode_state_record(&StateRecord::Row(row.clone()));
                Line::Schedule(ScheduleLine { name, record: hex::encode(&record) })
            }
            Part::Row(Row::Pause(name, row)) => Line::Pause(PauseLine {
                name,
                revision: row.revision.0,
                at_ms: row.at.0,
                agent_id: row.agent_id.as_deref(),
            }),
            Part::Row(Row::Cancellation(run_id, row)) => Line::Cancellation(CancellationLine {
                run_id,
                revision: row.revision.0,
                actor: row.actor.as_deref(),
                reason: row.reason.as_deref(),
                frames: row.frames.iter().map(|(run_id, after)| (&**run_id, after.0)).collect(),
                at_ms: row.at.0,
            }),
            Part::Row(Row::Request(key, row)) => Line::Request(RequestLine {
                key,
                digest: hex::encode(&row.digest),
                reply: hex::encode(&codec::encode_reply(&row.reply)),
                at_ms: row.at.0,
            }),
            Part::Event(event) => Line::Event(EventLine::of(event)),
            Part::Row(Row::Group(..) | Row::Origin(..) | Row::Answer(..)) => return None,
        })
    }
}

impl<'a> LeaseLine<&'a str> {
    fn of(resource_id: &'a str, row: &'a LeaseRow) -> Option<LeaseLine<&'a str>> {
        let (first, others) = row.holders.split_first()?;
        let other = |holder: &'a LeaseHolder| HolderLine {
            holder_id: &*holder.holder_id,
            token: holder.token.0,
            revision: holder.revision.0,
            expires_at_ms: holder.expires_at.0,
            permits: holder.permits,
        };
        let own = Some(first.revision).filter(|own| *own != row.revision);
        Some(LeaseLine {
            resource_id,
            holder_id: &first.holder_id,
            token: first.token.0,
            revision: row.revision.0,
            expires_at_ms: first.expires_at.0,
            permits: first.permits,
            holder_revision: own.map(|own| own.0),
            others: others.iter().map(other).collect(),
        })
    }
}

impl<'a> RunLine<&'a str> {
    fn of(row: &'a RunRow) -> RunLine<&'a str> {
        RunLine {
            run_id: &row.run_id,
            name: &row.name,
            status: row.status.as_str(),
            tags: row.tags.iter().map(|(name, value)| (&**name, &**value)).collect(),
            input: row.input.as_ref().map(Json::as_str),
            priority: row.priority,
            parent_run_id: row.parent_run_id.as_deref(),
            created_revision: row.created_revision.0,
            revision: row.revision.0,
            created_at_ms: row.created_at.0,
            updated_at_ms: row.updated_at.0,
            last_step: row.last_step,
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            ready_at_ms: row.ready_at.map(|at| at.0),
            agent_id: row.agent_id.as_deref(),
            claim: row.claim.as_ref().map(|claim| ClaimLine {
                token: claim.token.0,
                ttl_ms: claim.ttl_ms,
                expires_at_ms: claim.expires_at.0,
                on_lapse: match claim.on_lapse {
                    OnLapse::TakeOver => LapseLine::TakeOver,
                    OnLapse::Retry { pause_ms } => LapseLine::RetryAfterMs(pause_ms),
                    OnLapse::Fail => LapseLine::Fail,
                },
            }),
            result: row.result.as_ref().map(Json::as_str),
            error: row.error.as_deref(),
            promoted: row.promoted,
            depth: row.depth,
            steps: StepsLine {
                count: row.steps.count,
                first: row.steps.first,
                next: row.steps.next,
            },
            retry: RetryLine {
                lapses_max: row.retry.lapses_max,
                backoff_ms: row.retry.backoff_ms,
                backoff_max_ms: row.retry.backoff_max_ms,
            },
            claims: row.claims,
            deadline_at_ms: row.deadline_at.map(|at| at.0),
            deadline_ms: row.deadline_ms,
            start_by_ms: row.start_by.map(|at| at.0),
            keep_ms: row.keep_ms,
            expires_at_ms: row.expires_at.map(|at| at.0),
            removed: row.removed,
            constraints: row.constraints.as_deref().map(ConstraintsLine::of),
            has_dependents: row.has_dependents,
            place: row.place.map(|place| place.0),
            is_counted: row.is_counted,
            approval: row.approval.as_deref().map(ApprovalLine::of),
        }
    }
}

impl<'a> ConstraintsLine<&'a str> {
    fn of(constraints: &'a Constraints) -> ConstraintsLine<&'a str> {
        let Constraints { concurrency, unique, .. } = constraints;
        ConstraintsLine {
            depends_on: constraints.depends_on.iter().map(|run_id| &**run_id).collect(),
            blocked_by: constraints.blocked_by.iter().map(|run_id| &**run_id).collect(),
            on_dependency_failure: match constraints.on_dependency_failure {
                OnDependencyFailure::Fail => DependencyFailureLine::Fail,
                OnDependencyFailure::Cancel => DependencyFailureLine::Cancel,
                OnDependencyFailure::Continue => DependencyFailureLine::Continue,
            },
            concurrency: concurrency.as_ref().map(|it| (&*it.key, it.limit)),
            fair_key: constraints.fair_key.as_deref(),
            unique: unique.as_ref().map(|unique| {
                let held = match unique.held {
                    UniqueWhile::Queued => UniqueLine::Queued,
                    UniqueWhile::Active => UniqueLine::Active,
                    UniqueWhile::Until(at) => UniqueLine::UntilMs(at.0),
                };
                (&*unique.key, held)
            }),
        }
    }
}

impl<'a> ApprovalLine<&'a str> {
    fn of(approval: &'a ApprovalRow) -> ApprovalLine<&'a str> {
        ApprovalLine {
            question: &approval.question,
            options: approval.options.iter().map(|option| &**option).collect(),
            asked_revision: approval.asked_revision.0,
            expires_at_ms: approval.expires_at.map(|at| at.0),
            decision: approval.decision.as_ref().map(|decided| DecisionLine {
                answer: decided.answer.as_deref(),
                decided_by: decided.by.as_deref(),
                comment: decided.comment.as_deref(),
            }),
        }
    }
}

impl<'a> EventLine<&'a str> {
    fn of(event: &'a Event) -> EventLine<&'a str> {
        EventLine {
            revision: event.revision.0,
            at_ms: event.at.0,
            actor: event.actor.as_deref(),
            action: event.action.as_str(),
            subject: &event.subject,
            new: event.new.as_ref().map(Json::as_str),
            previous: event.previous.as_ref().map(Json::as_str),
            chain: hex::encode(&event.chain.0),
        }
    }
}

/// The last line, where `hash` has seen all lines before it.
pub fn end_line(counts: &ExportCounts, hash: Sha256) -> Vec<u8> {
    let sha256 = hex::encode(&hash.finalize());
    let end = LastLine { rows: counts.rows(), events: counts.events, sha256 };
    let mut line = Vec::new();
    push(&mut line, &Line::<&str>::End(end));
    line
}

/// Adds one line with its line break.
pub fn push(lines: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *lines, line)
        .expect("text and numbers always have a JSON form, and a Vec takes every byte");
    lines.push(b'\n');
}

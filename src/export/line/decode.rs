//! Lines into rows and events, with every check that needs one line alone.

use serde::de::IgnoredAny;

use super::form::{
    ApprovalLine, CancellationLine, ConstraintsLine, DependencyFailureLine, EventLine, FirstLine,
    KeyLine, LapseLine, LeaseLine, PauseLine, RequestLine, RunLine, ScheduleLine, SessionLine,
    StepLine, UniqueLine,
};
use crate::codec::{self, StateRecord};
use crate::export::header::{ExportHeader, ExportOrigin};
use crate::machine::meta::Anchor;
use crate::machine::row::{
    ApprovalDecision, ApprovalRow, CancellationRow, ClaimRow, Concurrency, Constraints, KeyRow,
    LeaseHolder, LeaseRow, OnDependencyFailure, OnLapse, PauseRow, RequestRow, RetryPolicy, RunRow,
    SessionRow, StepRow, Unique, UniqueWhile,
};
use crate::machine::stored_steps::StoredSteps;
use crate::machine::{Chain, ClusterMs, Event, Json, Meta, Revision, Row, Text, WallMs, hex};

impl FirstLine<Text> {
    pub fn into_header(self) -> Result<ExportHeader, String> {
        Ok(ExportHeader {
            origin: ExportOrigin { backend: self.backend, release: self.release },
            meta: Meta {
                revision: Revision(self.revision),
                chain: chain("chain", &self.chain)?,
                clock: ClusterMs(self.clock_ms),
                wall: WallMs(self.wall_ms),
                anchor: Anchor {
                    revision: Revision(self.anchor_revision),
                    chain: chain("anchor_chain", &self.anchor_chain)?,
                },
                sets: self.sets,
                // The store that imports the rows counts them.
                ..Meta::default()
            },
        })
    }
}

impl KeyLine<Text> {
    pub fn into_row(self) -> Result<Row, String> {
        let row = KeyRow {
            value: json("value", self.value)?,
            revision: Revision(self.revision),
            expires_at: self.expires_at_ms.map(ClusterMs),
        };
        Ok(Row::Key(self.key, row))
    }
}

impl LeaseLine<Text> {
    pub fn into_row(self) -> Row {
        let first = LeaseHolder {
            holder_id: self.holder_id,
            token: Revision(self.token),
            revision: Revision(self.holder_revision.unwrap_or(self.revision)),
            expires_at: ClusterMs(self.expires_at_ms),
            permits: self.permits,
        };
        let others = self.others.into_iter().map(|other| LeaseHolder {
            holder_id: other.holder_id,
            token: Revision(other.token),
            revision: Revision(other.revision),
            expires_at: ClusterMs(other.expires_at_ms),
            permits: other.permits,
        });
        let holders = [first].into_iter().chain(others).collect();
        Row::Lease(self.resource_id, LeaseRow { revision: Revision(self.revision), holders })
    }
}

impl RunLine<Text> {
    pub fn into_row(self) -> Result<Row, String> {
        let status = self.status.parse();
        Ok(Row::Run(Box::new(RunRow {
            status: status.map_err(|()| format!("status: got {:?}, which is none", self.status))?,
            run_id: self.run_id,
            name: self.name,
            tags: self.tags,
            input: self.input.map(|text| json("input", text)).transpose()?,
            priority: self.priority,
            parent_run_id: self.parent_run_id,
            created_revision: Revision(self.created_revision),
            revision: Revision(self.revision),
            created_at: WallMs(self.created_at_ms),
            updated_at: WallMs(self.updated_at_ms),
            last_step: self.last_step,
            attempts: self.attempts,
            max_attempts: self.max_attempts,
            ready_at: self.ready_at_ms.map(ClusterMs),
            agent_id: self.agent_id,
            claim: self.claim.map(|claim| ClaimRow {
                token: Revision(claim.token),
                ttl_ms: claim.ttl_ms,
                expires_at: ClusterMs(claim.expires_at_ms),
                on_lapse: match claim.on_lapse {
                    LapseLine::TakeOver => OnLapse::TakeOver,
                    LapseLine::RetryAfterMs(pause_ms) => OnLapse::Retry { pause_ms },
                    LapseLine::Fail => OnLapse::Fail,
                },
            }),
            result: self.result.map(|text| json("result", text)).transpose()?,
            error: self.error,
            promoted: self.promoted,
            depth: self.depth,
            steps: StoredSteps {
                count: self.steps.count,
                first: self.steps.first,
                next: self.steps.next,
            },
            retry: RetryPolicy {
                lapses_max: self.retry.lapses_max,
                backoff_ms: self.retry.backoff_ms,
                backoff_max_ms: self.retry.backoff_max_ms,
            },
            claims: self.claims,
            deadline_at: self.deadline_at_ms.map(ClusterMs),
            deadline_ms: self.deadline_ms,
            start_by: self.start_by_ms.map(ClusterMs),
            keep_ms: self.keep_ms,
            expires_at: self.expires_at_ms.map(ClusterMs),
            removed: self.removed,
            constraints: self.constraints.map(|it| Box::new(it.into_constraints())),
            has_dependents: self.has_dependents,
            place: self.place.map(Revision),
            is_counted: self.is_counted,
            approval: self.approval.map(|it| Box::new(it.into_approval())),
        })))
    }
}

impl ConstraintsLine<Text> {
    fn into_constraints(self) -> Constraints {
        Constraints {
            depends_on: self.depends_on,
            blocked_by: self.blocked_by,
            on_dependency_failure: match self.on_dependency_failure {
                DependencyFailureLine::Fail => OnDependencyFailure::Fail,
                DependencyFailureLine::Cancel => OnDependencyFailure::Cancel,
                DependencyFailureLine::Continue => OnDependencyFailure::Continue,
            },
            concurrency: self.concurrency.map(|(key, limit)| Concurrency { key, limit }),
            fair_key: self.fair_key,
            unique: self.unique.map(|(key, held)| Unique {
                key,
                held: match held {
                    UniqueLine::Queued => UniqueWhile::Queued,
                    UniqueLine::Active => UniqueWhile::Active,
                    UniqueLine::UntilMs(at) => UniqueWhile::Until(ClusterMs(at)),
                },
            }),
        }
    }
}

impl ApprovalLine<Text> {
    fn into_approval(self) -> ApprovalRow {
        ApprovalRow {
            question: self.question,
            options: self.options,
            asked_revision: Revision(self.asked_revision),
            expires_at: self.expires_at_ms.map(ClusterMs),
            decision: self.decision.map(|decision| ApprovalDecision {
                answer: decision.answer,
                by: decision.decided_by,
                comment: decision.comment,
            }),
        }
    }
}

impl StepLine<Text> {
    pub fn into_row(self) -> Result<Row, String> {
        let output = json("output", self.output)?;
        let row = StepRow { output, revision: Revision(self.revision) };
        Ok(Row::Step(self.run_id, self.step, row))
    }
}

impl SessionLine<Text> {
    pub fn into_row(self) -> Result<Row, String> {
        let row = SessionRow {
            context: json("context", self.context)?,
            revision: Revision(self.revision),
            saved_at: WallMs(self.saved_at_ms),
            updated_at: WallMs(self.updated_at_ms),
            expires_at: self.expires_at_ms.map(ClusterMs),
        };
        Ok(Row::Session(self.session_id, row))
    }
}

impl ScheduleLine<Text> {
    pub fn into_row(self) -> Result<Row, String> {
        let record = hex::decode(&self.record).ok_or("record: takes hexadecimal digits")?;
        let record = codec::decode_state_record(&record.into());
        match record.map_err(|error| format!("record: {error}"))? {
            StateRecord::Row(Row::Schedule(name, row)) if name == self.name => {
                let input = row.template.input.as_ref().map(|input| input.as_str().into());
                input.map(|input| json("input", input)).transpose()?;
                Ok(Row::Schedule(name, row))
            }
            StateRecord::Row(_) | StateRecord::Meta(_) => {
                Err("record: not that of this schedule".into())
            }
        }
    }
}

impl PauseLine<Text> {
    pub fn into_row(self) -> Row {
        let (revision, at) = (Revision(self.revision), WallMs(self.at_ms));
        Row::Pause(self.name, PauseRow { revision, at, agent_id: self.agent_id })
    }
}

impl CancellationLine<Text> {
    pub fn into_row(self) -> Row {
        let frames = self.frames.into_iter();
        let row = CancellationRow {
            revision: Revision(self.revision),
            at: ClusterMs(self.at_ms),
            actor: self.actor,
            reason: self.reason,
            frames: frames.map(|(run_id, after)| (run_id, Revision(after))).collect(),
        };
        Row::Cancellation(self.run_id, Box::new(row))
    }
}

impl RequestLine<Text> {
    pub fn into_row(self) -> Result<Row, String> {
        let digest = hex::decode_hash(&self.digest);
        let digest = digest.ok_or("digest: takes 64 hexadecimal digits")?;
        let reply = hex::decode(&self.reply).ok_or("reply: takes hexadecimal digits")?;
        let reply =
            codec::decode_reply(&reply.into()).map_err(|error| format!("reply: {error}"))?;
        let row = RequestRow { digest, reply, at: ClusterMs(self.at_ms) };
        Ok(Row::Request(self.key, Box::new(row)))
    }
}

impl EventLine<Text> {
    pub fn into_event(self) -> Result<Event, String> {
        let action = self.action.parse();
        Ok(Event {
            revision: Revision(self.revision),
            at: WallMs(self.at_ms),
            actor: self.actor,
            action: action.map_err(|()| format!("action: got {:?}, which is none", self.action))?,
            subject: self.subject,
            new: self.new.map(|text| json("new", text)).transpose()?,
            previous: self.previous.map(|text| json("previous", text)).transpose()?,
            chain: chain("chain", &self.chain)?,
        })
    }
}

/// The rules never parse JSON, so it must be checked here.
fn json(field: &str, text: Text) -> Result<Json, String> {
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(IgnoredAny) => Ok(Json::new(text)),
        Err(_) => Err(format!("{field}: the text is not one JSON value")),
    }
}

fn chain(field: &str, text: &str) -> Result<Chain, String> {
    let hash = hex::decode_hash(text);
    hash.map(Chain).ok_or_else(|| format!("{field}: takes 64 hexadecimal digits"))
}

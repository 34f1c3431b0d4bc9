//! Commands on runs, to and from `proto/state.proto`.

use super::error::CodecError;
use super::row::to_on_dependency_failure;
use super::value::*;
use crate::machine::command::*;
use crate::machine::{Json, Revision, Text};
use crate::proto::state as proto;
use proto::retry::Runs as RunsForm;

impl From<&Create> for proto::Create {
    fn from(create: &Create) -> Self {
        proto::Create {
            name: text(&create.name),
            tags: tags(&create.tags),
            input: json_opt(&create.input),
            priority: create.priority,
            delay_ms: create.delay_ms,
            max_attempts: create.max_attempts,
            parent_run_id: text_opt(&create.parent_run_id),
            backoff_ms: create.backoff_ms,
            backoff_max_ms: create.backoff_max_ms,
            deadline: create
                .deadline
                .map(|RunDeadline { ms, from_claim }| proto::RunDeadline { ms, from_claim }),
            start_within_ms: create.start_within_ms,
            keep_ms: create.keep_ms,
            concurrency: create.concurrency.as_ref().map(|Concurrency { key, limit }| {
                proto::Concurrency { key: text(key), limit: *limit }
            }),
            fair_key: text_opt(&create.fair_key),
            unique: create.unique.as_ref().map(|UniqueRequest { key, held }| {
                proto::UniqueRequest {
                    key: text(key),
                    while_queued: *held == UniqueFor::Queued,
                    for_ms: match held {
                        UniqueFor::Ms(ms) => Some(*ms),
                        UniqueFor::Queued | UniqueFor::Active => None,
                    },
                }
            }),
            depends_on: create.depends_on.iter().map(text).collect(),
            on_dependency_failure: create.on_dependency_failure as i32,
        }
    }
}

impl TryFrom<proto::Create> for Create {
    type Error = CodecError;

    fn try_from(create: proto::Create) -> Result<Self, CodecError> {
        Ok(Create {
            name: create.name.into(),
            tags: to_tags("Create", create.tags)?,
            input: to_json_opt(create.input),
            priority: create.priority,
            delay_ms: create.delay_ms,
            max_attempts: create.max_attempts,
            parent_run_id: to_text_opt(create.parent_run_id),
            backoff_ms: create.backoff_ms,
            backoff_max_ms: create.backoff_max_ms,
            deadline: create
                .deadline
                .map(|proto::RunDeadline { ms, from_claim }| RunDeadline { ms, from_claim }),
            start_within_ms: create.start_within_ms,
            keep_ms: create.keep_ms,
            concurrency: create
                .concurrency
                .map(|proto::Concurrency { key, limit }| Concurrency { key: key.into(), limit }),
            fair_key: to_text_opt(create.fair_key),
            unique: create.unique.map(to_unique).transpose()?,
            depends_on: create.depends_on.into_iter().map(Text::from).collect(),
            on_dependency_failure: to_on_dependency_failure(
                "Create",
                create.on_dependency_failure,
            )?,
        })
    }
}

fn to_unique(form: proto::UniqueRequest) -> Result<UniqueRequest, CodecError> {
    let held = match (form.while_queued, form.for_ms) {
        (false, None) => UniqueFor::Active,
        (true, None) => UniqueFor::Queued,
        (false, Some(ms)) => UniqueFor::Ms(ms),
        (true, Some(_)) => return Err(CodecError::unknown("UniqueRequest", "while_queued", 1)),
    };
    Ok(UniqueRequest { key: form.key.into(), held })
}

impl From<&Claim> for proto::Claim {
    fn from(claim: &Claim) -> Self {
        proto::Claim {
            run_id: text(&claim.run_id),
            agent_id: text(&claim.agent_id),
            claim_ttl_ms: claim.claim_ttl_ms,
        }
    }
}

impl From<proto::Claim> for Claim {
    fn from(claim: proto::Claim) -> Self {
        Claim {
            run_id: claim.run_id.into(),
            agent_id: claim.agent_id.into(),
            claim_ttl_ms: claim.claim_ttl_ms,
        }
    }
}

impl From<&ClaimNext> for proto::ClaimNext {
    fn from(next: &ClaimNext) -> Self {
        let names = one_or_more(&next.names);
        proto::ClaimNext {
            agent_id: text(&next.agent_id),
            name: names.0,
            tags: tags(&next.tags),
            claim_ttl_ms: next.claim_ttl_ms,
            after: next.after.map(rank),
            names: names.1,
            limit: next.limit,
        }
    }
}

impl TryFrom<proto::ClaimNext> for ClaimNext {
    type Error = CodecError;

    fn try_from(next: proto::ClaimNext) -> Result<Self, CodecError> {
        Ok(ClaimNext {
            agent_id: next.agent_id.into(),
            names: to_one_or_more("ClaimNext", next.name, next.names)?,
            after: next.after.map(to_rank),
            tags: to_tags("ClaimNext", next.tags)?,
            claim_ttl_ms: next.claim_ttl_ms,
            limit: next.limit,
        })
    }
}

impl From<&Pause> for proto::Pause {
    fn from(pause: &Pause) -> Self {
        proto::Pause {
            name: text(&pause.name),
            resume: pause.resume,
            agent_id: text_opt(&pause.agent_id),
        }
    }
}

impl From<proto::Pause> for Pause {
    fn from(pause: proto::Pause) -> Self {
        Pause {
            name: pause.name.into(),
            resume: pause.resume,
            agent_id: to_text_opt(pause.agent_id),
        }
    }
}

impl From<&HeldClaim> for proto::Held {
    fn from(held: &HeldClaim) -> Self {
        proto::Held {
            run_id: text(&held.run_id),
            agent_id: text(&held.agent_id),
            claim_token: held.claim_token.0,
        }
    }
}

impl From<proto::Held> for HeldClaim {
    fn from(held: proto::Held) -> Self {
        HeldClaim {
            run_id: held.run_id.into(),
            agent_id: held.agent_id.into(),
            claim_token: Revision(held.claim_token),
        }
    }
}

impl From<&Checkpoint> for proto::Checkpoint {
    fn from(checkpoint: &Checkpoint) -> Self {
        proto::Checkpoint {
            run_id: text(&checkpoint.run_id),
            step: checkpoint.step,
            output: json(&checkpoint.output),
            agent_id: text_opt(&checkpoint.claimant.agent_id),
            claim_token: revision_opt(checkpoint.claimant.claim_token),
            ask: checkpoint.ask.as_ref().map(|ask| proto::Ask {
                question: text(&ask.question),
                options: ask.options.iter().map(text).collect(),
                expires_ms: ask.expires_ms,
            }),
        }
    }
}

impl From<proto::Checkpoint> for Checkpoint {
    fn from(checkpoint: proto::Checkpoint) -> Self {
        Checkpoint {
            run_id: checkpoint.run_id.into(),
            step: checkpoint.step,
            output: Json::new(checkpoint.output),
            claimant: claimant(checkpoint.agent_id, checkpoint.claim_token),
            ask: checkpoint.ask.map(|ask| Ask {
                question: ask.question.into(),
                options: ask.options.into_iter().map(Into::into).collect(),
                expires_ms: ask.expires_ms,
            }),
        }
    }
}

impl From<&Complete> for proto::Complete {
    fn from(complete: &Complete) -> Self {
        proto::Complete {
            run_id: text(&complete.run_id),
            result: json_opt(&complete.result),
            agent_id: text_opt(&complete.claimant.agent_id),
            claim_token: revision_opt(complete.claimant.claim_token),
            last_step: complete.last_step.as_ref().map(|LastStep { step, output }| {
                proto::LastStep { step: *step, output: json(output) }
            }),
            successors: complete.successors.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::Complete> for Complete {
    type Error = CodecError;

    fn try_from(complete: proto::Complete) -> Result<Self, CodecError> {
        Ok(Complete {
            run_id: complete.run_id.into(),
            result: to_json_opt(complete.result),
            claimant: claimant(complete.agent_id, complete.claim_token),
            last_step: complete.last_step.map(|proto::LastStep { step, output }| LastStep {
                step,
                output: Json::new(output),
            }),
            successors: all(complete.successors)?,
        })
    }
}

impl From<&Fail> for proto::Fail {
    fn from(fail: &Fail) -> Self {
        proto::Fail {
            run_id: text(&fail.run_id),
            error: text(&fail.error),
            retry: Some(fail.retry),
            retry_after_ms: fail.retry_after_ms,
            agent_id: text_opt(&fail.claimant.agent_id),
            claim_token: revision_opt(fail.claimant.claim_token),
        }
    }
}

impl From<proto::Fail> for Fail {
    fn from(fail: proto::Fail) -> Self {
        Fail {
            run_id: fail.run_id.into(),
            error: fail.error.into(),
            retry: fail.retry.unwrap_or(true),
            retry_after_ms: fail.retry_after_ms,
            claimant: claimant(fail.agent_id, fail.claim_token),
        }
    }
}

impl From<&Cancel> for proto::Cancel {
    fn from(cancel: &Cancel) -> Self {
        proto::Cancel {
            run_id: text(&cancel.run_id),
            reason: text_opt(&cancel.reason),
            agent_id: text_opt(&cancel.agent_id),
        }
    }
}

impl From<proto::Cancel> for Cancel {
    fn from(cancel: proto::Cancel) -> Self {
        Cancel {
            run_id: cancel.run_id.into(),
            reason: to_text_opt(cancel.reason),
            agent_id: to_text_opt(cancel.agent_id),
        }
    }
}

impl From<&Retry> for proto::Retry {
    fn from(retry: &Retry) -> Self {
        let runs = match &retry.runs {
            RetriedRuns::One(run_id) => RunsForm::RunId(text(run_id)),
            RetriedRuns::Many { name, tags: wanted, before } => RunsForm::Many(proto::RetryMany {
                name: text_opt(name),
                tags: tags(wanted),
                before: revision_opt(*before),
            }),
        };
        proto::Retry { runs: Some(runs), agent_id: text_opt(&retry.agent_id) }
    }
}

impl TryFrom<proto::Retry> for Retry {
    type Error = CodecError;

    fn try_from(retry: proto::Retry) -> Result<Self, CodecError> {
        let runs = match required("Retry", "runs", retry.runs)? {
            RunsForm::RunId(run_id) => RetriedRuns::One(run_id.into()),
            RunsForm::Many(many) => RetriedRuns::Many {
                name: to_text_opt(many.name),
                tags: to_tags("RetryMany", many.tags)?,
                before: to_revision_opt(many.before),
            },
        };
        Ok(Retry { runs, agent_id: to_text_opt(retry.agent_id) })
    }
}

impl From<&DeleteRun> for proto::DeleteRun {
    fn from(delete: &DeleteRun) -> Self {
        proto::DeleteRun { run_id: text(&delete.run_id), agent_id: text_opt(&delete.agent_id) }
    }
}

impl From<proto::DeleteRun> for DeleteRun {
    fn from(delete: proto::DeleteRun) -> Self {
        DeleteRun { run_id: delete.run_id.into(), agent_id: to_text_opt(delete.agent_id) }
    }
}

impl From<&Decide> for proto::Decide {
    fn from(decide: &Decide) -> Self {
        proto::Decide {
            run_id: text(&decide.run_id),
            answer: text(&decide.answer),
            comment: text_opt(&decide.comment),
            digest: text_opt(&decide.digest),
            agent_id: text_opt(&decide.agent_id),
        }
    }
}

impl From<proto::Decide> for Decide {
    fn from(decide: proto::Decide) -> Self {
        Decide {
            run_id: decide.run_id.into(),
            answer: decide.answer.into(),
            comment: to_text_opt(decide.comment),
            digest: to_text_opt(decide.digest),
            agent_id: to_text_opt(decide.agent_id),
        }
    }
}

fn claimant(agent_id: Option<String>, claim_token: Option<u64>) -> Claimant {
    Claimant { agent_id: to_text_opt(agent_id), claim_token: to_revision_opt(claim_token) }
}

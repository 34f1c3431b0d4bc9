//! The arguments of each command, and the names that come with one.

use super::bounds::{
    DEPENDENCIES_MAX, Limits, OPTIONS_MAX, SUCCESSORS_MAX, TEMPLATE_BYTES_MAX, TRANSACTION_MAX,
};
use super::error::Checked;
use super::value::*;
use crate::machine::Text;
use crate::machine::command::*;

impl Limits {
    /// Checks every argument of a command.
    pub fn check_command(&self, command: &Command) -> Checked {
        match command {
            Command::Set(set) => self.set(set),
            Command::Delete(delete) => {
                key("key", &delete.key)?;
                agent_and_fence(&delete.agent_id, &delete.fence)
            }
            Command::Transact(transact) => self.transact(transact),
            Command::Create(create) => self.create(create),
            Command::Claim(claim) => {
                identifier("run_id", &claim.run_id)?;
                identifier("agent_id", &claim.agent_id)?;
                ttl_ms("claim_ttl_ms", claim.claim_ttl_ms)
            }
            Command::ClaimNext(next) => {
                identifier("agent_id", &next.agent_id)?;
                claim_names(&next.names)?;
                next.limit.map_or(Ok(()), claim_limit)?;
                tags(&next.tags)?;
                ttl_ms("claim_ttl_ms", next.claim_ttl_ms)
            }
            Command::Heartbeat(held) | Command::Release(held) => {
                identifier("run_id", &held.run_id)?;
                identifier("agent_id", &held.agent_id)
            }
            Command::Checkpoint(checkpoint) => {
                identifier("run_id", &checkpoint.run_id)?;
                self.json("output", &checkpoint.output)?;
                checkpoint.ask.as_ref().map_or(Ok(()), ask)?;
                optional_identifier("agent_id", &checkpoint.claimant.agent_id)
            }
            Command::Complete(complete) => {
                identifier("run_id", &complete.run_id)?;
                self.optional_json("result", &complete.result)?;
                if let Some(LastStep { output, .. }) = &complete.last_step {
                    self.json("last_step.output", output)?;
                }
                count("successors", complete.successors.len(), SUCCESSORS_MAX)?;
                each("successors", &complete.successors, |successor| self.create(successor))?;
                optional_identifier("agent_id", &complete.claimant.agent_id)
            }
            Command::Fail(fail) => {
                identifier("run_id", &fail.run_id)?;
                note("error", &fail.error)?;
                delay_ms("retry_after_ms", fail.retry_after_ms.unwrap_or_default())?;
                optional_identifier("agent_id", &fail.claimant.agent_id)
            }
            Command::Cancel(cancel) => {
                identifier("run_id", &cancel.run_id)?;
                note("reason", cancel.reason.as_deref().unwrap_or_default())?;
                optional_identifier("agent_id", &cancel.agent_id)
            }
            Command::Retry(retry) => {
                match &retry.runs {
                    RetriedRuns::One(run_id) => identifier("run_id", run_id)?,
                    RetriedRuns::Many { name, tags: wanted, .. } => {
                        optional_identifier("name", name)?;
                        tags(wanted)?;
                    }
                }
                optional_identifier("agent_id", &retry.agent_id)
            }
            Command::Decide(decide) => {
                identifier("run_id", &decide.run_id)?;
                note("answer", &decide.answer)?;
                note("comment", decide.comment.as_deref().unwrap_or_default())?;
                optional_identifier("digest", &decide.digest)?;
                optional_identifier("agent_id", &decide.agent_id)
            }
            Command::DeleteRun(delete) => {
                identifier("run_id", &delete.run_id)?;
                optional_identifier("agent_id", &delete.agent_id)
            }
            Command::Acquire(acquire) => {
                lease(&acquire.resource_id, &acquire.holder_id)?;
                permits("permits", acquire.permits)?;
                ttl_ms("ttl_ms", acquire.ttl_ms)
            }
            Command::Renew(renew) => {
                lease(&renew.resource_id, &renew.holder_id)?;
                ttl_ms("ttl_ms", renew.ttl_ms)
            }
            Command::ReleaseLease(release) => lease(&release.resource_id, &release.holder_id),
            Command::SaveSession(save) => {
                identifier("session_id", &save.session_id)?;
                self.object("context", &save.context)?;
                optional_ttl_ms("ttl_ms", save.ttl_ms)?;
                agent_and_fence(&save.agent_id, &save.fence)
            }
            Command::DeleteSession(delete) => {
                identifier("session_id", &delete.session_id)?;
                optional_identifier("agent_id", &delete.agent_id)
            }
            Command::Pause(pause) => {
                identifier("name", &pause.name)?;
                optional_identifier("agent_id", &pause.agent_id)
            }
            Command::SetSchedule(set) => self.schedule(set),
            Command::DeleteSchedule(delete) => {
                identifier("name", &delete.name)?;
                optional_identifier("agent_id", &delete.agent_id)
            }
            Command::FireSchedule(_) | Command::Reset | Command::Sweep { .. } => Ok(()),
        }
    }

    fn set(&self, set: &Set) -> Checked {
        key("key", &set.key)?;
        self.json("value", &set.value)?;
        optional_ttl_ms("ttl_ms", set.ttl_ms)?;
        agent_and_fence(&set.agent_id, &set.fence)
    }

    fn transact(&self, transact: &Transact) -> Checked {
        each("compare", &transact.compare, |compare| self.compare(compare))?;
        each("then", &transact.then, |operation| self.operation(operation))?;
        each("otherwise", &transact.otherwise, |operation| self.operation(operation))?;
        agent_and_fence(&transact.agent_id, &transact.fence)
    }

    fn compare(&self, compare: &Compare) -> Checked {
        key("key", &compare.key)?;
        match &compare.condition {
            Condition::Value(value) => self.json("value", value),
            Condition::Revision(_) | Condition::Exists(_) => Ok(()),
        }
    }

    fn operation(&self, operation: &Operation) -> Checked {
        match operation {
            Operation::Set { key: name, value, ttl_ms } => {
                key("key", name)?;
                self.json("value", value)?;
                optional_ttl_ms("ttl_ms", *ttl_ms)
            }
            Operation::Delete { key: name } | Operation::Get { key: name } => key("key", name),
        }
    }

    fn schedule(&self, set: &SetSchedule) -> Checked {
        identifier("name", &set.name)?;
        timetable(&set.timetable)?;
        let input_bytes_max = self.value_bytes_max.min(TEMPLATE_BYTES_MAX);
        let template = Limits { value_bytes_max: input_bytes_max }.create(&set.template);
        template.map_err(|error| error.within("template"))?;
        // The runs of a later firing would depend on runs of long ago.
        count("template.depends_on", set.template.depends_on.len(), 0)?;
        optional_identifier("agent_id", &set.agent_id)
    }

    fn create(&self, create: &Create) -> Checked {
        identifier("name", &create.name)?;
        tags(&create.tags)?;
        self.optional_json("input", &create.input)?;
        delay_ms("delay_ms", create.delay_ms.unwrap_or_default())?;
        if create.max_attempts > 0 {
            attempts("max_attempts", create.max_attempts)?;
        }
        optional_ttl_ms("backoff_ms", create.backoff_ms)?;
        optional_ttl_ms("backoff_max_ms", create.backoff_max_ms)?;
        optional_ttl_ms("deadline_ms", create.deadline.map(|deadline| deadline.ms))?;
        optional_ttl_ms("start_within_ms", create.start_within_ms)?;
        delay_ms("keep_ms", create.keep_ms.unwrap_or_default())?;
        if let Some(Concurrency { key, limit }) = &create.concurrency {
            identifier("concurrency.key", key)?;
            attempts("concurrency.limit", *limit)?;
        }
        optional_identifier("fair_key", &create.fair_key)?;
        if let Some(UniqueRequest { key, held }) = &create.unique {
            identifier("unique.key", key)?;
            if let UniqueFor::Ms(ms) = held {
                ttl_ms("unique.ms", *ms)?;
            }
        }
        count("depends_on", create.depends_on.len(), DEPENDENCIES_MAX)?;
        create.depends_on.iter().try_for_each(|run_id| identifier("depends_on", run_id))?;
        optional_identifier("parent_run_id", &create.parent_run_id)
    }
}

fn ask(ask: &Ask) -> Checked {
    question("question", &ask.question)?;
    count("options", ask.options.len(), OPTIONS_MAX)?;
    ask.options.iter().try_for_each(|option| identifier("an option", option))?;
    optional_ttl_ms("expires_ms", ask.expires_ms)
}

/// Checks the names that may come with any command: who sends it, and under
/// which key it may be repeated.
pub fn check_names(agent_id: &Option<Text>, idempotency: &Option<Text>) -> Checked {
    optional_identifier("agent_id", agent_id)?;
    match idempotency {
        Some(key) => idempotency_key("idempotency_key", key),
        None => Ok(()),
    }
}

/// Checks a list of a transaction. An error names the element.
fn each<T>(path: &str, list: &[T], check: impl Fn(&T) -> Checked) -> Checked {
    count(path, list.len(), TRANSACTION_MAX)?;
    list.iter().enumerate().try_for_each(|(index, element)| {
        check(element).map_err(|error| error.within(&format!("{path}[{index}]")))
    })
}

fn agent_and_fence(agent_id: &Option<Text>, fence: &Option<Fence>) -> Checked {
    optional_identifier("agent_id", agent_id)?;
    match fence {
        Some(fence) => identifier("fence.resource_id", &fence.resource_id),
        None => Ok(()),
    }
}

fn lease(resource_id: &str, holder_id: &str) -> Checked {
    identifier("resource_id", resource_id)?;
    identifier("holder_id", holder_id)
}

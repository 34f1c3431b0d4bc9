//! What events and refusals say about rows: small JSON objects whose members have
//! a fixed order, and the sentences of the Python reference. The chain hashes this
//! text, so a change of it would make replicas disagree.

use super::command::FireSchedule;
use super::row::{
    ApprovalRow, Concurrency, Constraints, LeaseHolder, LeaseRow, OnDependencyFailure, RunEnd,
    RunRow, ScheduleRow,
};
use super::timetable::Timetable;
use super::value::{ClusterMs, Json, Revision, Text};

/// A JSON object under construction; members appear in the order given.
pub struct ObjectText(String);

impl ObjectText {
    pub fn new() -> Self {
        ObjectText(String::from("{"))
    }

    pub fn text(self, name: &str, value: &str) -> Self {
        self.raw(name, &quote(value))
    }

    pub fn number(self, name: &str, value: impl Into<i128>) -> Self {
        let value: i128 = value.into();
        self.raw(name, &value.to_string())
    }

    pub fn time(self, name: &str, at: ClusterMs) -> Self {
        self.raw(name, &seconds(at))
    }

    pub fn json(self, name: &str, value: &Json) -> Self {
        self.raw(name, value.as_str())
    }

    pub fn texts(self, name: &str, values: &[Text]) -> Self {
        let values: Vec<_> = values.iter().map(|value| quote(value)).collect();
        self.raw(name, &format!("[{}]", values.join(",")))
    }

    /// Adds a member where there is a value for it.
    pub fn maybe<T>(self, value: Option<T>, member: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => member(self, value),
            None => self,
        }
    }

    pub fn end(mut self) -> Json {
        self.0.push('}');
        Json::new(self.0)
    }

    fn raw(mut self, name: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quote(name));
        self.0.push(':');
        self.0.push_str(value);
        self
    }
}

/// A new run, with everything that its creator gave.
pub fn created_run(run: &RunRow) -> Json {
    let tags =
        run.tags.iter().fold(ObjectText::new(), |tags, (name, value)| tags.text(name, value));
    ObjectText::new()
        .text("status", run.status.as_str())
        .text("name", &run.name)
        .json("tags", &tags.end())
        .maybe(run.input.as_ref(), |object, input| object.json("input", input))
        .number("priority", run.priority)
        .maybe(run.ready_at, |object, at| object.time("ready_at", at))
        .number("max_attempts", run.max_attempts)
        .maybe(run.parent_run_id.as_ref(), |object, id| object.text("parent_run_id", id))
        .maybe(run.concurrency(), |object, it| {
            object.text(CONCURRENCY_KEY, &it.key).number("concurrency_limit", it.limit)
        })
        .maybe(run.fair_key(), |object, key| object.text("fair_key", key))
        .maybe(run.unique_hold(), |object, (key, _)| object.text("unique_key", key))
        .maybe(run.constraints.as_deref().filter(|it| !it.depends_on.is_empty()), depends_on)
        .end()
}

/// The member that events about runs with a concurrency key have.
const CONCURRENCY_KEY: &str = "concurrency_key";

/// Whether an event that says this of a run may be about one with a concurrency key. If
/// an error of an agent looks alike, it may not.
pub fn has_concurrency_key(run: &Json) -> bool {
    run.as_str().contains(&format!("\"{CONCURRENCY_KEY}\":"))
}

fn depends_on(object: ObjectText, constraints: &Constraints) -> ObjectText {
    let policy = match constraints.on_dependency_failure {
        OnDependencyFailure::Fail => "fail",
        OnDependencyFailure::Cancel => "cancel",
        OnDependencyFailure::Continue => "continue",
    };
    object.texts("depends_on", &constraints.depends_on).text("on_dependency_failure", policy)
}

/// The state of a run.
pub fn run(run: &RunRow) -> Json {
    let deadline = run.claim.as_ref().filter(|_| !run.is_over()).map(|claim| claim.expires_at);
    ObjectText::new()
        .text("status", run.status.as_str())
        .maybe(run.agent_id.as_ref(), |object, id| object.text("agent_id", id))
        .maybe(run.claim.as_ref(), |object, claim| object.number("claim_token", claim.token.0))
        .maybe(deadline, |object, at| object.time("claim_expires_at", at))
        .maybe(run.ready_at, |object, at| object.time("ready_at", at))
        .maybe(run.result.as_ref(), |object, result| object.json("result", result))
        .maybe(run.error.as_ref(), |object, error| object.text("error", error))
        .maybe(run.concurrency(), |object, it| object.text(CONCURRENCY_KEY, &it.key))
        .maybe(run.approval.as_deref(), |object, it| object.json("approval", &approval(run, it)))
        .end()
}

/// What a run asks, or what was decided.
fn approval(run: &RunRow, approval: &ApprovalRow) -> Json {
    let object = ObjectText::new().text("digest", &approval.digest(&run.run_id));
    let Some(decided) = &approval.decision else {
        let options = approval.options.iter().map(|option| quote(option)).collect::<Vec<_>>();
        return object
            .text("question", &approval.question)
            .json("options", &Json::new(format!("[{}]", options.join(","))))
            .maybe(approval.expires_at, |object, at| object.time("expires_at", at))
            .end();
    };
    object
        .text("decision", if decided.answer.is_some() { "answered" } else { "expired" })
        .maybe(decided.answer.as_ref(), |object, answer| object.text("answer", answer))
        .maybe(decided.by.as_ref(), |object, by| object.text("decided_by", by))
        .maybe(decided.comment.as_ref(), |object, comment| object.text("comment", comment))
        .end()
}

/// A step and its output. States of the Python reference have steps below zero.
pub fn step(step: impl Into<i128>, output: &Json) -> Json {
    ObjectText::new().number("step", step).json("output", output).end()
}

/// Who holds a lease, until when, and with how many others.
pub fn lease(holder: &LeaseHolder) -> Json {
    let permits = Some(holder.permits).filter(|permits| *permits > 0);
    ObjectText::new()
        .text("holder", &holder.holder_id)
        .number("fencing_token", holder.token.0)
        .time("expires_at", holder.expires_at)
        .maybe(permits, |object, permits| object.number("permits", permits))
        .end()
}

/// Why this holder cannot renew a lease, which is now held like this.
pub fn not_renewed(lease: Option<&LeaseRow>, holder_id: &str) -> Text {
    let holder = lease.and_then(|lease| lease.holder(holder_id).or(lease.holders.first()));
    match holder {
        None => "Nobody holds it; it was released or has expired".into(),
        Some(LeaseHolder { holder_id, token, expires_at, .. }) => {
            let until = seconds(*expires_at);
            format!("Held by '{holder_id}' with fencing_token {token} until {until}").into()
        }
    }
}

/// A schedule, and the run that it creates.
pub fn schedule(row: &ScheduleRow) -> Json {
    let object = match &row.timetable {
        Timetable::Cron { expression, time_zone } => {
            ObjectText::new().text("cron", expression).text("timezone", time_zone)
        }
        Timetable::Every { ms } => ObjectText::new().time("every_seconds", ClusterMs(*ms)),
    };
    object
        .text("overlap", row.overlap.as_str())
        .text("workflow", &row.template.name)
        .maybe(row.template.input.as_ref(), |object, input| object.json("input", input))
        .maybe(row.next_at, |object, at| object.time("next_at", ClusterMs(at.0)))
        .end()
}

/// What a firing has come to; `after` is the schedule after it.
pub fn firing(
    command: &FireSchedule,
    run_id: Option<&str>,
    is_skipped: bool,
    after: &ScheduleRow,
) -> Json {
    let skipped = is_skipped.then(|| Json::new("true"));
    ObjectText::new()
        .time("due_at", ClusterMs(command.due_at.0))
        .maybe(run_id, |object, run_id| object.text("run_id", run_id))
        .maybe(skipped, |object, skipped| object.json("skipped", &skipped))
        .number("missed", command.missed)
        .maybe(after.last_error.as_ref(), |object, error| object.text("error", error))
        .maybe(after.next_at, |object, at| object.time("next_at", ClusterMs(at.0)))
        .end()
}

/// A name that is paused.
pub fn pause() -> Json {
    Json::new(r#"{"paused":true}"#)
}

/// The number of rows that a reset removed.
pub fn reset(cleared: u64) -> Json {
    ObjectText::new().number("cleared", cleared).end()
}

/// Why a run cannot be claimed or changed, in the words of the reference.
pub fn taken(run: &RunRow) -> Text {
    if !run.blocked_by().is_empty() {
        return blocked(run);
    }
    let agent = run.agent_id.as_deref().unwrap_or("None");
    format!("Workflow is in status '{}' (agent: {agent})", run.status).into()
}

/// Why a run cannot be claimed while so many others of its key are.
pub fn no_room(concurrency: &Concurrency, claimed: u64) -> Text {
    let Concurrency { key, limit } = concurrency;
    format!("concurrency key '{key}' has {claimed} of {limit} runs claimed").into()
}

/// Why nobody can claim or change a blocked run: what blocks it.
pub fn blocked(run: &RunRow) -> Text {
    let (first, others) =
        run.blocked_by().split_first().map_or(("", 0), |(first, others)| (&**first, others.len()));
    let others = if others == 0 { String::new() } else { format!(" and {others} more") };
    format!("Workflow is in status 'blocked' (by '{first}'{others})").into()
}

/// Why a run ends with one that it depends on.
pub fn dependency_failed(prerequisite: &RunRow) -> Text {
    let RunRow { run_id, status, .. } = prerequisite;
    format!("workflow '{run_id}', which this one depends on, is in status '{status}'").into()
}

/// Why a run has ended although nobody ended it.
pub fn end(run: &RunRow, end: RunEnd) -> Text {
    match end {
        RunEnd::Deadline => "the deadline of the run has passed".into(),
        RunEnd::NeverClaimed => "nobody claimed the run in time".into(),
        RunEnd::Lapse => lapse(run),
    }
}

/// That a claim has lapsed and the attempt has therefore failed.
pub fn lapse(run: &RunRow) -> Text {
    let agent = run.agent_id.as_deref().unwrap_or("None");
    let (attempt, most) = (run.attempts, run.retry.most_lapses());
    format!("the claim of '{agent}' lapsed in attempt {attempt} of {most}").into()
}

/// That a run was given up once and the caller does not say whether it is the one
/// who works on it now.
pub fn unnamed(run: &RunRow) -> Text {
    let reason = taken(run);
    format!("{reason}; it was claimed before, so name agent_id or claim_token").into()
}

/// That a run is not the agent's, because nobody has a claim on it.
pub fn unclaimed(run: &RunRow, agent_id: &str) -> Text {
    format!("Workflow is in status '{}' and not claimed by '{agent_id}'", run.status).into()
}

/// That a run waits for no decision.
pub fn not_asking(run: &RunRow) -> Text {
    format!("{}; it waits for no decision", taken(run)).into()
}

/// That a run cannot be removed yet.
pub fn not_over(run: &RunRow) -> Text {
    format!("{}; only runs that are over can be removed", taken(run)).into()
}

/// That a run does not exist, in the words of the reference.
pub fn no_such_run(run_id: &str) -> Text {
    format!("Workflow '{run_id}' not found").into()
}

/// That a condition on a key's revision does not hold.
pub fn wrong_revision(present: Revision, wanted: Revision) -> Text {
    format!("if_revision: the key is at revision {present}, not {wanted}").into()
}

/// A time as Unix seconds with three decimals.
pub fn seconds(at: ClusterMs) -> String {
    format!("{}.{:03}", at.0 / 1000, at.0 % 1000)
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_text_is_escaped() {
        let object = ObjectText::new()
            .text("b", "a \"quote\"\n")
            .number("a", u64::MAX)
            .number("c", i64::MIN)
            .time("t", ClusterMs(1_795_356_416_083))
            .maybe(None::<u64>, |object, n| object.number("absent", n))
            .json("j", &Json::new("[1, 2]"))
            .end();
        assert_eq!(
            object.as_str(),
            r#"{"b":"a \"quote\"\n","a":18446744073709551615,"c":-9223372036854775808,"t":1795356416.083,"j":[1, 2]}"#
        );
    }
}

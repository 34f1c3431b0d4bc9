//! What a request may be: the limits of the tools, for the messages of
//! `proto/state.proto`. Messages name the field, what it got and what it takes.

use std::collections::BTreeMap;

use crate::access::Caller;
use crate::limits::{self, Limits};
use crate::machine::command::*;
use crate::machine::query::PAGE_MAX;
use crate::machine::view::{ChangeFilter, Page, Scan};
use crate::machine::{Json, Question, Text};
use crate::proto::state as proto;
use crate::service::ServiceError;

type Checked = Result<(), ServiceError>;

/// What one answer may hold: below the 4 MB that gRPC clients take where nothing
/// else is set, with room for one largest row.
pub(super) const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A command as it may be carried out, with defaults filled in.
pub(super) fn command(
    form: Option<proto::Command>,
    limits: &Limits,
) -> Result<Command, ServiceError> {
    let form = form.ok_or_else(|| ServiceError::invalid("command is required"))?;
    let mut command = Command::try_from(form).map_err(unreadable)?;
    fill_in(&mut command);
    check_command(&command, limits)?;
    Ok(command)
}

/// A question as it may be asked, its limit cut to a page's.
pub(super) fn question(form: Option<proto::Question>) -> Result<Question, ServiceError> {
    let form = form.ok_or_else(|| ServiceError::invalid("question is required"))?;
    let mut question = Question::try_from(form).map_err(unreadable)?;
    check_question(&question)?;
    match &mut question {
        Question::Keys { page, .. }
        | Question::Runs { page, .. }
        | Question::Resume { page, .. }
        | Question::Leases { page, .. }
        | Question::Sessions { page, .. }
        | Question::History { page, .. }
        | Question::Changes { page, .. } => {
            let rows = if page.rows == 0 { PAGE_MAX } else { PAGE_MAX.min(page.rows) };
            *page = Page { rows, bytes: page.bytes.min(PAGE_BYTES_MAX) };
        }
        Question::Key { .. }
        | Question::Run { .. }
        | Question::Candidate { .. }
        | Question::Lease { .. }
        | Question::Session { .. }
        | Question::Request { .. }
        | Question::Counts => {}
    }
    Ok(question)
}

/// Which keys are watched.
pub(super) fn filter(form: Option<proto::ChangeFilter>) -> Result<ChangeFilter, ServiceError> {
    let form = form.ok_or_else(|| ServiceError::invalid("filter is required"))?;
    let filter = ChangeFilter::try_from(form).map_err(unreadable)?;
    check_filter(&filter)?;
    Ok(filter)
}

/// Whether this caller may do this at all.
pub(super) fn may(caller: &Caller, command: &Command) -> Checked {
    if matches!(command, Command::Sweep { .. }) {
        return Err(ServiceError::forbidden("sweep is proposed by the nodes themselves"));
    }
    match matches!(command, Command::Reset) {
        true => administers(caller, "reset"),
        false => Ok(()),
    }
}

/// Whether this caller may take everything away.
pub(super) fn may_export(caller: &Caller) -> Checked {
    administers(caller, "export")
}

/// Whether this caller may change the cluster.
pub(super) fn may_change_members(caller: &Caller) -> Checked {
    administers(caller, "changing the cluster")
}

fn administers(caller: &Caller, what: &str) -> Checked {
    match caller.admin {
        true => Ok(()),
        false => Err(ServiceError::forbidden(format!(
            "{what} needs the right to administer: the administrator's token, or a call from the \
             server's own machine where no token is configured"
        ))),
    }
}

fn unreadable(error: crate::codec::CodecError) -> ServiceError {
    ServiceError::invalid(error.to_string())
}

fn fill_in(command: &mut Command) {
    if let Command::Claim(Claim { claim_ttl_ms, .. })
    | Command::ClaimNext(ClaimNext { claim_ttl_ms, .. }) = command
        && *claim_ttl_ms == 0
    {
        *claim_ttl_ms = CLAIM_TTL_MS_DEFAULT;
    }
    if let Command::Create(Create { max_attempts, .. }) = command
        && *max_attempts == 0
    {
        *max_attempts = 1;
    }
}

fn check_command(command: &Command, limits: &Limits) -> Checked {
    match command {
        Command::Set(set) => {
            limits::check_key("key", &set.key)?;
            limits.check_json("value", set.value.as_str())?;
            ttl("ttl_ms", set.ttl_ms)?;
            named(&set.agent_id, &set.fence)
        }
        Command::Delete(delete) => {
            limits::check_key("key", &delete.key)?;
            named(&delete.agent_id, &delete.fence)
        }
        Command::Transact(transact) => check_transact(transact, limits),
        Command::Create(create) => check_create(create, limits),
        Command::Claim(claim) => {
            limits::check_identifier("run_id", &claim.run_id)?;
            limits::check_identifier("agent_id", &claim.agent_id)?;
            limits::check_ms("claim_ttl_ms", claim.claim_ttl_ms, 1)
        }
        Command::ClaimNext(next) => {
            limits::check_identifier("agent_id", &next.agent_id)?;
            optional("name", &next.name)?;
            tags(&next.tags)?;
            limits::check_ms("claim_ttl_ms", next.claim_ttl_ms, 1)
        }
        Command::Heartbeat(held) | Command::Release(held) => {
            limits::check_identifier("run_id", &held.run_id)?;
            limits::check_identifier("agent_id", &held.agent_id)
        }
        Command::Checkpoint(checkpoint) => {
            limits::check_identifier("run_id", &checkpoint.run_id)?;
            limits.check_json("output", checkpoint.output.as_str())?;
            optional("agent_id", &checkpoint.claimant.agent_id)
        }
        Command::Complete(complete) => {
            limits::check_identifier("run_id", &complete.run_id)?;
            json_if("result", &complete.result, limits)?;
            optional("agent_id", &complete.claimant.agent_id)
        }
        Command::Fail(fail) => {
            limits::check_identifier("run_id", &fail.run_id)?;
            limits::check_note("error", &fail.error)?;
            optional("agent_id", &fail.claimant.agent_id)
        }
        Command::Cancel(cancel) => {
            limits::check_identifier("run_id", &cancel.run_id)?;
            limits::check_note("reason", cancel.reason.as_deref().unwrap_or_default())?;
            optional("agent_id", &cancel.agent_id)
        }
        Command::Acquire(acquire) => {
            lease(&acquire.resource_id, &acquire.holder_id)?;
            limits::check_ms("ttl_ms", acquire.ttl_ms, 1)
        }
        Command::Renew(renew) => {
            lease(&renew.resource_id, &renew.holder_id)?;
            limits::check_ms("ttl_ms", renew.ttl_ms, 1)
        }
        Command::ReleaseLease(release) => lease(&release.resource_id, &release.holder_id),
        Command::SaveSession(save) => {
            limits::check_identifier("session_id", &save.session_id)?;
            object("context", &save.context, limits)?;
            named(&save.agent_id, &save.fence)
        }
        Command::DeleteSession(delete) => {
            limits::check_identifier("session_id", &delete.session_id)?;
            optional("agent_id", &delete.agent_id)
        }
        Command::Reset | Command::Sweep { .. } => Ok(()),
    }
}

fn check_transact(transact: &Transact, limits: &Limits) -> Checked {
    limits::count("compare", transact.compare.len(), limits::TRANSACTION_MAX)?;
    limits::count("then", transact.then.len(), limits::TRANSACTION_MAX)?;
    limits::count("otherwise", transact.otherwise.len(), limits::TRANSACTION_MAX)?;
    let compare = |compare: &Compare| {
        limits::check_key("key", &compare.key)?;
        match &compare.condition {
            Condition::Value(value) => limits.check_json("value", value.as_str()),
            Condition::Revision(_) | Condition::Exists(_) => Ok(()),
        }
    };
    let operation = |operation: &Operation| match operation {
        Operation::Set { key, value, ttl_ms } => {
            limits::check_key("key", key)?;
            limits.check_json("value", value.as_str())?;
            ttl("ttl_ms", *ttl_ms)
        }
        Operation::Delete { key } | Operation::Get { key } => limits::check_key("key", key),
    };
    each("compare", &transact.compare, compare)?;
    each("then", &transact.then, operation)?;
    each("otherwise", &transact.otherwise, operation)?;
    named(&transact.agent_id, &transact.fence)
}

fn check_create(create: &Create, limits: &Limits) -> Checked {
    limits::check_identifier("name", &create.name)?;
    tags(&create.tags)?;
    json_if("input", &create.input, limits)?;
    limits::check_ms("delay_ms", create.delay_ms.unwrap_or_default(), 0)?;
    limits::attempts("max_attempts", create.max_attempts.into())?;
    optional("parent_run_id", &create.parent_run_id)
}

fn check_question(question: &Question) -> Checked {
    match question {
        Question::Key { key } => limits::check_key("key", key),
        Question::Keys { scan, .. }
        | Question::Leases { scan, .. }
        | Question::Sessions { scan, .. } => check_scan(scan),
        Question::Runs { filter, .. } => tags(&filter.tags),
        Question::Run { run_id } | Question::Resume { run_id, .. } => {
            limits::check_identifier("run_id", run_id)
        }
        Question::Lease { resource_id } => limits::check_identifier("resource_id", resource_id),
        Question::Candidate { .. } | Question::Request { .. } => {
            Err(ServiceError::invalid("question must be one that is a program's to ask"))
        }
        Question::Session { session_id } => limits::check_identifier("session_id", session_id),
        Question::Counts => Ok(()),
        Question::History { filter, .. } => {
            limits::check_note("subject", filter.subject.as_deref().unwrap_or_default())?;
            optional("actor", &filter.actor)
        }
        Question::Changes { filter, .. } => check_filter(filter),
    }
}

fn check_scan(scan: &Scan) -> Checked {
    limits::check_key("prefix", &scan.prefix)?;
    limits::check_key("after", scan.after.as_deref().unwrap_or_default())
}

fn check_filter(filter: &ChangeFilter) -> Checked {
    match filter {
        ChangeFilter::Key(key) => limits::check_key("key", key),
        ChangeFilter::Prefix(prefix) => limits::check_key("prefix", prefix),
        ChangeFilter::Grants => Err(ServiceError::invalid("filter must be a key or a prefix")),
    }
}

/// Where an element is wrong, says which.
fn each<T>(name: &str, list: &[T], check: impl Fn(&T) -> Checked) -> Checked {
    list.iter().enumerate().try_for_each(|(at, element)| {
        check(element)
            .map_err(|error| ServiceError::new(error.code, format!("{name}[{at}].{error}")))
    })
}

fn named(agent_id: &Option<Text>, fence: &Option<Fence>) -> Checked {
    optional("agent_id", agent_id)?;
    match fence {
        Some(fence) => limits::check_identifier("fence.resource_id", &fence.resource_id),
        None => Ok(()),
    }
}

fn lease(resource_id: &str, holder_id: &str) -> Checked {
    limits::check_identifier("resource_id", resource_id)?;
    limits::check_identifier("holder_id", holder_id)
}

fn optional(name: &str, text: &Option<Text>) -> Checked {
    text.as_deref().map_or(Ok(()), |text| limits::check_identifier(name, text))
}

fn ttl(name: &str, ms: Option<u64>) -> Checked {
    ms.map_or(Ok(()), |ms| limits::check_ms(name, ms, 1))
}

fn json_if(name: &str, json: &Option<Json>, limits: &Limits) -> Checked {
    json.as_ref().map_or(Ok(()), |json| limits.check_json(name, json.as_str()))
}

fn object(name: &str, json: &Json, limits: &Limits) -> Checked {
    limits.check_json(name, json.as_str())?;
    if json.as_str().trim_start().starts_with('{') {
        return Ok(());
    }
    Err(ServiceError::invalid(format!("{name} must be a JSON object")))
}

fn tags(tags: &BTreeMap<Text, Text>) -> Checked {
    limits::count("tags", tags.len(), limits::TAGS_MAX)?;
    tags.iter().try_for_each(|(name, value)| {
        limits::check_key("a tag's name", name)?;
        limits::check_key("a tag's value", value)
    })
}

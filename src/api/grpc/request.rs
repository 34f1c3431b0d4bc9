//! Requests: converting them to the machine's types, with defaults filled in.
//! The service checks the arguments; here only what cannot be converted is
//! refused, and what is not a client's to ask.

use std::time::Duration;

use crate::codec::CodecError;
use crate::machine::command::{CLAIM_TTL_MS_DEFAULT, Claim, ClaimNext, Command};
use crate::machine::filter::ChangeFilter;
use crate::machine::query::{PAGE_MAX, Question};
use crate::proto::sidecar::Consistency as ConsistencyForm;
use crate::proto::state as proto;
use crate::service::ServiceError;
use crate::store::Consistency;

/// How much one answer may hold: less than the 4 MB that gRPC clients accept by
/// default, with room for one row of the largest size.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The longest time that a caller may give a call, since the client may be gone
/// long before.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// How long a call may take if the caller does not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// A command, with defaults for the fields that proto3 cannot tell from zero.
pub(super) fn command(form: Option<proto::Command>) -> Result<Command, ServiceError> {
    let form = form.ok_or_else(|| ServiceError::invalid("command is required"))?;
    let mut command = Command::try_from(form).map_err(unreadable)?;
    if let Command::Claim(Claim { claim_ttl_ms, .. })
    | Command::ClaimNext(ClaimNext { claim_ttl_ms, .. }) = &mut command
        && *claim_ttl_ms == 0
    {
        *claim_ttl_ms = CLAIM_TTL_MS_DEFAULT;
    }
    Ok(command)
}

/// A question. A page of zero rows stands for the longest one.
pub(super) fn question(form: Option<proto::Question>) -> Result<Question, ServiceError> {
    let form = form.ok_or_else(|| ServiceError::invalid("question is required"))?;
    let mut question = Question::try_from(form).map_err(unreadable)?;
    if let Question::Changes { filter, .. } = &question {
        refuse_grants(filter)?;
    }
    if matches!(question, Question::Candidate { .. } | Question::Request { .. }) {
        return Err(ServiceError::invalid("question must be one that a program may ask"));
    }
    if let Some(page) = question.page_mut() {
        page.rows = if page.rows == 0 { PAGE_MAX } else { page.rows };
        page.bytes = page.bytes.min(ANSWER_BYTES_MAX);
    }
    Ok(question)
}

/// Which keys are watched.
pub(super) fn filter(form: Option<proto::ChangeFilter>) -> Result<ChangeFilter, ServiceError> {
    let form = form.ok_or_else(|| ServiceError::invalid("filter is required"))?;
    let filter = ChangeFilter::try_from(form).map_err(unreadable)?;
    refuse_grants(&filter)?;
    Ok(filter)
}

/// Grants are what nodes watch for those who wait.
fn refuse_grants(filter: &ChangeFilter) -> Result<(), ServiceError> {
    match filter {
        ChangeFilter::Key(_) | ChangeFilter::Prefix(_) => Ok(()),
        ChangeFilter::Grants => Err(ServiceError::invalid("filter must be a key or a prefix")),
    }
}

/// How fresh the answer must be.
pub(super) fn consistency(form: i32) -> Result<Consistency, ServiceError> {
    match ConsistencyForm::try_from(form) {
        Ok(ConsistencyForm::Linearizable) => Ok(Consistency::Linearizable),
        Ok(ConsistencyForm::Local) => Ok(Consistency::Local),
        Err(_) => Err(ServiceError::invalid(format!("consistency must be 0 or 1, got {form}"))),
    }
}

/// How long the call may take.
pub(super) fn timeout(ms: Option<u32>) -> Result<Duration, ServiceError> {
    match ms {
        None => Ok(TIMEOUT_DEFAULT),
        Some(0) => Err(ServiceError::invalid("timeout_ms must be >= 1, got 0")),
        Some(ms) => Ok(Duration::from_millis(ms.into()).min(TIMEOUT_MAX)),
    }
}

/// How long the call may wait for what it asks for, if it is to wait at all.
pub(super) fn wait(ms: Option<u32>) -> Option<Duration> {
    ms.filter(|ms| *ms > 0).map(|ms| Duration::from_millis(ms.into()))
}

fn unreadable(error: CodecError) -> ServiceError {
    ServiceError::invalid(error.to_string())
}

//! One question.

use super::{call_name, request};
use crate::api::observed::observed;
use crate::proto::sidecar as proto;
use crate::service::{Service, ServiceError};
use crate::store::Consistency;

/// Answers the question of a request.
pub(super) async fn ask(
    service: &Service,
    request: proto::AskRequest,
) -> Result<proto::AskReply, ServiceError> {
    let tool = call_name::of_question(request.question.as_ref());
    observed(tool, answer(service, request)).await
}

async fn answer(
    service: &Service,
    request: proto::AskRequest,
) -> Result<proto::AskReply, ServiceError> {
    let question = request::question(request.question)?;
    let consistency = request::consistency(request.consistency)?;
    let timeout = request::timeout(request.timeout_ms)?;
    let answered = service.ask_within(question, consistency, timeout).await?;
    let age = answered.age.filter(|_| consistency == Consistency::Local);
    Ok(proto::AskReply {
        answer: Some((&answered.answer).into()),
        revision: answered.revision.0,
        age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
    })
}

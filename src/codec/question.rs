//! Questions, to and from `proto/state.proto`.

use super::CodecError;
use super::event::{action, to_action};
use super::row::{status, to_status};
use super::value::*;
use crate::machine::Revision;
use crate::machine::query::Question;
use crate::machine::view::{ChangeFilter, HistoryFilter, RunFilter, Scan};
use crate::proto::state as proto;
use proto::change_filter::Filter as FilterForm;
use proto::question::Question as Form;

impl From<&Question> for proto::Question {
    fn from(question: &Question) -> Self {
        let form = match question {
            Question::Key { key } => Form::Key(proto::KeyQuestion { key: text(key) }),
            Question::Keys { scan, limit } => Form::Keys(scan_question(scan, *limit)),
            Question::Runs { filter, before, limit } => Form::Runs(proto::RunsQuestion {
                tags: tags(&filter.tags),
                status: filter.status.map(|of| status(of).into()),
                claimable: filter.claimable,
                before: revision_opt(*before),
                limit: *limit as u64,
            }),
            Question::Run { run_id } => Form::Run(proto::RunQuestion { run_id: text(run_id) }),
            Question::Resume { run_id } => {
                Form::Resume(proto::RunQuestion { run_id: text(run_id) })
            }
            Question::Leases { scan, limit } => Form::Leases(scan_question(scan, *limit)),
            Question::Session { session_id } => {
                Form::Session(proto::SessionQuestion { session_id: text(session_id) })
            }
            Question::Sessions { scan, limit } => Form::Sessions(scan_question(scan, *limit)),
            Question::Counts => Form::Counts(proto::CountsQuestion {}),
            Question::History { filter, before, limit } => Form::History(proto::HistoryQuestion {
                subject: text_opt(&filter.subject),
                action: filter.action.map(|of| action(of).into()),
                actor: text_opt(&filter.actor),
                before: revision_opt(*before),
                limit: *limit as u64,
            }),
            Question::Changes { filter, after, limit } => Form::Changes(proto::ChangesQuestion {
                filter: Some(filter.into()),
                after: after.0,
                limit: *limit as u64,
            }),
        };
        proto::Question { question: Some(form) }
    }
}

impl TryFrom<proto::Question> for Question {
    type Error = CodecError;

    fn try_from(question: proto::Question) -> Result<Self, CodecError> {
        Ok(match required("Question", "question", question.question)? {
            Form::Key(proto::KeyQuestion { key }) => Question::Key { key: key.into() },
            Form::Keys(question) => {
                let (scan, limit) = to_scan(question)?;
                Question::Keys { scan, limit }
            }
            Form::Runs(question) => to_runs(question)?,
            Form::Run(proto::RunQuestion { run_id }) => Question::Run { run_id: run_id.into() },
            Form::Resume(proto::RunQuestion { run_id }) => {
                Question::Resume { run_id: run_id.into() }
            }
            Form::Leases(question) => {
                let (scan, limit) = to_scan(question)?;
                Question::Leases { scan, limit }
            }
            Form::Session(proto::SessionQuestion { session_id }) => {
                Question::Session { session_id: session_id.into() }
            }
            Form::Sessions(question) => {
                let (scan, limit) = to_scan(question)?;
                Question::Sessions { scan, limit }
            }
            Form::Counts(proto::CountsQuestion {}) => Question::Counts,
            Form::History(question) => to_history(question)?,
            Form::Changes(question) => Question::Changes {
                filter: required("ChangesQuestion", "filter", question.filter)?.try_into()?,
                after: Revision(question.after),
                limit: to_limit("ChangesQuestion", question.limit)?,
            },
        })
    }
}

impl From<&ChangeFilter> for proto::ChangeFilter {
    fn from(filter: &ChangeFilter) -> Self {
        let form = match filter {
            ChangeFilter::Key(key) => FilterForm::Key(text(key)),
            ChangeFilter::Prefix(prefix) => FilterForm::Prefix(text(prefix)),
        };
        proto::ChangeFilter { filter: Some(form) }
    }
}

impl TryFrom<proto::ChangeFilter> for ChangeFilter {
    type Error = CodecError;

    fn try_from(filter: proto::ChangeFilter) -> Result<Self, CodecError> {
        Ok(match required("ChangeFilter", "filter", filter.filter)? {
            FilterForm::Key(key) => ChangeFilter::Key(key.into()),
            FilterForm::Prefix(prefix) => ChangeFilter::Prefix(prefix.into()),
        })
    }
}

fn scan_question(scan: &Scan, limit: usize) -> proto::ScanQuestion {
    proto::ScanQuestion {
        prefix: text(&scan.prefix),
        after: text_opt(&scan.after),
        limit: limit as u64,
    }
}

fn to_scan(question: proto::ScanQuestion) -> Result<(Scan, usize), CodecError> {
    let limit = to_limit("ScanQuestion", question.limit)?;
    Ok((Scan { prefix: question.prefix.into(), after: to_text_opt(question.after) }, limit))
}

fn to_runs(question: proto::RunsQuestion) -> Result<Question, CodecError> {
    let filter = RunFilter {
        tags: to_tags("RunsQuestion", question.tags)?,
        status: question.status.map(|of| to_status("RunsQuestion", of)).transpose()?,
        claimable: question.claimable,
    };
    let limit = to_limit("RunsQuestion", question.limit)?;
    Ok(Question::Runs { filter, before: to_revision_opt(question.before), limit })
}

fn to_history(question: proto::HistoryQuestion) -> Result<Question, CodecError> {
    let filter = HistoryFilter {
        subject: to_text_opt(question.subject),
        action: question.action.map(|of| to_action("HistoryQuestion", of)).transpose()?,
        actor: to_text_opt(question.actor),
    };
    let limit = to_limit("HistoryQuestion", question.limit)?;
    Ok(Question::History { filter, before: to_revision_opt(question.before), limit })
}

fn to_limit(message: &'static str, limit: u64) -> Result<usize, CodecError> {
    let range = |_| CodecError::Range { message, field: "limit", found: limit };
    usize::try_from(limit).map_err(range)
}

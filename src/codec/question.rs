//! Questions, to and from `proto/state.proto`.

use super::error::CodecError;
use super::event::{action, to_action};
use super::row::{status, to_status};
use super::value::*;
use crate::machine::Revision;
use crate::machine::filter::{ChangeFilter, ClaimFilter, HistoryFilter, RunFilter};
use crate::machine::page::{Page, Scan};
use crate::machine::query::{PAGE_MAX, Question};
use crate::proto::state as proto;
use proto::change_filter::Filter as FilterForm;
use proto::question::Question as Form;

impl From<&Question> for proto::Question {
    fn from(question: &Question) -> Self {
        let form = match question {
            Question::Key { key } => Form::Key(proto::KeyQuestion { key: text(key) }),
            Question::Keys { scan, page } => Form::Keys(scan_question(scan, *page)),
            Question::Runs { filter, before, page } => Form::Runs(proto::RunsQuestion {
                tags: tags(&filter.tags),
                status: filter.status.map(|of| status(of).into()),
                claimable: filter.claimable,
                before: revision_opt(*before),
                limit: page.rows as u64,
                bytes: bytes(*page),
                name: text_opt(&filter.name),
                parent_run_id: text_opt(&filter.parent_run_id),
                agent_id: text_opt(&filter.agent_id),
            }),
            Question::Run { run_id } => {
                let run_id = text(run_id);
                Form::Run(proto::RunQuestion { run_id, ..Default::default() })
            }
            Question::Resume { run_id, from_step, page } => Form::Resume(proto::RunQuestion {
                run_id: text(run_id),
                from_step: *from_step,
                limit: Some(page.rows as u64),
                bytes: bytes(*page),
            }),
            Question::Prerequisites { run_id, page } => {
                Form::Prerequisites(proto::PrerequisitesQuestion {
                    run_id: text(run_id),
                    limit: page.rows as u64,
                    bytes: bytes(*page),
                })
            }
            Question::Candidate { filter, after } => {
                let (name, names) = one_or_more(&filter.names);
                Form::Candidate(proto::CandidateQuestion {
                    name,
                    tags: tags(&filter.tags),
                    after: after.map(rank),
                    names,
                })
            }
            Question::Lease { resource_id } => {
                Form::Lease(proto::LeaseQuestion { resource_id: text(resource_id) })
            }
            Question::Leases { scan, page } => Form::Leases(scan_question(scan, *page)),
            Question::Session { session_id } => {
                Form::Session(proto::SessionQuestion { session_id: text(session_id) })
            }
            Question::Sessions { scan, page } => Form::Sessions(scan_question(scan, *page)),
            Question::Schedules { scan, page } => Form::Schedules(scan_question(scan, *page)),
            Question::Stats { scan, page } => Form::Stats(scan_question(scan, *page)),
            Question::Request { key } => Form::Request(proto::RequestQuestion { key: text(key) }),
            Question::Counts => Form::Counts(proto::CountsQuestion {}),
            Question::History { filter, before, page } => Form::History(proto::HistoryQuestion {
                subject: text_opt(&filter.subject),
                action: filter.action.map(|of| action(of).into()),
                actor: text_opt(&filter.actor),
                before: revision_opt(*before),
                limit: page.rows as u64,
                bytes: bytes(*page),
            }),
            Question::Changes { filter, after, page } => Form::Changes(proto::ChangesQuestion {
                filter: Some(filter.into()),
                after: after.0,
                limit: page.rows as u64,
                bytes: bytes(*page),
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
                let (scan, page) = to_scan(question)?;
                Question::Keys { scan, page }
            }
            Form::Runs(question) => to_runs(question)?,
            Form::Run(question) => Question::Run { run_id: question.run_id.into() },
            Form::Resume(question) => Question::Resume {
                run_id: question.run_id.into(),
                from_step: question.from_step,
                page: to_page(
                    "RunQuestion",
                    question.limit.unwrap_or(PAGE_MAX as u64),
                    question.bytes,
                )?,
            },
            Form::Prerequisites(question) => Question::Prerequisites {
                run_id: question.run_id.into(),
                page: to_page("PrerequisitesQuestion", question.limit, question.bytes)?,
            },
            Form::Candidate(question) => Question::Candidate {
                filter: ClaimFilter {
                    names: to_one_or_more("CandidateQuestion", question.name, question.names)?,
                    tags: to_tags("CandidateQuestion", question.tags)?,
                },
                after: question.after.map(to_rank),
            },
            Form::Lease(question) => Question::Lease { resource_id: question.resource_id.into() },
            Form::Request(question) => Question::Request { key: question.key.into() },
            Form::Leases(question) => {
                let (scan, page) = to_scan(question)?;
                Question::Leases { scan, page }
            }
            Form::Session(proto::SessionQuestion { session_id }) => {
                Question::Session { session_id: session_id.into() }
            }
            Form::Sessions(question) => {
                let (scan, page) = to_scan(question)?;
                Question::Sessions { scan, page }
            }
            Form::Stats(question) => {
                let (scan, page) = to_scan(question)?;
                Question::Stats { scan, page }
            }
            Form::Schedules(question) => {
                let (scan, page) = to_scan(question)?;
                Question::Schedules { scan, page }
            }
            Form::Counts(proto::CountsQuestion {}) => Question::Counts,
            Form::History(question) => to_history(question)?,
            Form::Changes(question) => Question::Changes {
                filter: required("ChangesQuestion", "filter", question.filter)?.try_into()?,
                after: Revision(question.after),
                page: to_page("ChangesQuestion", question.limit, question.bytes)?,
            },
        })
    }
}

impl From<&ChangeFilter> for proto::ChangeFilter {
    fn from(filter: &ChangeFilter) -> Self {
        let form = match filter {
            ChangeFilter::Key(key) => FilterForm::Key(text(key)),
            ChangeFilter::Prefix(prefix) => FilterForm::Prefix(text(prefix)),
            ChangeFilter::Grants => FilterForm::Grants(proto::Grants {}),
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
            FilterForm::Grants(proto::Grants {}) => ChangeFilter::Grants,
        })
    }
}

fn scan_question(scan: &Scan, page: Page) -> proto::ScanQuestion {
    proto::ScanQuestion {
        prefix: text(&scan.prefix),
        after: text_opt(&scan.after),
        limit: page.rows as u64,
        bytes: bytes(page),
    }
}

fn to_scan(question: proto::ScanQuestion) -> Result<(Scan, Page), CodecError> {
    let page = to_page("ScanQuestion", question.limit, question.bytes)?;
    Ok((Scan { prefix: question.prefix.into(), after: to_text_opt(question.after) }, page))
}

fn to_runs(question: proto::RunsQuestion) -> Result<Question, CodecError> {
    let filter = RunFilter {
        name: to_text_opt(question.name),
        tags: to_tags("RunsQuestion", question.tags)?,
        status: question.status.map(|of| to_status("RunsQuestion", of)).transpose()?,
        claimable: question.claimable,
        parent_run_id: to_text_opt(question.parent_run_id),
        agent_id: to_text_opt(question.agent_id),
    };
    let page = to_page("RunsQuestion", question.limit, question.bytes)?;
    Ok(Question::Runs { filter, before: to_revision_opt(question.before), page })
}

fn to_history(question: proto::HistoryQuestion) -> Result<Question, CodecError> {
    let filter = HistoryFilter {
        subject: to_text_opt(question.subject),
        action: question.action.map(|of| to_action("HistoryQuestion", of)).transpose()?,
        actor: to_text_opt(question.actor),
    };
    let page = to_page("HistoryQuestion", question.limit, question.bytes)?;
    Ok(Question::History { filter, before: to_revision_opt(question.before), page })
}

/// A page without a bound leaves the field out, as do clients that do not know it.
fn bytes(page: Page) -> Option<u64> {
    (page.bytes != usize::MAX).then_some(page.bytes as u64)
}

fn to_page(message: &'static str, rows: u64, bytes: Option<u64>) -> Result<Page, CodecError> {
    let number = |field, found| {
        usize::try_from(found).map_err(|_| CodecError::Range { message, field, found })
    };
    let bytes = bytes.map_or(Ok(usize::MAX), |bytes| number("bytes", bytes))?;
    Ok(Page { rows: number("limit", rows)?, bytes })
}

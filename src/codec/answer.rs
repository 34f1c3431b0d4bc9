//! Answers, to and from `proto/state.proto`.

use super::error::CodecError;
use super::row::*;
use super::run_counts::{counts, to_counts};
use super::schedule::{schedule_entry, to_schedule_entry};
use super::value::*;
use crate::machine::ClusterMs;
use crate::machine::meta::Counts;
use crate::machine::query::Candidate;
use crate::machine::query::{Answer, Resumed};
use crate::machine::row::RequestRow;
use crate::proto::state as proto;
use proto::answer::Answer as Form;

impl From<&Answer> for proto::Answer {
    fn from(answer: &Answer) -> Self {
        let form = match answer {
            Answer::Key(row) => Form::Key(proto::KeyAnswer { row: row.as_ref().map(Into::into) }),
            Answer::Keys { rows, next } => Form::Keys(proto::KeysAnswer {
                rows: rows.iter().map(|(key, row)| key_entry(key, row)).collect(),
                more: next.is_some(),
                next: text_opt(next),
            }),
            Answer::Runs { rows, next } => Form::Runs(proto::RunsAnswer {
                rows: rows.iter().map(Into::into).collect(),
                more: next.is_some(),
                next: revision_opt(*next),
            }),
            Answer::Run { run, children } => Form::Run(proto::RunAnswer {
                row: run.as_deref().map(Into::into),
                children: counts(children),
            }),
            Answer::Stats { rows, next } => Form::Stats(proto::StatsAnswer {
                rows: rows.iter().map(Into::into).collect(),
                more: next.is_some(),
                next: text_opt(next),
            }),
            Answer::Resume(resumed) => Form::Resume(resume_answer(resumed.as_deref())),
            Answer::Leases { rows, next } => Form::Leases(proto::LeasesAnswer {
                rows: rows.iter().map(|(id, row)| lease_entry(id, row)).collect(),
                more: next.is_some(),
                next: text_opt(next),
            }),
            Answer::Session(row) => {
                Form::Session(proto::SessionAnswer { row: row.as_ref().map(Into::into) })
            }
            Answer::Sessions { rows, next } => Form::Sessions(proto::SessionsAnswer {
                rows: rows.iter().map(|(id, row)| session_entry(id, row)).collect(),
                more: next.is_some(),
                next: text_opt(next),
            }),
            Answer::Schedules { rows, next } => Form::Schedules(proto::SchedulesAnswer {
                rows: rows.iter().map(|(name, row)| schedule_entry(name, row)).collect(),
                more: next.is_some(),
                next: text_opt(next),
            }),
            Answer::Candidate(candidate) => Form::Candidate(candidate.into()),
            Answer::Lease(row) => {
                Form::Lease(proto::LeaseAnswer { row: row.as_ref().map(Into::into) })
            }
            Answer::Request(row) => Form::Request(request_answer(row.as_deref())),
            Answer::Counts(counts) => Form::Counts(counts.into()),
            Answer::History { events, more } => Form::History(proto::HistoryAnswer {
                events: events.iter().map(Into::into).collect(),
                more: *more,
            }),
            Answer::Changes { events, complete, more } => Form::Changes(proto::ChangesAnswer {
                events: events.iter().map(Into::into).collect(),
                complete: *complete,
                more: *more,
            }),
        };
        proto::Answer { answer: Some(form) }
    }
}

impl TryFrom<proto::Answer> for Answer {
    type Error = CodecError;

    fn try_from(answer: proto::Answer) -> Result<Self, CodecError> {
        Ok(match required("Answer", "answer", answer.answer)? {
            Form::Key(proto::KeyAnswer { row }) => Answer::Key(row.map(Into::into)),
            Form::Keys(answer) => {
                let rows = each(answer.rows, to_key_entry)?;
                Answer::Keys { rows, next: to_text_opt(answer.next) }
            }
            Form::Runs(answer) => {
                let rows = all(answer.rows)?;
                Answer::Runs { rows, next: to_revision_opt(answer.next) }
            }
            Form::Run(proto::RunAnswer { row, children }) => Answer::Run {
                run: row.map(TryInto::try_into).transpose()?.map(Box::new),
                children: to_counts("RunAnswer", "children", &children)?,
            },
            Form::Stats(answer) => {
                Answer::Stats { rows: all(answer.rows)?, next: to_text_opt(answer.next) }
            }
            Form::Resume(answer) => Answer::Resume(to_resumed(answer)?.map(Box::new)),
            Form::Candidate(answer) => Answer::Candidate(answer.try_into()?),
            Form::Lease(proto::LeaseAnswer { row }) => Answer::Lease(row.map(Into::into)),
            Form::Leases(answer) => {
                let rows = each(answer.rows, to_lease_entry)?;
                Answer::Leases { rows, next: to_text_opt(answer.next) }
            }
            Form::Session(proto::SessionAnswer { row }) => Answer::Session(row.map(Into::into)),
            Form::Sessions(answer) => {
                let rows = each(answer.rows, to_session_entry)?;
                Answer::Sessions { rows, next: to_text_opt(answer.next) }
            }
            Form::Schedules(answer) => {
                let rows = each(answer.rows, to_schedule_entry)?;
                Answer::Schedules { rows, next: to_text_opt(answer.next) }
            }
            Form::Request(answer) => Answer::Request(to_request(answer)?.map(Box::new)),
            Form::Counts(counts) => Answer::Counts(counts.into()),
            Form::History(proto::HistoryAnswer { events, more }) => {
                Answer::History { events: all(events)?, more }
            }
            Form::Changes(proto::ChangesAnswer { events, complete, more }) => {
                Answer::Changes { events: all(events)?, complete, more }
            }
        })
    }
}

impl From<&Counts> for proto::CountsAnswer {
    fn from(counts: &Counts) -> Self {
        let Counts { keys, runs, steps, leases, sessions, .. } = *counts;
        proto::CountsAnswer { keys, runs, steps, leases, sessions }
    }
}

impl From<proto::CountsAnswer> for Counts {
    fn from(counts: proto::CountsAnswer) -> Self {
        let proto::CountsAnswer { keys, runs, steps, leases, sessions } = counts;
        Counts { keys, runs, steps, leases, sessions, ..Counts::default() }
    }
}

impl From<&Candidate> for proto::CandidateAnswer {
    fn from(candidate: &Candidate) -> Self {
        let none = proto::CandidateAnswer::default();
        match candidate {
            Candidate::Ready(run) => {
                proto::CandidateAnswer { ready: Some((&**run).into()), ..none }
            }
            Candidate::At(at) => proto::CandidateAnswer { at_ms: Some(at.0), ..none },
            Candidate::Further(after) => {
                proto::CandidateAnswer { further: Some(rank(*after)), ..none }
            }
            Candidate::None => none,
        }
    }
}

impl TryFrom<proto::CandidateAnswer> for Candidate {
    type Error = CodecError;

    fn try_from(answer: proto::CandidateAnswer) -> Result<Self, CodecError> {
        let proto::CandidateAnswer { ready, at_ms, further } = answer;
        Ok(match (ready, at_ms, further) {
            (Some(run), None, None) => Candidate::Ready(Box::new(run.try_into()?)),
            (None, Some(at_ms), None) => Candidate::At(ClusterMs(at_ms)),
            (None, None, Some(after)) => Candidate::Further(to_rank(after)),
            (None, None, None) => Candidate::None,
            _ => return Err(CodecError::Missing { message: "CandidateAnswer", field: "ready" }),
        })
    }
}

fn request_answer(row: Option<&RequestRow>) -> proto::RequestAnswer {
    row.map_or_else(proto::RequestAnswer::default, |row| proto::RequestAnswer {
        digest: hash(&row.digest),
        reply: Some((&row.reply).into()),
        at_ms: row.at.0,
    })
}

fn to_request(answer: proto::RequestAnswer) -> Result<Option<RequestRow>, CodecError> {
    let proto::RequestAnswer { digest, reply: Some(reply), at_ms } = answer else {
        return Ok(None);
    };
    let digest = to_hash("RequestAnswer", "digest", &digest)?;
    Ok(Some(RequestRow { digest, reply: reply.try_into()?, at: ClusterMs(at_ms) }))
}

fn resume_answer(resumed: Option<&Resumed>) -> proto::ResumeAnswer {
    let steps = resumed.map(|resumed| resumed.steps.as_slice()).unwrap_or_default();
    proto::ResumeAnswer {
        run: resumed.map(|resumed| (&resumed.run).into()),
        steps: steps.iter().map(|(step, row)| step_entry(*step, row)).collect(),
        next_step: resumed.and_then(|resumed| resumed.next_step),
    }
}

fn to_resumed(answer: proto::ResumeAnswer) -> Result<Option<Resumed>, CodecError> {
    let steps = each(answer.steps, to_step_entry)?;
    match answer.run {
        Some(run) => {
            let next_step = answer.next_step;
            Ok(Some(Resumed { run: run.try_into()?, steps, next_step }))
        }
        None if steps.is_empty() => Ok(None),
        None => Err(CodecError::Missing { message: "ResumeAnswer", field: "run" }),
    }
}

fn each<P, T>(
    rows: Vec<P>,
    convert: impl Fn(P) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    rows.into_iter().map(convert).collect()
}

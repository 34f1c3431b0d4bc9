//! Answers, to and from `proto/state.proto`.

use super::CodecError;
use super::row::*;
use super::value::*;
use crate::machine::query::{Answer, Resumed};
use crate::machine::view::Counts;
use crate::proto::state as proto;
use proto::answer::Answer as Form;

impl From<&Answer> for proto::Answer {
    fn from(answer: &Answer) -> Self {
        let form = match answer {
            Answer::Key(row) => Form::Key(proto::KeyAnswer { row: row.as_ref().map(Into::into) }),
            Answer::Keys { rows, more } => Form::Keys(proto::KeysAnswer {
                rows: rows.iter().map(|(key, row)| key_entry(key, row)).collect(),
                more: *more,
            }),
            Answer::Runs { rows, more } => Form::Runs(proto::RunsAnswer {
                rows: rows.iter().map(Into::into).collect(),
                more: *more,
            }),
            Answer::Run(row) => Form::Run(proto::RunAnswer { row: row.as_deref().map(Into::into) }),
            Answer::Resume(resumed) => Form::Resume(resume_answer(resumed.as_deref())),
            Answer::Leases { rows, more } => Form::Leases(proto::LeasesAnswer {
                rows: rows.iter().map(|(id, row)| lease_entry(id, row)).collect(),
                more: *more,
            }),
            Answer::Session(row) => {
                Form::Session(proto::SessionAnswer { row: row.as_ref().map(Into::into) })
            }
            Answer::Sessions { rows, more } => Form::Sessions(proto::SessionsAnswer {
                rows: rows.iter().map(|(id, row)| session_entry(id, row)).collect(),
                more: *more,
            }),
            Answer::Counts(counts) => Form::Counts(counts.into()),
            Answer::History { events, more } => Form::History(proto::HistoryAnswer {
                events: events.iter().map(Into::into).collect(),
                more: *more,
            }),
            Answer::Changes { events, complete } => Form::Changes(proto::ChangesAnswer {
                events: events.iter().map(Into::into).collect(),
                complete: *complete,
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
            Form::Keys(proto::KeysAnswer { rows, more }) => {
                Answer::Keys { rows: each(rows, to_key_entry)?, more }
            }
            Form::Runs(proto::RunsAnswer { rows, more }) => Answer::Runs { rows: all(rows)?, more },
            Form::Run(proto::RunAnswer { row }) => {
                Answer::Run(row.map(TryInto::try_into).transpose()?.map(Box::new))
            }
            Form::Resume(answer) => Answer::Resume(to_resumed(answer)?.map(Box::new)),
            Form::Leases(proto::LeasesAnswer { rows, more }) => {
                Answer::Leases { rows: each(rows, to_lease_entry)?, more }
            }
            Form::Session(proto::SessionAnswer { row }) => Answer::Session(row.map(Into::into)),
            Form::Sessions(proto::SessionsAnswer { rows, more }) => {
                Answer::Sessions { rows: each(rows, to_session_entry)?, more }
            }
            Form::Counts(counts) => Answer::Counts(counts.into()),
            Form::History(proto::HistoryAnswer { events, more }) => {
                Answer::History { events: all(events)?, more }
            }
            Form::Changes(proto::ChangesAnswer { events, complete }) => {
                Answer::Changes { events: all(events)?, complete }
            }
        })
    }
}

impl From<&Counts> for proto::CountsAnswer {
    fn from(counts: &Counts) -> Self {
        let Counts { keys, runs, steps, leases, sessions } = *counts;
        proto::CountsAnswer { keys, runs, steps, leases, sessions }
    }
}

impl From<proto::CountsAnswer> for Counts {
    fn from(counts: proto::CountsAnswer) -> Self {
        let proto::CountsAnswer { keys, runs, steps, leases, sessions } = counts;
        Counts { keys, runs, steps, leases, sessions }
    }
}

fn resume_answer(resumed: Option<&Resumed>) -> proto::ResumeAnswer {
    let steps = resumed.map(|resumed| resumed.steps.as_slice()).unwrap_or_default();
    proto::ResumeAnswer {
        run: resumed.map(|resumed| (&resumed.run).into()),
        steps: steps.iter().map(|(step, row)| step_entry(*step, row)).collect(),
    }
}

fn to_resumed(answer: proto::ResumeAnswer) -> Result<Option<Resumed>, CodecError> {
    let steps = each(answer.steps, to_step_entry)?;
    match answer.run {
        Some(run) => Ok(Some(Resumed { run: run.try_into()?, steps })),
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

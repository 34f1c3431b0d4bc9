//! `answer`: one question in, one answer out, nothing changed.

use super::query::{Answer, PAGE_MAX, Question, Resumed};
use super::row::Meta;
use super::value::ClusterMs;
use super::view::{HistoryView, View};

/// Answers a question about the state as it is at `now`.
///
/// Linearizable readers pass the state's own clock, after they saw that no
/// deadline lies between it and the present; see [`View::next_deadline`].
///
/// # Errors
///
/// Those of the view.
///
/// # Panics
///
/// On a question about the history, which [`answer_history`] answers; see
/// [`Question::is_about_history`].
pub fn answer<V: View>(question: &Question, view: &V, now: ClusterMs) -> Result<Answer, V::Error> {
    Ok(match question {
        Question::Key { key } => Answer::Key(view.key(key)?.filter(|row| row.lives_at(now))),
        Question::Keys { scan, limit } => {
            let (rows, more) = page(*limit, |limit| view.keys(scan, now, limit))?;
            Answer::Keys { rows, more }
        }
        Question::Runs { filter, before, limit } => {
            let (rows, more) = page(*limit, |limit| view.runs(filter, *before, now, limit))?;
            Answer::Runs { rows, more }
        }
        Question::Run { run_id } => Answer::Run(view.run(run_id)?.map(Box::new)),
        Question::Resume { run_id } => Answer::Resume(match view.run(run_id)? {
            Some(run) => Some(Box::new(Resumed { run, steps: view.steps(run_id)? })),
            None => None,
        }),
        Question::Leases { scan, limit } => {
            let (rows, more) = page(*limit, |limit| view.leases(scan, now, limit))?;
            Answer::Leases { rows, more }
        }
        Question::Session { session_id } => Answer::Session(view.session(session_id)?),
        Question::Sessions { scan, limit } => {
            let (rows, more) = page(*limit, |limit| view.sessions(scan, limit))?;
            Answer::Sessions { rows, more }
        }
        Question::Counts => Answer::Counts(view.counts(now)?),
        Question::History { .. } | Question::Changes { .. } => {
            unreachable!("stores ask about the history through answer_history: {question:?}")
        }
    })
}

/// Answers a question about the history that leads up to `meta`.
///
/// # Errors
///
/// Those of the history.
///
/// # Panics
///
/// On a question about the state, which [`answer`] answers.
pub fn answer_history<H: HistoryView>(
    question: &Question,
    history: &H,
    meta: &Meta,
) -> Result<Answer, H::Error> {
    Ok(match question {
        Question::History { filter, before, limit } => {
            let (events, more) = page(*limit, |limit| history.newest(filter, *before, limit))?;
            Answer::History { events, more }
        }
        Question::Changes { filter, after, limit } => Answer::Changes {
            events: history.since(filter, *after, bounded(*limit))?,
            complete: *after >= meta.anchor.revision,
        },
        Question::Key { .. }
        | Question::Keys { .. }
        | Question::Runs { .. }
        | Question::Run { .. }
        | Question::Resume { .. }
        | Question::Leases { .. }
        | Question::Session { .. }
        | Question::Sessions { .. }
        | Question::Counts => {
            unreachable!("stores ask about the state through answer: {question:?}")
        }
    })
}

/// Reads one row more than asked for, to know whether there is another page.
fn page<T, E>(
    limit: usize,
    read: impl FnOnce(usize) -> Result<Vec<T>, E>,
) -> Result<(Vec<T>, bool), E> {
    let limit = bounded(limit);
    let mut rows = read(limit + 1)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, more))
}

fn bounded(limit: usize) -> usize {
    limit.clamp(1, PAGE_MAX)
}

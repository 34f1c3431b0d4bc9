//! Answering questions: one question in, one answer out, and nothing changes.

use super::event::Event;
use super::lookup;
use super::meta::Meta;
use super::page::{Page, Range};
use super::query::{Answer, PAGE_BYTES_MAX, PAGE_MAX, Question, Resumed};
use super::row::{Row, ScheduleRow};
use super::row_id::RowId;
use super::run_group::{RunGroup, StatusCounts};
use super::value::ClusterMs;
use super::view::{HistoryView, View};

/// Answers a question about the state as it is at `now`.
///
/// For a linearizable answer `now` must be the clock of the state, and no deadline
/// may lie between that and the present; see [`lookup::next_deadline`].
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
        Question::Key { key } => {
            Answer::Key(lookup::key(view, key)?.filter(|row| row.lives_at(now)))
        }
        Question::Keys { scan, page } => {
            let live = |row: &Row| match row {
                Row::Key(key, row) if row.lives_at(now) => Some((key.clone(), row.clone())),
                _ => None,
            };
            let (rows, next) = lookup::names(view, scan, Range::Keys, bounded(*page), live)?;
            Answer::Keys { rows, next }
        }
        Question::Runs { filter, before, page } => {
            let (rows, next) = lookup::runs(view, filter, *before, now, bounded(*page))?;
            Answer::Runs { rows, next }
        }
        Question::Run { run_id } => {
            let run = lookup::run(view, run_id, now)?.map(Box::new);
            let children = match &run {
                Some(_) => view.group(&RunGroup::Parent(run_id.clone()))?.counts,
                None => StatusCounts::default(),
            };
            Answer::Run { run, children }
        }
        Question::Resume { run_id, from_step, page } => Answer::Resume(
            lookup::run(view, run_id, now)?
                .map(|run| {
                    let page = bounded(*page);
                    let (steps, next_step) = lookup::steps(view, run_id, *from_step, page)?;
                    Ok(Box::new(Resumed { run, steps, next_step }))
                })
                .transpose()?,
        ),
        Question::Prerequisites { run_id, page } => {
            let page = bounded(*page);
            let rows = lookup::prerequisites(view, run_id, now, page)?;
            Answer::Runs { rows, next: None }
        }
        Question::Candidate { filter, after } => {
            let due = match after {
                None => lookup::due_runs(view, filter, now, lookup::DUE_MAX)?,
                Some(_) => Vec::new(),
            };
            Answer::Candidate(lookup::candidate(view, filter, *after, &due, now)?)
        }
        Question::Lease { resource_id } => {
            Answer::Lease(lookup::lease(view, resource_id)?.and_then(|row| row.at(now)))
        }
        Question::Leases { scan, page } => {
            let live = |row: &Row| match row {
                Row::Lease(id, row) => Some((id.clone(), row.clone().at(now)?)),
                _ => None,
            };
            let (rows, next) = lookup::names(view, scan, Range::Leases, bounded(*page), live)?;
            Answer::Leases { rows, next }
        }
        Question::Session { session_id } => {
            Answer::Session(lookup::session(view, session_id)?.filter(|row| row.lives_at(now)))
        }
        Question::Sessions { scan, page } => {
            let live = |row: &Row| match row {
                Row::Session(id, row) if row.lives_at(now) => Some((id.clone(), row.clone())),
                _ => None,
            };
            let (rows, next) = lookup::names(view, scan, Range::Sessions, bounded(*page), live)?;
            Answer::Sessions { rows, next }
        }
        Question::Schedules { scan, page } => {
            let live = |row: &Row| match row {
                Row::Schedule(name, row) => Some((name.clone(), ScheduleRow::clone(row))),
                _ => None,
            };
            let (rows, next) = lookup::names(view, scan, Range::Schedules, bounded(*page), live)?;
            Answer::Schedules { rows, next }
        }
        Question::Stats { scan, page } => {
            let (rows, next) = lookup::stats(view, scan, bounded(*page), now)?;
            Answer::Stats { rows, next }
        }
        Question::Request { key } => {
            let row = view.row(&RowId::Request(key.clone()))?;
            Answer::Request(row.and_then(|row| match &*row {
                Row::Request(_, row) if row.forgotten_at() > now => Some(row.clone()),
                _ => None,
            }))
        }
        Question::Counts => Answer::Counts(lookup::counts(view, now, lookup::UNCOUNTED_MAX)?),
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
        Question::History { filter, before, page } => {
            let page = bounded(*page);
            let mut events = history.newest(filter, *before, page.and_one())?;
            let more = page.cut(&mut events, Event::bytes);
            Answer::History { events, more }
        }
        Question::Changes { filter, after, page } => {
            let page = bounded(*page);
            let mut events = history.since(filter, *after, page.and_one())?;
            let more = page.cut(&mut events, Event::bytes);
            Answer::Changes { events, complete: *after >= meta.anchor.revision, more }
        }
        Question::Key { .. }
        | Question::Keys { .. }
        | Question::Runs { .. }
        | Question::Run { .. }
        | Question::Resume { .. }
        | Question::Prerequisites { .. }
        | Question::Candidate { .. }
        | Question::Lease { .. }
        | Question::Leases { .. }
        | Question::Session { .. }
        | Question::Sessions { .. }
        | Question::Schedules { .. }
        | Question::Stats { .. }
        | Question::Request { .. }
        | Question::Counts => {
            unreachable!("stores ask about the state through answer: {question:?}")
        }
    })
}

/// The page within its bounds: at least one row, so that paging makes progress.
fn bounded(page: Page) -> Page {
    Page { rows: page.rows.clamp(1, PAGE_MAX), bytes: page.bytes.min(PAGE_BYTES_MAX) }
}

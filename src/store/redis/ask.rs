//! Questions: what each needs from Redis, and its answer, from one instant.

use super::error::Fault;
use super::fetch::{Fetch, Fetched, Names};
use super::index::facets_of_list;
use super::layout::Place;
use super::working::{FetchedEvents, Working};
use crate::machine::query::PAGE_MAX;
use crate::machine::{Answer, ClusterMs, Question, answer, answer_history};

/// What has to be fetched for `question`. Lists hold one row more than asked
/// for, by which the answer knows whether there is another page.
pub fn fetch(question: &Question) -> Fetch {
    let mut fetch = Fetch::default();
    let page = |limit: &usize| (*limit).clamp(1, PAGE_MAX) + 1;
    let field = |name: &str| vec![name.as_bytes().to_vec()];
    match question {
        Question::Key { key } => fetch.rows(Place::Kv, field(key)),
        Question::Keys { scan, limit } => fetch.names(Names::Keys, scan, page(limit)),
        Question::Runs { filter, before, limit } => {
            fetch.runs(filter, facets_of_list(filter), *before, page(limit));
        }
        Question::Run { run_id } => fetch.rows(Place::Run, field(run_id)),
        Question::Resume { run_id } => {
            fetch.rows(Place::Run, field(run_id));
            fetch.steps(run_id);
        }
        Question::Leases { scan, limit } => fetch.names(Names::Leases, scan, page(limit)),
        Question::Session { session_id } => fetch.rows(Place::Session, field(session_id)),
        Question::Sessions { scan, limit } => fetch.names(Names::Sessions, scan, page(limit)),
        Question::Counts => fetch.counts(),
        Question::History { filter, before, limit } => {
            fetch.history(filter, *before, page(limit));
        }
        Question::Changes { filter, after, limit } => {
            fetch.changes(filter, *after, page(limit));
        }
    }
    fetch
}

/// The answer out of what was fetched, as of `now`.
pub fn answered(question: &Question, fetched: Fetched, now: ClusterMs) -> Result<Answer, Fault> {
    let Fetched { meta, requests, mut found, .. } = fetched;
    if question.is_about_history() {
        let events = found.pop().map(|found| found.events()).transpose()?.unwrap_or_default();
        let Ok(answer) = answer_history(question, &FetchedEvents(events), &meta);
        return Ok(answer);
    }
    let counts = match question {
        Question::Counts => found.pop().map(|found| found.counts()).transpose()?,
        _ => None,
    };
    let mut rows = Vec::new();
    for found in found {
        rows.extend(found.rows()?);
    }
    let Ok(answer) = answer(question, &Working::new(meta, rows, requests, counts), now);
    Ok(answer)
}

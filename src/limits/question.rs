//! The arguments of each question.

use super::error::{ArgumentError, Checked};
use super::value::*;
use crate::machine::Question;
use crate::machine::filter::ChangeFilter;
use crate::machine::page::Scan;
use crate::machine::query::PAGE_MAX;

/// Checks every argument of a question. A page that asks for more than
/// [`PAGE_MAX`] rows is cut to that, so that one answer cannot take up all of
/// the memory.
pub fn check_question(question: &mut Question) -> Checked {
    if let Some(page) = question.page_mut() {
        if page.rows == 0 {
            return Err(ArgumentError::below("limit", 1, 0));
        }
        page.rows = page.rows.min(PAGE_MAX);
    }
    match question {
        Question::Key { key: name } => key("key", name),
        Question::Keys { scan, .. }
        | Question::Leases { scan, .. }
        | Question::Sessions { scan, .. }
        | Question::Schedules { scan, .. }
        | Question::Stats { scan, .. } => check_scan(scan),
        Question::Runs { filter, .. } => {
            optional_identifier("name", &filter.name)?;
            optional_identifier("parent_run_id", &filter.parent_run_id)?;
            optional_identifier("agent_id", &filter.agent_id)?;
            tags(&filter.tags)
        }
        Question::Run { run_id }
        | Question::Resume { run_id, .. }
        | Question::Prerequisites { run_id, .. } => identifier("run_id", run_id),
        Question::Candidate { filter, .. } => {
            claim_names(&filter.names)?;
            tags(&filter.tags)
        }
        Question::Lease { resource_id } => identifier("resource_id", resource_id),
        Question::Session { session_id } => identifier("session_id", session_id),
        Question::Request { key } => idempotency_key("key", key),
        Question::Counts => Ok(()),
        Question::History { filter, .. } => {
            note("subject", filter.subject.as_deref().unwrap_or_default())?;
            optional_identifier("actor", &filter.actor)
        }
        Question::Changes { filter, .. } => check_filter(filter),
    }
}

/// Checks which keys are watched.
pub fn check_filter(filter: &ChangeFilter) -> Checked {
    match filter {
        ChangeFilter::Key(name) => key("key", name),
        ChangeFilter::Prefix(prefix) => key("prefix", prefix),
        ChangeFilter::Grants => Ok(()),
    }
}

fn check_scan(scan: &Scan) -> Checked {
    key("prefix", &scan.prefix)?;
    key("after", scan.after.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::page::Page;

    fn keys(rows: usize) -> Question {
        let scan = Scan { prefix: "".into(), after: None };
        Question::Keys { scan, page: Page { rows, bytes: 1 } }
    }

    #[test]
    fn a_page_has_at_least_one_row_and_is_cut_to_the_longest() {
        let message = check_question(&mut keys(0)).unwrap_err().to_string();
        assert_eq!(message, "limit must be >= 1, got 0");
        let mut question = keys(1_000_000);
        assert!(check_question(&mut question).is_ok());
        assert_eq!(question, keys(PAGE_MAX));
    }
}

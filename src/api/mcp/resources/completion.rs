//! Completion: values that begin with what the user has typed, for the variables of URI
//! templates and the arguments of prompts.

use std::collections::BTreeSet;

use rmcp::ErrorData;
use rmcp::model::{CompleteResult, CompletionInfo};
use serde::Deserialize;
use serde_json::json;

use super::list::{RUN_LISTS, RunsListed};
use super::lookup::ResourceReader;
use crate::machine::Action;

/// Runs have no order by their ids, so only the newest are looked through.
const RUNS_MAX: usize = 1_000;

/// In so many pages of the tool: a page may hold few runs where they are large.
const RUN_PAGES_MAX: usize = 20;

/// Where the values of a variable or an argument come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::mcp) enum CompletionSource {
    Keys,
    RunIds,
    /// The names of workflows.
    RunNames,
    Leases,
    Sessions,
    /// The kinds of changes in the history.
    Actions,
    /// The server cannot know.
    Nothing,
}

#[derive(Deserialize)]
struct NamesListed {
    #[serde(alias = "leases", alias = "sessions")]
    keys: Vec<NameListed>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NameListed {
    Key(String),
    Lease { resource_id: String },
    Session { session_id: String },
}

/// Values from `source` that begin with `typed`: as many as the protocol allows, whether
/// there are more, and how many there are if that is known.
pub(in crate::api::mcp) async fn complete(
    reader: &ResourceReader<'_>,
    source: CompletionSource,
    typed: &str,
) -> Result<CompleteResult, ErrorData> {
    let (values, has_more) = match source {
        CompletionSource::Keys => names(reader, "state_list", typed).await?,
        CompletionSource::Leases => names(reader, "lease_list", typed).await?,
        CompletionSource::Sessions => names(reader, "session_list", typed).await?,
        CompletionSource::RunIds => runs(reader, typed, |run| run.run_id).await?,
        CompletionSource::RunNames => runs(reader, typed, |run| run.name).await?,
        CompletionSource::Actions => {
            let names = Action::ALL.iter().map(|action| action.as_str().to_owned());
            (names.filter(|name| name.starts_with(typed)).collect(), false)
        }
        CompletionSource::Nothing => (Vec::new(), false),
    };
    Ok(CompleteResult::new(shortened(values, has_more)?))
}

fn shortened(mut values: Vec<String>, has_more: bool) -> Result<CompletionInfo, ErrorData> {
    let total = (!has_more).then_some(values.len() as u32);
    let has_more = has_more || values.len() > CompletionInfo::MAX_VALUES;
    values.truncate(CompletionInfo::MAX_VALUES);
    CompletionInfo::with_pagination(values, total, has_more)
        .map_err(|why| ErrorData::internal_error(why, None))
}

/// The names that begin with `typed`, in byte order.
async fn names(
    reader: &ResourceReader<'_>,
    tool: &'static str,
    typed: &str,
) -> Result<(Vec<String>, bool), ErrorData> {
    if reader.offered(&[tool]).is_none() {
        return Ok((Vec::new(), false));
    }
    let arguments = json!({"prefix": typed, "limit": CompletionInfo::MAX_VALUES});
    let page: NamesListed = reader.ask(tool, arguments).await?;
    let name = |name| match name {
        NameListed::Key(name) => name,
        NameListed::Lease { resource_id } => resource_id,
        NameListed::Session { session_id } => session_id,
    };
    Ok((page.keys.into_iter().map(name).collect(), page.next_cursor.is_some()))
}

/// What `of` takes from the newest runs, once each, if it begins with `typed`.
async fn runs(
    reader: &ResourceReader<'_>,
    typed: &str,
    of: fn(super::list::RunListed) -> String,
) -> Result<(Vec<String>, bool), ErrorData> {
    let Some(tool) = reader.offered(&RUN_LISTS) else { return Ok((Vec::new(), false)) };
    let (mut known, mut values) = (BTreeSet::new(), Vec::new());
    let (mut read, mut cursor) = (0, None::<String>);
    for _ in 0..RUN_PAGES_MAX {
        let arguments = json!({"limit": RUNS_MAX - read, "cursor": cursor});
        let page: RunsListed = reader.ask(tool.name, arguments).await?;
        read += page.runs.len();
        let fitting = page.runs.into_iter().map(of).filter(|value| value.starts_with(typed));
        values.extend(fitting.filter(|value| known.insert(value.clone())));
        cursor = page.next_cursor;
        if cursor.is_none() || read >= RUNS_MAX {
            break;
        }
    }
    Ok((values, cursor.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_values_are_given_than_the_protocol_allows() {
        let values = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
        let all = shortened(values(3), false).unwrap();
        assert_eq!((all.values.len(), all.total, all.has_more), (3, Some(3), Some(false)));
        let cut = shortened(values(150), false).unwrap();
        assert_eq!((cut.values.len(), cut.total, cut.has_more), (100, Some(150), Some(true)));
        let unknown = shortened(values(100), true).unwrap();
        assert_eq!(
            (unknown.values.len(), unknown.total, unknown.has_more),
            (100, None, Some(true))
        );
    }
}

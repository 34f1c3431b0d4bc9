//! What resources there are, page by page: the history, then keys, runs, leases and
//! sessions. A page holds what one page of the tool for it holds.

use rmcp::ErrorData;
use rmcp::model::{CacheScope, ListResourcesResult, Resource};
use serde::Deserialize;
use serde_json::json;

use super::lookup::{JSON, ResourceReader};
use super::uri::ResourceUri;

/// The parts of the list, in their order. A cursor names the part that it goes on in.
const PARTS: [(&str, ListPart); 4] = [
    ("kv", ListPart::Keys),
    ("run", ListPart::Runs),
    ("lease", ListPart::Leases),
    ("session", ListPart::Sessions),
];

#[derive(Clone, Copy)]
enum ListPart {
    Keys,
    Runs,
    Leases,
    Sessions,
}

#[derive(Deserialize)]
struct KeysListed {
    keys: Vec<String>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RunsListed {
    pub(super) runs: Vec<RunListed>,
    pub(super) next_cursor: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RunListed {
    pub(super) run_id: String,
    pub(super) name: String,
    status: String,
}

#[derive(Deserialize)]
struct LeasesListed {
    leases: Vec<LeaseListed>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct LeaseListed {
    resource_id: String,
}

#[derive(Deserialize)]
struct SessionsListed {
    sessions: Vec<SessionListed>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct SessionListed {
    session_id: String,
}

/// One page of all resources, from `cursor` on.
pub(in crate::api::mcp) async fn list(
    reader: &ResourceReader<'_>,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let (mut at, mut after) = match &cursor {
        None => (0, None),
        Some(cursor) => {
            let wrong = || ErrorData::invalid_params("cursor must be what nextCursor gave", None);
            let (part, after) = cursor.split_once(':').ok_or_else(wrong)?;
            let at = PARTS.iter().position(|(name, _)| *name == part).ok_or_else(wrong)?;
            (at, Some(after.to_owned()).filter(|after| !after.is_empty()))
        }
    };
    let mut resources = Vec::new();
    if cursor.is_none() {
        let history = ResourceUri::History(std::collections::BTreeMap::new());
        resources.push(resource(&history, "history", "the newest changes of everything"));
    }
    // A part that is empty does not make a page of its own.
    let next_cursor = loop {
        let (page, next) = one_page(reader, PARTS[at].1, after.take()).await?;
        let is_empty = page.is_empty();
        resources.extend(page);
        if let Some(next) = next {
            break Some(format!("{}:{next}", PARTS[at].0));
        }
        at += 1;
        match PARTS.get(at) {
            None => break None,
            Some((name, _)) if !is_empty => break Some(format!("{name}:")),
            Some(_) => {}
        }
    };
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = next_cursor;
    Ok(result.with_ttl_ms(0).with_cache_scope(CacheScope::Private))
}

async fn one_page(
    reader: &ResourceReader<'_>,
    part: ListPart,
    cursor: Option<String>,
) -> Result<(Vec<Resource>, Option<String>), ErrorData> {
    let arguments = json!({"cursor": cursor});
    Ok(match part {
        ListPart::Keys => {
            let page: KeysListed = reader.ask("state_list", arguments).await?;
            let key = |name: String| resource(&ResourceUri::Key(name.clone()), &name, "key");
            (page.keys.into_iter().map(key).collect(), page.next_cursor)
        }
        ListPart::Runs => {
            let page: RunsListed = reader.ask("workflow_list", arguments).await?;
            let run = |run: RunListed| {
                resource(&ResourceUri::Run(run.run_id.clone()), &run.run_id, "workflow run")
                    .with_title(format!("{} ({})", run.name, run.status))
            };
            (page.runs.into_iter().map(run).collect(), page.next_cursor)
        }
        ListPart::Leases => {
            let page: LeasesListed = reader.ask("lease_list", arguments).await?;
            let lease = |LeaseListed { resource_id: id }| {
                resource(&ResourceUri::Lease(id.clone()), &id, "lease")
            };
            (page.leases.into_iter().map(lease).collect(), page.next_cursor)
        }
        ListPart::Sessions => {
            let page: SessionsListed = reader.ask("session_list", arguments).await?;
            let session = |SessionListed { session_id: id }| {
                resource(&ResourceUri::Session(id.clone()), &id, "session")
            };
            (page.sessions.into_iter().map(session).collect(), page.next_cursor)
        }
    })
}

fn resource(uri: &ResourceUri, name: &str, description: &str) -> Resource {
    Resource::new(uri.to_string(), name).with_description(description).with_mime_type(JSON)
}

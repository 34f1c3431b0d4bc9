//! What resources there are, page by page: the history, then keys, runs, leases and
//! sessions. What exists is what the tools list that the client may call.

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

/// The tools that list runs.
pub(super) const RUN_LISTS: [&str; 2] = ["workflow_list", "workflow_discover"];

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

/// What the resources of a page take, in bytes as they are sent. With what stands around
/// them it is 64 KiB.
const PAGE_BYTES: usize = 62 * 1024;

/// How many resources a page holds, besides the history.
const PAGE_ROWS: usize = 100;

/// How often one page asks for more. A tool may give few rows at a time, or none,
/// where they are large or many are passed over.
const ASKS_MAX: usize = 8;

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
    let mut page = ResourcePage::default();
    let history = ResourceUri::History(std::collections::BTreeMap::new());
    if cursor.is_none() && reader.offered(&[history.tool()]).is_some() {
        page.rows.push(resource(&history, "history", "the newest changes of everything"));
    }
    for _ in 0..ASKS_MAX {
        let Some((_, part)) = PARTS.get(at) else { break };
        let (resources, next) = ask(reader, *part, after.take(), page.rows_left()).await?;
        after = page.add(resources, part.cursor_is_name()).or(next);
        if after.is_none() {
            at += 1;
        }
        if page.is_full() {
            break;
        }
    }
    let next = PARTS.get(at).map(|(name, _)| format!("{name}:{}", after.unwrap_or_default()));
    let mut result = ListResourcesResult::with_all_items(page.rows);
    result.next_cursor = next;
    Ok(result.with_ttl_ms(0).with_cache_scope(CacheScope::Private))
}

/// The resources that have been collected.
#[derive(Default)]
struct ResourcePage {
    rows: Vec<Resource>,
    bytes: usize,
    is_cut: bool,
}

impl ResourcePage {
    fn rows_left(&self) -> usize {
        PAGE_ROWS.saturating_sub(self.rows.len()).max(1)
    }

    /// Whether another answer of a tool might not fit any more.
    fn is_full(&self) -> bool {
        self.is_cut || self.rows.len() >= PAGE_ROWS || self.bytes > PAGE_BYTES / 2
    }

    /// Adds resources while there is room. Where some are left and the cursor is a name,
    /// returns the name of the last one that was added.
    fn add(&mut self, resources: Vec<Resource>, cursor_is_name: bool) -> Option<String> {
        for resource in resources {
            let bytes = serde_json::to_vec(&resource).map_or(0, |json| json.len() + 1);
            let has_room = self.rows.is_empty() || self.bytes + bytes <= PAGE_BYTES;
            if cursor_is_name && !has_room {
                self.is_cut = true;
                return self.rows.last().map(|last| last.name.clone());
            }
            self.bytes += bytes;
            self.rows.push(resource);
        }
        None
    }
}

impl ListPart {
    /// Runs are ordered by their age. An answer with runs always fits, as it holds more
    /// of each run than the list of resources.
    fn cursor_is_name(self) -> bool {
        match self {
            ListPart::Keys | ListPart::Leases | ListPart::Sessions => true,
            ListPart::Runs => false,
        }
    }
}

/// Some resources of one part, if the client may call a tool that lists them.
async fn ask(
    reader: &ResourceReader<'_>,
    part: ListPart,
    cursor: Option<String>,
    limit: usize,
) -> Result<(Vec<Resource>, Option<String>), ErrorData> {
    let tools: &[&'static str] = match part {
        ListPart::Keys => &["state_list"],
        ListPart::Runs => &RUN_LISTS,
        ListPart::Leases => &["lease_list"],
        ListPart::Sessions => &["session_list"],
    };
    let Some(tool) = reader.offered(tools) else { return Ok((Vec::new(), None)) };
    let tool = tool.name;
    let arguments = json!({"cursor": cursor, "limit": limit});
    Ok(match part {
        ListPart::Keys => {
            let page: KeysListed = reader.ask(tool, arguments).await?;
            let key = |name: String| resource(&ResourceUri::Key(name.clone()), &name, "key");
            (page.keys.into_iter().map(key).collect(), page.next_cursor)
        }
        ListPart::Runs => {
            let page: RunsListed = reader.ask(tool, arguments).await?;
            let run = |run: RunListed| {
                resource(&ResourceUri::Run(run.run_id.clone()), &run.run_id, "workflow run")
                    .with_title(format!("{} ({})", run.name, run.status))
            };
            (page.runs.into_iter().map(run).collect(), page.next_cursor)
        }
        ListPart::Leases => {
            let page: LeasesListed = reader.ask(tool, arguments).await?;
            let lease = |LeaseListed { resource_id: id }| {
                resource(&ResourceUri::Lease(id.clone()), &id, "lease")
            };
            (page.leases.into_iter().map(lease).collect(), page.next_cursor)
        }
        ListPart::Sessions => {
            let page: SessionsListed = reader.ask(tool, arguments).await?;
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

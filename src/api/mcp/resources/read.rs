//! The contents of one resource: what the tool for it gives, as JSON text.

use rmcp::ErrorData;
use rmcp::model::{CacheScope, ReadResourceResult, ResourceContents};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::lookup::{JSON, ResourceReader, convert};
use super::uri::ResourceUri;

#[derive(Deserialize)]
struct FoundOrNot {
    found: bool,
}

#[derive(Deserialize)]
struct LeasesAsText<'a> {
    #[serde(borrow)]
    leases: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct LeaseName {
    resource_id: String,
}

/// Reads the resource at `uri`.
pub(in crate::api::mcp) async fn read(
    reader: &ResourceReader<'_>,
    uri: String,
) -> Result<ReadResourceResult, ErrorData> {
    let about = || Some(json!({"uri": uri}));
    let resource =
        ResourceUri::parse(&uri).map_err(|why| ErrorData::invalid_params(why, about()))?;
    let tool = resource.tool();
    let text = match &resource {
        ResourceUri::Key(key) => found(reader.call(tool, json!({"key": key})).await?)?,
        ResourceUri::Session(id) => found(reader.call(tool, json!({"session_id": id})).await?)?,
        ResourceUri::Run(run_id) => match reader.call(tool, json!({"run_id": run_id})).await {
            Err(error) if error.code == rmcp::model::ErrorCode::RESOURCE_NOT_FOUND => None,
            text => Some(text?),
        },
        ResourceUri::Lease(id) => lease(reader, tool, id).await?,
        ResourceUri::History(variables) => Some(reader.call(tool, json!(variables)).await?),
    };
    let text = text.ok_or_else(|| {
        ErrorData::resource_not_found(format!("Resource not found: {resource}"), about())
    })?;
    let contents = ResourceContents::text(text, uri).with_mime_type(JSON);
    // It may change at any moment. Clients that want to know when subscribe to it.
    Ok(ReadResourceResult::new(vec![contents]).with_ttl_ms(0).with_cache_scope(CacheScope::Private))
}

fn found(text: String) -> Result<Option<String>, ErrorData> {
    let FoundOrNot { found } = convert(&text)?;
    Ok(found.then_some(text))
}

/// No tool gives a single lease. In the list of those that begin with its name it is the
/// first.
async fn lease(
    reader: &ResourceReader<'_>,
    tool: &str,
    id: &str,
) -> Result<Option<String>, ErrorData> {
    let text = reader.call(tool, json!({"prefix": id, "limit": 1})).await?;
    let LeasesAsText { leases } = convert(&text)?;
    let Some(first) = leases.first() else { return Ok(None) };
    let LeaseName { resource_id } = convert(first.get())?;
    Ok((resource_id == id).then(|| first.get().to_owned()))
}

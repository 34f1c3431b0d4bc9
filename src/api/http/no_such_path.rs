//! The answer to a path that nothing is served at, which tells where MCP is.

use axum::http::{StatusCode, Uri};
use axum::response::Response;

use crate::api::json_rpc;

pub async fn no_such_path(uri: Uri) -> Response {
    let why = format!(
        "nothing is served at {}; MCP is at /mcp, health at /healthz and /readyz, and metrics at \
         /metrics",
        uri.path()
    );
    json_rpc::refusal(StatusCode::NOT_FOUND, &why)
}

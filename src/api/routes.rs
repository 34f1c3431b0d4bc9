//! Everything that is served over HTTP, on one listener.

use axum::Router;
use rmcp::ServerHandler;

use super::{http, mcp};
use crate::access::Access;
use crate::service::Service;

/// The routes of MCP, of the metrics, and of the health checks.
pub fn routes(service: &Service, access: Access, mcp: mcp::endpoint::Options) -> Router {
    let toolset = mcp.toolset.unwrap_or_default();
    let handler = mcp::Handler::new(service.clone(), toolset, mcp.shutdown.clone());
    routes_with(handler, service, access, mcp)
}

/// The same routes, with a handler that may offer more over MCP than ours.
pub fn routes_with<H>(
    handler: H,
    service: &Service,
    access: Access,
    mcp: mcp::endpoint::Options,
) -> Router
where
    H: ServerHandler + Clone,
{
    let guarded = mcp::endpoint::routes(service.clone(), handler, mcp)
        .merge(http::metrics_routes(service.clone()))
        .layer(axum::middleware::from_fn_with_state(access.clone(), http::authorization::admit));
    // Load balancers and supervisors hold no token. They learn nothing here but
    // whether the server works.
    let all = guarded.merge(http::health_routes(service.clone()));
    // A browser asks whether a page may call before it sends the page's token, so it is
    // answered in front of the authorization.
    http::cross_origin(all.fallback(http::no_such_path), access)
}

//! The api: the protocols under which the service is reached. Each translates
//! its requests into commands and questions and back, and does nothing else.
//! They share one listener where they share a transport.

pub mod grpc;
pub mod http;
pub mod mcp;

use axum::Router;

use crate::access::Access;
use crate::service::Service;

/// Everything that is served over HTTP.
pub fn routes(service: &Service, access: Access, mcp: mcp::endpoint::Options) -> Router {
    let guarded = mcp::endpoint::routes(service.clone(), mcp)
        .merge(http::metrics_routes(service.clone()))
        .layer(axum::middleware::from_fn_with_state(access, http::authorization::admit));
    // Whoever watches over us holds no token, and learns nothing else here.
    guarded.merge(http::health_routes(service.clone()))
}

//! Calls from web pages (CORS): a browser lets a page read an answer only if the
//! server says that pages of its origin may.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, Method, header};
use tower::ServiceExt;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::access::Access;

/// The headers of an answer that a page may read besides the usual ones.
const EXPOSED: [HeaderName; 3] = [
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-protocol-version"),
    header::WWW_AUTHENTICATE,
];

/// How long a browser need not ask again.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Lets pages call whose origin the access policy allows. A call without an origin does
/// not come from a page, and its answer gets no longer.
pub fn cross_origin(routes: Router, access: Access) -> Router {
    let pages = routes.clone().layer(layer(access));
    let serve = move |request: Request| {
        let is_of_page = request.headers().contains_key(header::ORIGIN);
        if is_of_page { pages.clone() } else { routes.clone() }.oneshot(request)
    };
    Router::new().fallback_service(tower::service_fn(serve))
}

fn layer(access: Access) -> CorsLayer {
    let allowed = AllowOrigin::predicate(move |origin, _| {
        origin.to_str().is_ok_and(|origin| access.allows_origin(origin))
    });
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        // Clients send headers of their own, and each request is authorized by itself.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        // A page on the internet may call a server in the network of its reader.
        .allow_private_network(true)
        .max_age(REMEMBERED)
}

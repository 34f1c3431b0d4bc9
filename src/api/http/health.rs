//! Health checks, for load balancers and supervisors.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::service::Service;
use crate::store::Health;

/// `/healthz`: the process is alive. `/readyz`: it can serve; 503 with the
/// reason if it cannot.
pub fn health_routes(service: Service) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(service)
}

async fn ready(State(service): State<Service>) -> Response {
    match reason_not_ready(&service.health().await) {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// Why this node should get no requests now.
fn reason_not_ready(health: &Health) -> Option<String> {
    if let Some(fault) = &health.fault {
        return Some(fault.clone());
    }
    let cluster = health.cluster.as_ref()?;
    match (cluster.leader, cluster.caught_up) {
        (None, _) => Some("no leader is known".into()),
        (Some(_), false) => Some(format!(
            "a majority has not confirmed this node's state yet: applied {} of {}",
            cluster.applied_index, cluster.committed_index
        )),
        (Some(_), true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ClusterHealth;

    #[test]
    fn a_node_is_ready_when_it_knows_a_leader_and_has_caught_up() {
        let node = |leader, caught_up| Health {
            cluster: Some(ClusterHealth { leader, caught_up, ..Default::default() }),
            ..Default::default()
        };
        assert_eq!(reason_not_ready(&Health::default()), None);
        assert_eq!(reason_not_ready(&node(Some(1), true)), None);
        assert_eq!(reason_not_ready(&node(None, true)).as_deref(), Some("no leader is known"));
        assert!(
            reason_not_ready(&node(Some(1), false))
                .is_some_and(|why| why.contains("not confirmed"))
        );
        let broken = Health { fault: Some("disk full".into()), ..Default::default() };
        assert_eq!(reason_not_ready(&broken).as_deref(), Some("disk full"));
    }
}

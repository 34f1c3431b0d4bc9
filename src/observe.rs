//! Metrics: what is measured about calls, and the page that Prometheus reads. Other
//! modules add metrics of their own through the `metrics` crate.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::service::Service;
use crate::store::{ClusterHealth, Health, Role};

/// The upper bounds of the latency histogram's buckets, in seconds.
const LATENCY_BUCKETS_S: [f64; 16] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Begins to record. One call is needed in a process, and further calls do nothing. If
/// another recorder is installed already, the page stays empty.
pub fn install() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets(&LATENCY_BUCKETS_S)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("metrics are recorded elsewhere already");
        }
        handle
    })
}

/// Counts a call and records its latency. `outcome` is `ok` or the code of an error.
pub fn call(tool: &'static str, outcome: &'static str, took: Duration) {
    counter!("sidecar_requests_total", "tool" => tool, "outcome" => outcome).increment(1);
    histogram!("sidecar_request_seconds", "tool" => tool).record(took.as_secs_f64());
}

/// Renders the page for Prometheus, after refreshing the metrics of the store.
pub async fn render(service: &Service) -> String {
    let handle = install();
    let (in_flight, waiting) = service.load();
    gauge!("sidecar_calls_in_flight").set(in_flight as f64);
    gauge!("sidecar_calls_waiting").set(waiting as f64);
    gauge!("sidecar_uptime_seconds").set(service.uptime().as_secs_f64());
    record_health(&service.health().await);
    handle.render()
}

fn record_health(health: &Health) {
    let healthy = if health.fault.is_none() { 1.0 } else { 0.0 };
    gauge!("sidecar_store_healthy", "backend" => health.backend).set(healthy);
    gauge!("sidecar_revision").set(health.revision.0 as f64);
    gauge!("sidecar_state_bytes").set(health.state_bytes as f64);
    if let Some(max) = health.state_bytes_max {
        gauge!("sidecar_state_bytes_max").set(max as f64);
    }
    if let Some(cluster) = &health.cluster {
        record_cluster(cluster);
    }
}

fn record_cluster(cluster: &ClusterHealth) {
    for role in [Role::Leader, Role::Follower, Role::Candidate, Role::Learner] {
        let has_role = if cluster.role == role { 1.0 } else { 0.0 };
        gauge!("sidecar_raft_role", "role" => role.as_str()).set(has_role);
    }
    let flag = |value| if value { 1.0 } else { 0.0 };
    gauge!("sidecar_raft_leader_id").set(cluster.leader.unwrap_or_default() as f64);
    gauge!("sidecar_raft_term").set(cluster.term as f64);
    gauge!("sidecar_raft_last_log_index").set(cluster.last_log_index as f64);
    gauge!("sidecar_raft_committed_index").set(cluster.committed_index as f64);
    gauge!("sidecar_raft_applied_index").set(cluster.applied_index as f64);
    gauge!("sidecar_raft_snapshot_index").set(cluster.snapshot_index as f64);
    gauge!("sidecar_raft_quorum").set(flag(cluster.quorum));
    gauge!("sidecar_raft_caught_up").set(flag(cluster.caught_up));
    for member in &cluster.members {
        let peer = member.id.to_string();
        if let Some(lag) = member.lag {
            gauge!("sidecar_raft_peer_lag_entries", "peer" => peer.clone()).set(lag as f64);
        }
        if let Some(ms) = member.clock_skew_ms {
            let skew = gauge!("sidecar_raft_peer_clock_skew_seconds", "peer" => peer);
            skew.set(ms as f64 / 1000.0);
        }
    }
}

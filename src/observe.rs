//! Metrics: what is measured about calls, and the page that Prometheus reads. Other
//! modules add metrics of their own through the `metrics` crate.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::machine::Question;
use crate::machine::page::{Page, Scan};
use crate::machine::query::{Answer, PAGE_BYTES_MAX};
use crate::machine::run_group::{RunChanges, occurring};
use crate::service::Service;
use crate::store::{Answered, ClusterHealth, Consistency, Health, Role};

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
    let mut page = handle.render();
    page.push_str(&runs_by_name(service).await);
    page
}

/// The most names of runs on the page. Each of them costs some lines.
const NAMES_MAX: usize = 100;

/// Where the store does not answer for so long, the rest of the page says so without them:
/// a scrape that takes too long would show nothing.
const NAMES_WITHIN: Duration = Duration::from_secs(1);

/// How many runs there are of the first [`NAMES_MAX`] names, and since when they wait. They
/// are read for each page from what this node has, since names come and go.
async fn runs_by_name(service: &Service) -> String {
    let (scan, page) = (Scan::default(), Page { rows: NAMES_MAX, bytes: PAGE_BYTES_MAX });
    let question = Question::Stats { scan, page };
    let asked = service.ask_within(question, Consistency::Local, NAMES_WITHIN).await;
    let Ok(Answered { answer: Answer::Stats { rows, next }, .. }) = asked else {
        return String::new();
    };
    let now_ms = service.now().0 as f64;
    let mut runs = SampledMetric::new("sidecar_runs", "Runs by name and status.");
    let about = "How long the oldest run that can be claimed has waited for it.";
    let mut oldest = SampledMetric::new("sidecar_runs_oldest_waiting_seconds", about);
    let about = "Whether the name is paused, so that nobody is given its runs.";
    let mut paused = SampledMetric::new("sidecar_runs_paused", about);
    let about = "Runs created, claimed, completed and failed in the last five minutes.";
    let mut recent = SampledMetric::new("sidecar_runs_last_five_minutes", about);
    for row in rows {
        for (status, count) in occurring(&row.counts) {
            runs.add(&[("name", &row.name), ("status", status.as_str())], count as f64);
        }
        let since = row.oldest.map_or(now_ms, |(_, since)| since.0 as f64);
        oldest.add(&[("name", &row.name)], (now_ms - since).max(0.0) / 1000.0);
        paused.add(&[("name", &row.name)], f64::from(u8::from(row.paused)));
        let RunChanges { created, claimed, completed, failed } = row.recent;
        let changes = [
            ("created", created),
            ("claimed", claimed),
            ("completed", completed),
            ("failed", failed),
        ];
        for (change, count) in changes {
            recent.add(&[("name", &row.name), ("change", change)], count as f64);
        }
    }
    let about = "Whether there are names of runs beside the 100 that are shown.";
    let mut more = SampledMetric::new("sidecar_runs_more_names", about);
    more.add(&[], f64::from(u8::from(next.is_some())));
    [runs, oldest, paused, recent, more].map(SampledMetric::finish).concat()
}

/// A gauge of which the samples are written for one page. The recorder would keep them for
/// ever.
struct SampledMetric {
    name: &'static str,
    text: String,
}

impl SampledMetric {
    fn new(name: &'static str, help: &str) -> SampledMetric {
        SampledMetric { name, text: format!("# HELP {name} {help}\n# TYPE {name} gauge\n") }
    }

    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let label = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
        let labels: Vec<String> = labels.iter().map(label).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        self.text.push_str(&format!("{}{labels} {value}\n", self.name));
    }

    fn finish(self) -> String {
        self.text
    }
}

/// A label's value in the text format of Prometheus.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
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

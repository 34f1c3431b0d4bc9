//! Progress of calls that wait: while such a call waits, its client is told from time to
//! time for how long, if it has given a token for that.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::accepted::Accepted;
use super::tools::Tool;

/// How often a client is told. A call that is answered sooner has no progress.
const EVERY: Duration = Duration::from_secs(2);

/// How long an answer may be held up by the notification before it.
const LAST: Duration = Duration::from_millis(500);

/// Whom to tell about one call.
pub(super) struct ProgressReport {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    tool: &'static str,
    /// How long the call waits at most, in seconds, if it says so.
    total: Option<f64>,
}

impl ProgressReport {
    /// The report that a call has asked for. Only calls that wait have one.
    pub(super) fn asked_for(
        tool: &Tool,
        arguments: &Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> Option<ProgressReport> {
        let parts = context.extensions.get::<axum::http::request::Parts>();
        let accepted = parts.map(|parts| parts.extensions.get::<Accepted>());
        let has_stream = accepted.is_none_or(|accepted| accepted.is_some_and(|it| it.stream));
        if !has_stream || !tool.waits(arguments) {
            return None;
        }
        let token = context.meta.get_progress_token()?;
        let seconds = |name| arguments.get(name).and_then(seconds);
        let total = seconds("wait_seconds").or_else(|| seconds("timeout_seconds"));
        Some(ProgressReport { peer: context.peer.clone(), token, tool: tool.name, total })
    }

    async fn tell(&self, waited: Duration) {
        let seconds = waited.as_secs_f64().round();
        let mut progress = ProgressNotificationParam::new(self.token.clone(), seconds);
        let mut message = format!("{} has waited for {seconds} s", self.tool);
        if let Some(total) = self.total {
            progress = progress.with_total(total);
            message = format!("{message} of {total} s");
        }
        // This fails only if the client has gone, and then nobody need be told.
        let _ = self.peer.notify_progress(progress.with_message(message)).await;
    }
}

/// Does `call`, and reports while it is under way.
pub(super) async fn reporting<T>(
    report: Option<ProgressReport>,
    call: impl Future<Output = T>,
) -> T {
    let Some(report) = report else { return call.await };
    tokio::pin!(call);
    let began = Instant::now();
    let mut ticks = tokio::time::interval_at(began + EVERY, EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            result = &mut call => return result,
            _ = ticks.tick() => {}
        }
        let told = report.tell(began.elapsed());
        tokio::pin!(told);
        tokio::select! {
            biased;
            () = &mut told => {}
            result = &mut call => {
                // A notification must not come after the answer. A client that does not
                // read must not hold the answer up.
                let _ = tokio::time::timeout(LAST, told).await;
                return result;
            }
        }
    }
}

/// Clients also send numbers as text.
fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

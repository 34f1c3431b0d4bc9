//! How long a waiting call may take.

use std::time::Duration;

use tokio::time::Instant;

/// How long past its wait a call's last attempt may take. A store that cannot answer
/// must not hold up a caller that asked for a short wait.
const GRACE: Duration = Duration::from_secs(1);

/// The times at which a wait must end.
pub(super) struct WaitLimits {
    /// When the call stops waiting.
    pub(super) until: Instant,
    /// When its last question or attempt must be over.
    last: Instant,
    /// How long one question or attempt may take.
    deadline: Duration,
}

impl WaitLimits {
    /// The limits of a wait that begins now. One question or attempt may take
    /// `deadline`.
    pub(super) fn from_now(wait: Duration, deadline: Duration) -> WaitLimits {
        let now = Instant::now();
        let patience = if wait.is_zero() { deadline } else { wait.saturating_add(GRACE) };
        WaitLimits { until: now + wait, last: now + patience, deadline }
    }

    /// How long the call may take from now on, its last attempt included.
    pub(super) fn time_left(&self) -> Duration {
        self.last.saturating_duration_since(Instant::now())
    }

    /// How long the next question or attempt may take.
    pub(super) fn timeout(&self) -> Duration {
        self.time_left().min(self.deadline)
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

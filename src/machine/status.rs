//! The status of a workflow run.

use std::fmt;
use std::str::FromStr;

/// Where a run is in its life: `created → claimed → running → done | failed |
/// cancelled`. A run that waits for others is `blocked` before it is `created`, and one
/// that waits for a person's decision is `awaiting_approval` while it is claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    #[default]
    Created,
    Claimed,
    Running,
    Done,
    Failed,
    Cancelled,
    Blocked,
    AwaitingApproval,
}

impl Status {
    /// Every status, in the order of their numbers.
    pub const ALL: [Status; 8] = [
        Status::Created,
        Status::Claimed,
        Status::Running,
        Status::Done,
        Status::Failed,
        Status::Cancelled,
        Status::Blocked,
        Status::AwaitingApproval,
    ];

    /// Whether a run of this status has ended for good.
    pub fn is_over(self) -> bool {
        match self {
            Status::Created
            | Status::Claimed
            | Status::Running
            | Status::Blocked
            | Status::AwaitingApproval => false,
            Status::Done | Status::Failed | Status::Cancelled => true,
        }
    }

    /// The name that tools use.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Claimed => "claimed",
            Status::Running => "running",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::Blocked => "blocked",
            Status::AwaitingApproval => "awaiting_approval",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        Status::ALL.into_iter().find(|status| status.as_str() == s).ok_or(())
    }
}

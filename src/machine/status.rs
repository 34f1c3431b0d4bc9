//! The status of a workflow run.

use std::fmt;
use std::str::FromStr;

/// Where a run is in its life: `created → claimed → running → done | failed |
/// cancelled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    #[default]
    Created,
    Claimed,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl Status {
    /// The name that tools use.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Claimed => "claimed",
            Status::Running => "running",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
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
        const ALL: [Status; 6] = [
            Status::Created,
            Status::Claimed,
            Status::Running,
            Status::Done,
            Status::Failed,
            Status::Cancelled,
        ];
        ALL.into_iter().find(|status| status.as_str() == s).ok_or(())
    }
}

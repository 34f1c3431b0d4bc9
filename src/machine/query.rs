//! Questions: every read that can be asked for, and what answers it.
//!
//! Reading changes nothing. Questions about the history go to a
//! [`super::view::HistoryView`], all others to a [`super::view::View`].

use super::event::Event;
use super::row::{KeyRow, LeaseRow, RunRow, SessionRow, StepRow};
use super::value::{Revision, Text};
use super::view::{ChangeFilter, Counts, HistoryFilter, RunFilter, Scan};

/// Upper bound of a page, whatever the caller asks for.
pub const PAGE_MAX: usize = 10_000;

/// Every read. `limit` is at least one and at most [`PAGE_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `state_get`
    Key { key: Text },
    /// `state_list`
    Keys { scan: Scan, limit: usize },
    /// `workflow_discover` and `workflow_list`
    Runs { filter: RunFilter, before: Option<Revision>, limit: usize },
    /// `workflow_status`
    Run { run_id: Text },
    /// `workflow_resume`
    Resume { run_id: Text },
    /// `lease_list`
    Leases { scan: Scan, limit: usize },
    /// `session_restore`
    Session { session_id: Text },
    /// `session_list`
    Sessions { scan: Scan, limit: usize },
    /// The part of `sidecar_health` that is state.
    Counts,
    /// `history_log`
    History { filter: HistoryFilter, before: Option<Revision>, limit: usize },
    /// `state_wait`: changes of keys after a revision, oldest first.
    Changes { filter: ChangeFilter, after: Revision, limit: usize },
}

/// What a [`Question`] gives. A page says with `more` that it is not the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Key(Option<KeyRow>),
    Keys {
        rows: Vec<(Text, KeyRow)>,
        more: bool,
    },
    Runs {
        rows: Vec<RunRow>,
        more: bool,
    },
    Run(Option<Box<RunRow>>),
    Resume(Option<Box<Resumed>>),
    Leases {
        rows: Vec<(Text, LeaseRow)>,
        more: bool,
    },
    Session(Option<SessionRow>),
    Sessions {
        rows: Vec<(Text, SessionRow)>,
        more: bool,
    },
    Counts(Counts),
    History {
        events: Vec<Event>,
        more: bool,
    },
    /// `complete` is false where history after `after` is no longer kept.
    Changes {
        events: Vec<Event>,
        complete: bool,
    },
}

/// A run with every step it has stored, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    pub run: RunRow,
    pub steps: Vec<(u64, StepRow)>,
}

impl Question {
    /// Whether a [`super::view::HistoryView`] answers it.
    pub fn is_about_history(&self) -> bool {
        match self {
            Question::History { .. } | Question::Changes { .. } => true,
            Question::Key { .. }
            | Question::Keys { .. }
            | Question::Runs { .. }
            | Question::Run { .. }
            | Question::Resume { .. }
            | Question::Leases { .. }
            | Question::Session { .. }
            | Question::Sessions { .. }
            | Question::Counts => false,
        }
    }
}

//! Questions: every read that can be asked for, and what answers it.
//!
//! Reading changes nothing. Questions about the history go to a
//! [`super::view::HistoryView`], all others to a [`super::view::View`].

use super::command::Rank;
use super::event::Event;
use super::row::{Counts, KeyRow, LeaseRow, RequestRow, RunRow, SessionRow, StepRow};
use super::value::{Revision, Text};
use super::view::{Candidate, ChangeFilter, ClaimFilter, HistoryFilter, Page, RunFilter, Scan};

/// Upper bound of a page, whatever the caller asks for.
pub const PAGE_MAX: usize = 10_000;

/// Upper bound of a page's bytes, whatever the caller asks for.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// Every read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `state_get`
    Key { key: Text },
    /// `state_list`
    Keys { scan: Scan, page: Page },
    /// `workflow_discover` and `workflow_list`
    Runs { filter: RunFilter, before: Option<Revision>, page: Page },
    /// `workflow_status`
    Run { run_id: Text },
    /// `workflow_resume`
    Resume { run_id: Text, from_step: u64, page: Page },
    /// What `workflow_claim_next` would take. Asked by nodes for those who wait.
    Candidate { filter: ClaimFilter, after: Option<Rank> },
    /// Who holds a lease. Asked by nodes for those who wait.
    Lease { resource_id: Text },
    /// `lease_list`
    Leases { scan: Scan, page: Page },
    /// `session_restore`
    Session { session_id: Text },
    /// `session_list`
    Sessions { scan: Scan, page: Page },
    /// The remembered answer under an idempotency key. Asked by nodes for those
    /// who wait.
    Request { key: Text },
    /// The part of `sidecar_health` that is state.
    Counts,
    /// `history_log`
    History { filter: HistoryFilter, before: Option<Revision>, page: Page },
    /// `state_wait`: changes after a revision, oldest first.
    Changes { filter: ChangeFilter, after: Revision, page: Page },
}

/// What a [`Question`] gives. A page says with `next` where the next one begins:
/// after this name, before this revision, with this step. It may hold fewer rows
/// than were asked for, or none, and not be the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Key(Option<KeyRow>),
    Keys {
        rows: Vec<(Text, KeyRow)>,
        next: Option<Text>,
    },
    Runs {
        rows: Vec<RunRow>,
        next: Option<Revision>,
    },
    Run(Option<Box<RunRow>>),
    Resume(Option<Box<Resumed>>),
    Candidate(Candidate),
    Lease(Option<LeaseRow>),
    Leases {
        rows: Vec<(Text, LeaseRow)>,
        next: Option<Text>,
    },
    Session(Option<SessionRow>),
    Sessions {
        rows: Vec<(Text, SessionRow)>,
        next: Option<Text>,
    },
    Request(Option<Box<RequestRow>>),
    Counts(Counts),
    History {
        events: Vec<Event>,
        more: bool,
    },
    /// `complete` is false where history after `after` is no longer kept. With
    /// `more` the page ended before the history did.
    Changes {
        events: Vec<Event>,
        complete: bool,
        more: bool,
    },
}

/// A run with some of the steps that it has stored, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    pub run: RunRow,
    pub steps: Vec<(u64, StepRow)>,
    /// The first step that had no room.
    pub next_step: Option<u64>,
}

impl Question {
    /// How much of a list is asked for.
    pub fn page_mut(&mut self) -> Option<&mut Page> {
        match self {
            Question::Keys { page, .. }
            | Question::Runs { page, .. }
            | Question::Resume { page, .. }
            | Question::Leases { page, .. }
            | Question::Sessions { page, .. }
            | Question::History { page, .. }
            | Question::Changes { page, .. } => Some(page),
            Question::Key { .. }
            | Question::Run { .. }
            | Question::Candidate { .. }
            | Question::Lease { .. }
            | Question::Session { .. }
            | Question::Request { .. }
            | Question::Counts => None,
        }
    }

    /// Whether a [`super::view::HistoryView`] answers it.
    pub fn is_about_history(&self) -> bool {
        match self {
            Question::History { .. } | Question::Changes { .. } => true,
            Question::Key { .. }
            | Question::Keys { .. }
            | Question::Runs { .. }
            | Question::Run { .. }
            | Question::Resume { .. }
            | Question::Candidate { .. }
            | Question::Lease { .. }
            | Question::Request { .. }
            | Question::Leases { .. }
            | Question::Session { .. }
            | Question::Sessions { .. }
            | Question::Counts => false,
        }
    }
}

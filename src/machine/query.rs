//! Questions: every read, and the answers.
//!
//! Reading changes nothing. Questions about the history go to a
//! [`super::view::HistoryView`], all others to a [`super::view::View`].

use super::command::Rank;
use super::event::Event;
use super::filter::{ChangeFilter, ClaimFilter, HistoryFilter, RunFilter};
use super::meta::Counts;
use super::page::{Page, Scan};
use super::row::{KeyRow, LeaseRow, RequestRow, RunRow, ScheduleRow, SessionRow, StepRow};
use super::run_group::{RunChanges, StatusCounts};
use super::value::{ClusterMs, Revision, Text, WallMs};

/// The most rows of a page, whatever the caller asks for.
pub const PAGE_MAX: usize = 10_000;

/// The most bytes of a page, whatever the caller asks for.
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
    /// The runs that a run depends on, as far as they still exist.
    Prerequisites { run_id: Text, page: Page },
    /// The run that `workflow_claim_next` would claim. Nodes ask for waiting
    /// callers.
    Candidate { filter: ClaimFilter, after: Option<Rank> },
    /// The holder of a lease. Nodes ask for waiting callers.
    Lease { resource_id: Text },
    /// `lease_list`
    Leases { scan: Scan, page: Page },
    /// `session_restore`
    Session { session_id: Text },
    /// `session_list`
    Sessions { scan: Scan, page: Page },
    /// `schedule_list`
    Schedules { scan: Scan, page: Page },
    /// `workflow_stats`
    Stats { scan: Scan, page: Page },
    /// The remembered answer under an idempotency key. Nodes ask for waiting
    /// callers.
    Request { key: Text },
    /// The counts in `sidecar_health`.
    Counts,
    /// `history_log`
    History { filter: HistoryFilter, before: Option<Revision>, page: Page },
    /// `state_wait`: changes after a revision, oldest first.
    Changes { filter: ChangeFilter, after: Revision, page: Page },
}

/// The answer to a [`Question`]. The `next` of a page is where the next one begins:
/// after this name, before this revision or with this step. A page that is not the
/// last may hold fewer rows than were asked for, or none.
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
    Run {
        run: Option<Box<RunRow>>,
        /// Its children by status.
        children: StatusCounts,
    },
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
    Schedules {
        rows: Vec<(Text, ScheduleRow)>,
        next: Option<Text>,
    },
    Stats {
        rows: Vec<NameStats>,
        next: Option<Text>,
    },
    Request(Option<Box<RequestRow>>),
    Counts(Counts),
    History {
        events: Vec<Event>,
        more: bool,
    },
    /// `complete` is false where the history after `after` is no longer kept whole.
    /// With `more` the page ended before the history did.
    Changes {
        events: Vec<Event>,
        complete: bool,
        more: bool,
    },
}

/// A run with a page of its stored steps, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    pub run: RunRow,
    pub steps: Vec<(u64, StepRow)>,
    /// The step with which the next page begins.
    pub next_step: Option<u64>,
}

/// How the runs of one name are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameStats {
    pub name: Text,
    pub counts: StatusCounts,
    /// Of the runs that can be claimed: the one that has waited longest for it, and since
    /// when.
    pub oldest: Option<(Text, WallMs)>,
    /// Whether nobody is given runs of the name who asks for any.
    pub paused: bool,
    /// What has happened in the last [`super::run_group::WINDOW_MS`].
    pub recent: RunChanges,
}

/// The result of looking for a run to claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    Ready(Box<RunRow>),
    /// No run now, but one that fits becomes claimable at this time.
    At(ClusterMs),
    /// No run up to this rank, and there may be one after it.
    Further(Rank),
    None,
}

impl Question {
    /// The page that the question asks for, if it asks for one.
    pub fn page_mut(&mut self) -> Option<&mut Page> {
        match self {
            Question::Keys { page, .. }
            | Question::Runs { page, .. }
            | Question::Resume { page, .. }
            | Question::Prerequisites { page, .. }
            | Question::Leases { page, .. }
            | Question::Sessions { page, .. }
            | Question::Schedules { page, .. }
            | Question::Stats { page, .. }
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

    /// The time for which a linearizable reader is answered, at a store whose state has the
    /// clock `clock` and that knows it to be `present`. A state's clock passes every deadline
    /// before it is read, so that what has expired stays expired. What happened lately fades
    /// without any deadline, also where nothing is written.
    pub fn answered_at(&self, clock: ClusterMs, present: ClusterMs) -> ClusterMs {
        match self {
            Question::Stats { .. } => present.max(clock),
            Question::Key { .. }
            | Question::Keys { .. }
            | Question::Runs { .. }
            | Question::Run { .. }
            | Question::Resume { .. }
            | Question::Prerequisites { .. }
            | Question::Candidate { .. }
            | Question::Lease { .. }
            | Question::Request { .. }
            | Question::Leases { .. }
            | Question::Session { .. }
            | Question::Sessions { .. }
            | Question::Schedules { .. }
            | Question::Counts
            | Question::History { .. }
            | Question::Changes { .. } => clock,
        }
    }

    /// Whether a [`super::view::HistoryView`] answers the question.
    pub fn is_about_history(&self) -> bool {
        match self {
            Question::History { .. } | Question::Changes { .. } => true,
            Question::Key { .. }
            | Question::Keys { .. }
            | Question::Runs { .. }
            | Question::Run { .. }
            | Question::Resume { .. }
            | Question::Prerequisites { .. }
            | Question::Candidate { .. }
            | Question::Lease { .. }
            | Question::Request { .. }
            | Question::Leases { .. }
            | Question::Session { .. }
            | Question::Sessions { .. }
            | Question::Schedules { .. }
            | Question::Stats { .. }
            | Question::Counts => false,
        }
    }
}

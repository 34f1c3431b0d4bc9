//! Changes: what a decision asks a store to do to its rows, all or nothing.

use super::event::Event;
use super::reply::Reply;
use super::row::{KeyRow, LeaseRow, Meta, OriginRow, RequestRow, RunRow, SessionRow, StepRow};
use super::value::Text;

/// What is to be answered, and what is to be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub reply: Reply,
    /// In order: a later change of the same row replaces an earlier one.
    pub changes: Vec<Change>,
    /// One for each change of state, sealed, with consecutive revisions.
    pub events: Vec<Event>,
    /// The state's position afterwards. Its clocks may have moved on although
    /// nothing else changed; a store need not commit that alone.
    pub meta: Meta,
}

/// One change of one row, or of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    PutKey(Text, KeyRow),
    DropKey(Text),
    PutLease(Text, LeaseRow),
    DropLease(Text),
    /// By `run_id`.
    PutRun(RunRow),
    PutStep(Text, u64, StepRow),
    PutSession(Text, SessionRow),
    DropSession(Text),
    PutRequest(Text, RequestRow),
    DropRequest(Text),
    PutOrigin(u64, OriginRow),
    /// With all its remembered answers.
    DropOrigin(u64),
    /// The answer to one sequence of a node's session.
    PutAnswer(u64, u64, Reply),
    /// Answers of this session below this sequence.
    DropAnswersBelow(u64, u64),
    /// Every key, lease, run, step and session, and the history up to the
    /// anchor in the decision's meta. Remembered requests stay.
    Clear,
}

//! The JSON objects of the lines. Their fields and names are the format.
//!
//! `S` is text: borrowed where it is written, owned where it is read. Unknown
//! kinds and fields are refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Every line but the first.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line<S: Ord> {
    Key(KeyLine<S>),
    Lease(LeaseLine<S>),
    Run(Box<RunLine<S>>),
    Step(StepLine<S>),
    Session(SessionLine<S>),
    Schedule(ScheduleLine<S>),
    Pause(PauseLine<S>),
    Cancellation(CancellationLine<S>),
    Request(RequestLine<S>),
    Event(EventLine<S>),
    End(LastLine),
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstLine<S> {
    pub format: S,
    pub version: u32,
    pub release: S,
    pub backend: S,
    pub revision: u64,
    pub chain: String,
    pub clock_ms: u64,
    pub wall_ms: u64,
    pub anchor_revision: u64,
    pub anchor_chain: String,
    pub sets: u64,
}

/// The fields of the first line that every version has.
#[derive(Deserialize)]
pub struct TitleLine {
    pub format: String,
    pub version: u32,
}

/// The last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastLine {
    pub rows: u64,
    pub events: u64,
    /// The hash of all bytes before this line.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyLine<S> {
    pub key: S,
    pub value: S,
    pub revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseLine<S> {
    pub resource_id: S,
    pub holder_id: S,
    pub token: u64,
    pub revision: u64,
    pub expires_at_ms: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub permits: u32,
    /// When the first holder's grant was made or renewed last, if that was before
    /// `revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_revision: Option<u64>,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<HolderLine<S>>,
}

/// A holder of a lease after the first.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolderLine<S> {
    pub holder_id: S,
    pub token: u64,
    pub revision: u64,
    pub expires_at_ms: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub permits: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseLine<S> {
    pub name: S,
    pub revision: u64,
    pub at_ms: u64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<S>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLine<S: Ord> {
    pub run_id: S,
    pub name: S,
    pub status: S,
    pub tags: BTreeMap<S, S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub input: Option<S>,
    pub priority: i64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub parent_run_id: Option<S>,
    pub created_revision: u64,
    pub revision: u64,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub last_step: u64,
    pub attempts: u32,
    pub max_attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at_ms: Option<u64>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<S>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimLine>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub result: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub error: Option<S>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub promoted: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub depth: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub steps: StepsLine,
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: RetryLine,
    #[serde(default, skip_serializing_if = "is_default")]
    pub claims: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_by_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub removed: bool,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub constraints: Option<ConstraintsLine<S>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub has_dependents: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_counted: bool,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalLine<S>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstraintsLine<S> {
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<S>,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<S>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_dependency_failure: DependencyFailureLine,
    /// The key, and how many runs of it may be claimed at a time.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<(S, u32)>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub fair_key: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub unique: Option<(S, UniqueLine)>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyFailureLine {
    #[default]
    Fail,
    Cancel,
    Continue,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniqueLine {
    Queued,
    Active,
    UntilMs(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalLine<S> {
    pub question: S,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<S>,
    pub asked_revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionLine<S>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionLine<S> {
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub answer: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub comment: Option<S>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepsLine {
    pub count: u64,
    pub first: u64,
    pub next: u64,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryLine {
    pub lapses_max: u32,
    pub backoff_ms: u64,
    pub backoff_max_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimLine {
    pub token: u64,
    pub ttl_ms: u64,
    pub expires_at_ms: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_lapse: LapseLine,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LapseLine {
    #[default]
    TakeOver,
    RetryAfterMs(u64),
    Fail,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepLine<S> {
    pub run_id: S,
    pub step: u64,
    pub output: S,
    pub revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLine<S> {
    pub session_id: S,
    pub context: S,
    pub revision: u64,
    pub saved_at_ms: u64,
    pub updated_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleLine<S> {
    pub name: S,
    /// The row in hexadecimal digits, as the codec encodes it.
    pub record: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancellationLine<S> {
    pub run_id: S,
    pub revision: u64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub actor: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub reason: Option<S>,
    /// Runs, each with the revision after which its remaining children were created.
    pub frames: Vec<(S, u64)>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestLine<S> {
    pub key: S,
    pub digest: String,
    pub reply: String,
    pub at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLine<S> {
    pub revision: u64,
    pub at_ms: u64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub actor: Option<S>,
    pub action: S,
    pub subject: S,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub new: Option<S>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub previous: Option<S>,
    pub chain: String,
}

/// `Option::default` would ask for text that has a default.
fn none<S>() -> Option<S> {
    None
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

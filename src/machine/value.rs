//! The small values that everything else consists of: text, JSON, revisions and the
//! two clocks, each with a type of its own so that they cannot be mixed up.

use std::fmt;
use std::sync::Arc;

/// An identifier or other short text, cheap to clone.
pub type Text = Arc<str>;

/// One JSON value, kept as the text that was received, so that numbers of any
/// length, the order of members and the escapes in strings survive.
///
/// The api has checked that the text is well formed; the rules never parse it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json(Arc<str>);

/// A number that grows by one with every change of state and is never reused.
///
/// A row carries the revision that last changed or granted it, so the revision
/// of a grant is its fencing token: tokens of one resource only rise, across
/// releases, restarts, changes of leader and resets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Wall clock time in milliseconds since the Unix epoch, for records that people
/// read. It is clamped so that it never falls from one command to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMs(pub u64);

/// Cluster time in milliseconds since the Unix epoch, for deadlines. The node that
/// orders a command stamps it; it never falls from one command to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterMs(pub u64);

impl Json {
    /// Wraps text that is known to be one well-formed JSON value.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Json(text.into())
    }

    /// JSON's `null`.
    pub fn null() -> Self {
        Json::new("null")
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Revision {
    /// The revision of a state in which nothing has happened yet.
    pub const ZERO: Revision = Revision(0);

    /// The revision of the next change.
    ///
    /// # Panics
    ///
    /// After the last revision, which a million changes a second reach in half a
    /// million years. Starting again from zero would break every token.
    pub fn next(self) -> Revision {
        Revision(self.0.checked_add(1).expect("revisions are counted one by one, never used up"))
    }
}

impl ClusterMs {
    /// The last representable time, some 292 million years from now. It fits the
    /// signed numbers of databases.
    pub const LAST: ClusterMs = ClusterMs(i64::MAX as u64);

    /// The time `ms` milliseconds later; the last one at most.
    pub fn plus(self, ms: u64) -> ClusterMs {
        ClusterMs(self.0.saturating_add(ms)).min(ClusterMs::LAST)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

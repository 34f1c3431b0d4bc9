//! The view: how rules see the state. Each store brings its own; the rules
//! cannot tell which one they run on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::Rank;
use super::event::{Action, Event};
use super::index::{Search, Searched};
use super::row::{Meta, Row, RowId, RunRow, Status};
use super::value::{ClusterMs, Revision, Text};

/// Read access to one consistent state: its position, a row by its id, and
/// ordered scans from a given point on. What can be looked up by what is
/// [`super::index`]'s, and what is made of it [`super::lookup`]'s; a store knows
/// neither.
///
/// Rows come as they are stored: whether a deadline has passed is for the rules
/// to judge.
pub trait View {
    /// What can go wrong while reading; [`std::convert::Infallible`] in memory.
    type Error;

    fn meta(&self) -> Result<Meta, Self::Error>;

    /// The row with this id.
    fn row(&self, id: &RowId) -> Result<Option<Arc<Row>>, Self::Error>;

    /// Rows in the order of their ids, those of one [`Range`], read as
    /// [`Page::read`] reads.
    fn rows(&self, range: &Range, page: Page) -> Result<Vec<Arc<Row>>, Self::Error>;

    /// What a search of the entries finds; see [`Search::walk`].
    fn search(&self, search: &Search) -> Result<Searched, Self::Error>;
}

/// How much is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Most rows.
    pub rows: usize,
    /// Most bytes of names and values, but for a single row that has more.
    pub bytes: usize,
}

/// Rows whose ids stand together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Range {
    Keys(Scan),
    Leases(Scan),
    Sessions(Scan),
    /// Of one run, from this step on.
    Steps(Text, u64),
}

/// Read access to the history that is kept. Events are read as [`Page::read`]
/// reads.
pub trait HistoryView {
    type Error;

    /// Events before the revision `before` (all, where none is given), newest
    /// first.
    fn newest(
        &self,
        filter: &HistoryFilter,
        before: Option<Revision>,
        page: Page,
    ) -> Result<Vec<Event>, Self::Error>;

    /// Events after the revision `after`, oldest first.
    fn since(
        &self,
        filter: &ChangeFilter,
        after: Revision,
        page: Page,
    ) -> Result<Vec<Event>, Self::Error>;
}

/// A range of names: those that start with `prefix` and come after `after`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scan {
    /// Literal and case-sensitive.
    pub prefix: Text,
    pub after: Option<Text>,
}

/// Which runs a list is to hold. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub tags: BTreeMap<Text, Text>,
    pub status: Option<Status>,
    /// Only runs that can, or cannot, be claimed now.
    pub claimable: Option<bool>,
}

/// Which runs `workflow_claim_next` may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimFilter {
    pub name: Option<Text>,
    pub tags: BTreeMap<Text, Text>,
}

/// What a search for a run to claim found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    Ready(Box<RunRow>),
    /// Nothing now, but at this time a run that fits becomes claimable.
    At(ClusterMs),
    /// Nothing up to this rank, and there may be more behind it.
    Further(Rank),
    None,
}

/// Which events a history holds. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    pub subject: Option<Text>,
    pub action: Option<Action>,
    pub actor: Option<Text>,
}

/// Which events are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeFilter {
    /// Those of one key.
    Key(Text),
    /// Those of keys that begin so.
    Prefix(Text),
    /// Those of runs and leases, which may give work or a lease to those who
    /// wait for it. Asked by nodes of themselves alone.
    Grants,
}

impl Page {
    /// So many rows, whatever they weigh.
    pub fn of_rows(rows: usize) -> Page {
        Page { rows, bytes: usize::MAX }
    }

    /// Reads rows until there are enough: the last one may be one too many for
    /// the page's bytes, by which [`Page::cut`] knows that there are more. Since
    /// that keeps the first one however large it is, the second is always read.
    pub fn read<T, E>(
        self,
        rows: impl IntoIterator<Item = Result<T, E>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Result<Vec<T>, E> {
        let (mut read, mut total) = (Vec::new(), 0usize);
        for row in rows.into_iter().take(self.rows) {
            let row = row?;
            total = total.saturating_add(bytes(&row));
            read.push(row);
            if total > self.bytes && read.len() > 1 {
                break;
            }
        }
        Ok(read)
    }

    /// Cuts what was read to the page, one row at least; says whether anything
    /// was cut off.
    pub fn cut<T>(self, rows: &mut Vec<T>, bytes: impl Fn(&T) -> usize) -> bool {
        let mut total = 0usize;
        let fits = rows.iter().take(self.rows).take_while(|row| {
            total = total.saturating_add(bytes(row));
            total <= self.bytes
        });
        let kept = fits.count().max(1);
        let is_cut = kept < rows.len();
        rows.truncate(kept);
        is_cut
    }

    /// The page and one row more, for [`Page::cut`] to cut off.
    pub fn and_one(self) -> Page {
        Page { rows: self.rows.saturating_add(1), ..self }
    }
}

impl Range {
    /// Whether the row belongs to it.
    pub fn holds(&self, id: &RowId) -> bool {
        let named = |scan: &Scan, name: &Text| {
            name.starts_with(&*scan.prefix) && scan.after.as_ref().is_none_or(|after| name > after)
        };
        match (self, id) {
            (Range::Keys(scan), RowId::Key(name))
            | (Range::Leases(scan), RowId::Lease(name))
            | (Range::Sessions(scan), RowId::Session(name)) => named(scan, name),
            (Range::Steps(of, from), RowId::Step(run_id, step)) => of == run_id && step >= from,
            _ => false,
        }
    }

    /// Whether it begins behind this id, which [`Range::start`] may give.
    pub fn begins_behind(&self, id: &RowId) -> bool {
        match (self, id) {
            (Range::Keys(scan), RowId::Key(name))
            | (Range::Leases(scan), RowId::Lease(name))
            | (Range::Sessions(scan), RowId::Session(name)) => scan.after.as_ref() == Some(name),
            _ => false,
        }
    }

    /// The first id that it can hold, or the one behind which it begins.
    pub fn start(&self) -> RowId {
        let start = |scan: &Scan| match &scan.after {
            Some(after) if *after >= scan.prefix => after.clone(),
            Some(_) | None => scan.prefix.clone(),
        };
        match self {
            Range::Keys(scan) => RowId::Key(start(scan)),
            Range::Leases(scan) => RowId::Lease(start(scan)),
            Range::Sessions(scan) => RowId::Session(start(scan)),
            Range::Steps(run_id, from) => RowId::Step(run_id.clone(), *from),
        }
    }
}

impl RunFilter {
    /// Whether `run` is to be listed at `now`.
    pub fn admits(&self, run: &RunRow, now: ClusterMs) -> bool {
        self.status.is_none_or(|status| run.status == status)
            && self.claimable.is_none_or(|claimable| run.is_claimable(now) == claimable)
            && has_tags(run, &self.tags)
    }
}

impl ClaimFilter {
    /// Whether `run` may be taken as far as name and tags go.
    pub fn admits(&self, run: &RunRow) -> bool {
        self.name.as_ref().is_none_or(|name| run.name == *name) && has_tags(run, &self.tags)
    }
}

impl HistoryFilter {
    /// Whether `event` is to be listed.
    pub fn admits(&self, event: &Event) -> bool {
        self.subject.as_ref().is_none_or(|subject| event.subject == *subject)
            && self.action.is_none_or(|action| event.action == action)
            && self.actor.as_ref().is_none_or(|actor| event.actor.as_ref() == Some(actor))
    }
}

impl ChangeFilter {
    /// Whether `event` is waited for.
    pub fn admits(&self, event: &Event) -> bool {
        self.actions().contains(&event.action)
            && match self {
                ChangeFilter::Key(key) => event.subject == *key,
                ChangeFilter::Prefix(prefix) => event.subject.starts_with(&**prefix),
                ChangeFilter::Grants => true,
            }
    }

    /// The actions of such events.
    pub fn actions(&self) -> &'static [Action] {
        match self {
            ChangeFilter::Key(_) | ChangeFilter::Prefix(_) => {
                &[Action::StateSet, Action::StateDelete, Action::StateExpire]
            }
            ChangeFilter::Grants => &[
                Action::WorkflowCreate,
                Action::WorkflowClaim,
                Action::WorkflowRelease,
                Action::WorkflowRetry,
                Action::LeaseAcquire,
                Action::LeaseRenew,
                Action::LeaseRelease,
                Action::LeaseExpire,
                Action::SidecarReset,
            ],
        }
    }
}

fn has_tags(run: &RunRow, wanted: &BTreeMap<Text, Text>) -> bool {
    wanted.iter().all(|(name, value)| run.tags.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn nothing_is_lost_between_pages_however_large_rows_are() {
        for sizes in 0..3usize.pow(5) {
            let sizes: Vec<usize> = (0..5).map(|at| sizes / 3usize.pow(at) % 3 * 2).collect();
            for (rows, bytes) in (1..5).flat_map(|rows| (0..9).map(move |bytes| (rows, bytes))) {
                let page = Page { rows, bytes };
                let mut left = &sizes[..];
                while !left.is_empty() {
                    let rows = left.iter().copied().map(Ok::<_, Infallible>);
                    let Ok(mut read) = page.and_one().read(rows, |size| *size);
                    let is_cut = page.cut(&mut read, |size| *size);
                    assert!(!read.is_empty() && read.len() <= page.rows, "{sizes:?} {page:?}");
                    left = &left[read.len()..];
                    assert_eq!(is_cut, !left.is_empty(), "{sizes:?} {page:?}: {left:?} is left");
                }
            }
        }
    }
}

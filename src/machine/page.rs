//! Pages and ranges: how much is read at once, and from where.

use super::row_id::RowId;
use super::run_group::RunGroup;
use super::value::Text;

/// The most that is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The most rows.
    pub rows: usize,
    /// The most bytes of names and values. A page always holds one row, however
    /// large that row is.
    pub bytes: usize,
}

/// Rows whose ids are neighbours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Range {
    Keys(Scan),
    Leases(Scan),
    Sessions(Scan),
    /// The names of runs, each with its counts.
    RunNames(Scan),
    Schedules(Scan),
    /// The names of runs that are paused.
    Pauses(Scan),
    /// The steps of one run, from this step on.
    Steps(Text, u64),
}

/// The names that start with `prefix` and come after `after`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scan {
    /// Compared literally, with upper and lower case distinct.
    pub prefix: Text,
    pub after: Option<Text>,
}

impl Page {
    /// A page with no bound on bytes.
    pub fn of_rows(rows: usize) -> Page {
        Page { rows, bytes: usize::MAX }
    }

    /// Reads rows until the page is full. The last row may exceed the page's
    /// bytes: it tells [`Page::cut`] that there are more rows. Because a cut
    /// keeps the first row however large it is, the second one is always read.
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

    /// Cuts `rows` to the page, but keeps at least one; returns whether any were
    /// cut off.
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

    /// The page with room for one more row, so that [`Page::cut`] can tell
    /// whether there are more.
    pub fn and_one(self) -> Page {
        Page { rows: self.rows.saturating_add(1), ..self }
    }
}

impl Range {
    /// Whether the row with this id is in the range.
    pub fn contains(&self, id: &RowId) -> bool {
        let named = |scan: &Scan, name: &Text| {
            name.starts_with(&*scan.prefix) && scan.after.as_ref().is_none_or(|after| name > after)
        };
        match (self, id) {
            (Range::Keys(scan), RowId::Key(name))
            | (Range::Leases(scan), RowId::Lease(name))
            | (Range::Sessions(scan), RowId::Session(name))
            | (Range::Schedules(scan), RowId::Schedule(name))
            | (Range::Pauses(scan), RowId::Pause(name))
            | (Range::RunNames(scan), RowId::Group(RunGroup::Name(name))) => named(scan, name),
            (Range::Steps(of, from), RowId::Step(run_id, step)) => of == run_id && step >= from,
            _ => false,
        }
    }

    /// Whether the range begins after this id instead of at it. [`Range::start`]
    /// may return such an id.
    pub fn begins_after(&self, id: &RowId) -> bool {
        match (self, id) {
            (Range::Keys(scan), RowId::Key(name))
            | (Range::Leases(scan), RowId::Lease(name))
            | (Range::Sessions(scan), RowId::Session(name))
            | (Range::Schedules(scan), RowId::Schedule(name))
            | (Range::Pauses(scan), RowId::Pause(name))
            | (Range::RunNames(scan), RowId::Group(RunGroup::Name(name))) => {
                scan.after.as_ref() == Some(name)
            }
            _ => false,
        }
    }

    /// The first id that the range can contain, or the id after which it begins.
    pub fn start(&self) -> RowId {
        let start = |scan: &Scan| match &scan.after {
            Some(after) if *after >= scan.prefix => after.clone(),
            Some(_) | None => scan.prefix.clone(),
        };
        match self {
            Range::Keys(scan) => RowId::Key(start(scan)),
            Range::Leases(scan) => RowId::Lease(start(scan)),
            Range::Sessions(scan) => RowId::Session(start(scan)),
            Range::RunNames(scan) => RowId::Group(RunGroup::Name(start(scan))),
            Range::Schedules(scan) => RowId::Schedule(start(scan)),
            Range::Pauses(scan) => RowId::Pause(start(scan)),
            Range::Steps(run_id, from) => RowId::Step(run_id.clone(), *from),
        }
    }
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

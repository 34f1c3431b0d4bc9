//! Pages: how much one answer may hold in bytes, whatever number of rows was
//! asked for.

use crate::machine::query::Answer;
use crate::machine::row::RunRow;
use crate::machine::{Event, Json};

/// Below the 4 MB that gRPC clients take where nothing else is set, with room
/// for one largest row.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What a row holds besides text of its own length.
const FIXED_BYTES: usize = 128;

/// Cuts a page of rows to its size, one row at least, and says so in the
/// answer.
pub(super) fn cut(answer: &mut Answer) {
    match answer {
        Answer::Keys { rows, more } => {
            *more |= cut_list(rows, |(key, row)| key.len() + row.value.as_str().len());
        }
        Answer::Runs { rows, more } => *more |= cut_list(rows, run_bytes),
        Answer::Leases { rows, more } => {
            *more |= cut_list(rows, |(id, row)| id.len() + row.holder_id.len());
        }
        Answer::Sessions { rows, more } => {
            *more |= cut_list(rows, |(id, row)| id.len() + row.context.as_str().len());
        }
        Answer::History { events, more } => *more |= cut_events(events),
        Answer::Changes { events, .. } => {
            cut_events(events);
        }
        Answer::Key(_)
        | Answer::Run(_)
        | Answer::Resume(_)
        | Answer::Session(_)
        | Answer::Counts(_) => {}
    }
}

/// True where events were cut off.
pub(super) fn cut_events(events: &mut Vec<Event>) -> bool {
    cut_list(events, |event| {
        event.subject.len() + json_bytes(&event.new) + json_bytes(&event.previous)
    })
}

fn cut_list<T>(rows: &mut Vec<T>, bytes: impl Fn(&T) -> usize) -> bool {
    let mut total = 0usize;
    let fits = rows.iter().take_while(|row| {
        total = total.saturating_add(FIXED_BYTES + bytes(row));
        total <= PAGE_BYTES_MAX
    });
    let kept = fits.count().max(1);
    let is_cut = kept < rows.len();
    rows.truncate(kept);
    is_cut
}

fn run_bytes(run: &RunRow) -> usize {
    let tags: usize = run.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
    let error = run.error.as_ref().map_or(0, |error| error.len());
    run.name.len() + tags + error + json_bytes(&run.input) + json_bytes(&run.result)
}

fn json_bytes(json: &Option<Json>) -> usize {
    json.as_ref().map_or(0, |json| json.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::row::KeyRow;
    use crate::machine::{Revision, Text};

    fn keys(sizes: &[usize]) -> Answer {
        let row = |bytes: &usize| {
            let value = Json::new("1".repeat(*bytes));
            (Text::from("k"), KeyRow { value, revision: Revision(1), expires_at: None })
        };
        Answer::Keys { rows: sizes.iter().map(row).collect(), more: false }
    }

    fn cut_to(sizes: &[usize]) -> (usize, bool) {
        let mut answer = keys(sizes);
        cut(&mut answer);
        match answer {
            Answer::Keys { rows, more } => (rows.len(), more),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_page_ends_before_it_grows_too_large_but_holds_one_row() {
        const MB: usize = 1024 * 1024;
        assert_eq!(cut_to(&[1, 2, 3]), (3, false));
        assert_eq!(cut_to(&[]), (0, false));
        assert_eq!(cut_to(&[MB, MB / 2, MB]), (2, true));
        assert_eq!(cut_to(&[3 * MB, 1]), (1, true));
        assert_eq!(cut_to(&[3 * MB]), (1, false));
    }
}

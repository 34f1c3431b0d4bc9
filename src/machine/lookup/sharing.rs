//! What a new run shares with others: its unique key, and its turn among fair keys.

use super::stored::search_rows;
use crate::machine::command::Rank;
use crate::machine::index::{self, Index};
use crate::machine::row::RunRow;
use crate::machine::search::Search;
use crate::machine::value::{ClusterMs, Revision, Text};
use crate::machine::view::View;

/// The most runs that a new run looks at to find the one that holds its unique key. More
/// than one only seem to hold a key while the sweep has not recorded their end.
pub const HOLDERS_MAX: usize = 10;

/// The runs that hold a unique key by what their rows say.
pub fn unique_holders<V: View>(
    view: &V,
    key: &Text,
    now: ClusterMs,
) -> Result<Vec<RunRow>, V::Error> {
    Ok(search_rows(view, &index::unique(key, now, HOLDERS_MAX))?.runs().collect())
}

/// The place of a new run with a fair key: right behind the first run that waits, but
/// behind every run of its own key. So keys take turns, however many runs each has.
/// There is none where nothing waits. Places are the virtual start times of
/// Goyal, Vin and Cheng, "Start-time Fair Queuing" (1996), where every run costs the same.
pub fn fair_place<V: View>(
    view: &V,
    name: &Text,
    fair_key: &Text,
    priority: i64,
) -> Result<Option<Revision>, V::Error> {
    let place = |search: &Search| -> Result<Option<Revision>, V::Error> {
        let found = view.search(search)?.found;
        let rank = found.first().and_then(|place| index::rank_of(place));
        Ok(rank.map(|Rank { place, .. }| place))
    };
    let ready = place(&index::head(Index::Ready, name, priority))?;
    let limited = place(&index::head(Index::Limited, name, priority))?;
    let head = ready.into_iter().chain(limited).min();
    let last = place(&index::last_of_fair_key(name, fair_key, priority))?;
    Ok(head.max(last).map(Revision::next))
}

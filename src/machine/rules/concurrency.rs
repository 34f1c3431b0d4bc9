//! Concurrency keys: how many runs of one may be claimed at a time.

use super::present;
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::lookup;
use crate::machine::row::RunRow;
use crate::machine::run_group::RunGroup;
use crate::machine::value::Text;
use crate::machine::view::View;

/// Why `run` cannot be claimed, if its key has no room. Claims that have lapsed and fill
/// it are recorded as lapsed first.
pub fn objection<V: View>(
    draft: &mut Draft<'_, V>,
    run: &RunRow,
) -> Result<Option<Text>, V::Error> {
    let Some(concurrency) = run.concurrency() else { return Ok(None) };
    let group = RunGroup::Concurrency(concurrency.key.clone());
    let others = |draft: &Draft<'_, V>| -> Result<u64, V::Error> {
        Ok(draft.group(&group)?.claimed().saturating_sub(u64::from(run.takes_room())))
    };
    let limit = u64::from(concurrency.limit);
    if others(draft)? < limit {
        return Ok(None);
    }
    for lapsed in lookup::lapsed_of_key(draft, &concurrency.key, draft.now())? {
        present::settled(draft, lapsed)?;
    }
    let claimed = others(draft)?;
    Ok((claimed >= limit).then(|| describe::no_room(concurrency, claimed)))
}

//! Checks of lines against the lines before them.

use crate::machine::{Chain, Event, Meta, Revision, Row};

/// Checks that an event follows from the one before it.
pub fn follow(event: &Event, newest: (Revision, Chain), meta: &Meta) -> Result<(), String> {
    let (revision, chain) = newest;
    if revision >= meta.revision {
        return Err(format!("an event after the state's revision ({})", meta.revision));
    }
    if event.revision != revision.next() {
        return Err(format!("event {} comes after event {revision}", event.revision));
    }
    if !event.follows(chain) {
        return Err(format!("the chain breaks at event {}", event.revision));
    }
    Ok(())
}

/// Checks that no row was changed or granted after the state's revision. The next
/// grant would otherwise give out such a token a second time.
pub fn within(row: &Row, newest: Revision) -> Result<(), String> {
    let highest = match row {
        Row::Key(_, row) => row.revision,
        Row::Lease(_, row) => {
            let newest = row.holders.iter().map(|holder| holder.token.max(holder.revision)).max();
            row.revision.max(newest.unwrap_or(Revision::ZERO))
        }
        Row::Run(row) => {
            let token = row.claim.as_ref().map_or(Revision::ZERO, |claim| claim.token);
            row.revision.max(row.created_revision).max(token)
        }
        Row::Step(_, _, row) => row.revision,
        Row::Session(_, row) => row.revision,
        Row::Schedule(_, row) => row.revision,
        Row::Pause(_, row) => row.revision,
        Row::Cancellation(_, row) => row.revision,
        Row::Group(..) | Row::Request(..) | Row::Origin(..) | Row::Answer(..) => Revision::ZERO,
    };
    if highest > newest {
        return Err(format!("revision {highest} lies after the state's ({newest})"));
    }
    Ok(())
}

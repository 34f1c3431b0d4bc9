//! A history that is read from its anchor upwards, seen to be whole: no event
//! is missing, each follows from the one before, and the last is the state's.

use crate::machine::row::Anchor;
use crate::machine::{Chain, Event, Meta, Revision};
use crate::store::StoreError;

/// How far a history has been read.
pub(crate) struct ChainCheck {
    revision: Revision,
    chain: Chain,
}

impl ChainCheck {
    /// Nothing was read yet; the event after the anchor comes first.
    pub(crate) fn after(anchor: &Anchor) -> ChainCheck {
        ChainCheck { revision: anchor.revision, chain: anchor.chain }
    }

    /// The revision that comes next.
    pub(crate) fn next(&self) -> Revision {
        self.revision.next()
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// It is another one.
    pub(crate) fn take(&mut self, event: &Event) -> Result<(), StoreError> {
        let wanted = self.next();
        if event.revision != wanted {
            let why = format!("the history has event {} in place of {wanted}", event.revision);
            return Err(StoreError::Storage(why));
        }
        if !event.follows(self.chain) {
            let why = format!("event {wanted} does not follow from the one before it");
            return Err(StoreError::Storage(why));
        }
        (self.revision, self.chain) = (event.revision, event.chain);
        Ok(())
    }

    /// Whether all was read that leads to `meta`.
    ///
    /// # Errors
    /// It ends before, or elsewhere.
    pub(crate) fn reach(&self, meta: &Meta) -> Result<(), StoreError> {
        if (self.revision, self.chain) == (meta.revision, meta.chain) {
            return Ok(());
        }
        let (here, there) = (self.revision, meta.revision);
        let why = format!("the history ends at event {here}, and the state at {there} of another");
        Err(StoreError::Storage(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Action, WallMs};

    fn event(revision: u64, before: Chain) -> Event {
        Event {
            revision: Revision(revision),
            at: WallMs(revision),
            actor: None,
            action: Action::StateSet,
            subject: "k".into(),
            new: None,
            previous: None,
            chain: Chain::default(),
        }
        .seal(before)
    }

    #[test]
    fn only_a_whole_history_reaches_the_state() {
        let anchor = Anchor { revision: Revision(4), chain: Chain([4; 32]) };
        let (five, foreign) = (event(5, anchor.chain), event(6, Chain([9; 32])));
        let six = event(6, five.chain);
        let meta = Meta { revision: six.revision, chain: six.chain, ..Meta::default() };
        let mut links = ChainCheck::after(&anchor);
        assert!(links.take(&six).is_err(), "event 5 is missing");
        links.take(&five).unwrap();
        assert!(links.take(&five).is_err(), "it came twice");
        assert!(links.take(&foreign).is_err(), "it follows another");
        assert!(links.reach(&meta).is_err(), "event 6 is missing");
        links.take(&six).unwrap();
        links.reach(&meta).unwrap();
        let elsewhere = Meta { chain: foreign.chain, ..meta };
        assert!(links.reach(&elsewhere).is_err(), "the state is of another history");
    }
}

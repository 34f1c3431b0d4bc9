//! Checks a history that is read from its anchor upwards: no event is missing, each
//! follows from the one before, and the last one leads to the state.

use crate::machine::meta::Anchor;
use crate::machine::{Chain, Event, Meta, Revision};
use crate::store::StoreError;

/// The check of one history, and how far it has come.
pub(crate) struct ChainCheck {
    revision: Revision,
    chain: Chain,
}

impl ChainCheck {
    /// Begins a check; the event after the anchor comes first.
    pub(crate) fn after(anchor: &Anchor) -> ChainCheck {
        ChainCheck { revision: anchor.revision, chain: anchor.chain }
    }

    /// The revision of the next event.
    pub(crate) fn next(&self) -> Revision {
        self.revision.next()
    }

    /// Checks the next event.
    ///
    /// # Errors
    /// When it is not the next one, or does not follow from the one before.
    pub(crate) fn check(&mut self, event: &Event) -> Result<(), StoreError> {
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

    /// Checks that the events so far lead to the state at `meta`.
    ///
    /// # Errors
    /// When they end before it, or lead elsewhere.
    pub(crate) fn finish(&self, meta: &Meta) -> Result<(), StoreError> {
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
    fn only_a_complete_history_leads_to_the_state() {
        let anchor = Anchor { revision: Revision(4), chain: Chain([4; 32]) };
        let (five, foreign) = (event(5, anchor.chain), event(6, Chain([9; 32])));
        let six = event(6, five.chain);
        let meta = Meta { revision: six.revision, chain: six.chain, ..Meta::default() };
        let mut check = ChainCheck::after(&anchor);
        assert!(check.check(&six).is_err(), "event 5 is missing");
        check.check(&five).unwrap();
        assert!(check.check(&five).is_err(), "event 5 came twice");
        assert!(check.check(&foreign).is_err(), "it follows another event 5");
        assert!(check.finish(&meta).is_err(), "event 6 is missing");
        check.check(&six).unwrap();
        check.finish(&meta).unwrap();
        let elsewhere = Meta { chain: foreign.chain, ..meta };
        assert!(check.finish(&elsewhere).is_err(), "the state is of another history");
    }
}

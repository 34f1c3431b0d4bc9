//! The clients' answers against the cluster's own history, which is one chain
//! and the same on every node: what was acknowledged is in it once, what was
//! refused is not, and each token was given out once.

use std::collections::BTreeMap;

use super::Violation;

/// An event, as far as the checks need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub revision: u64,
    pub action: String,
    pub subject: String,
    pub agent: Option<String>,
    /// The value or the output that was written, as JSON text.
    pub value: Option<String>,
}

/// What a client knows that must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was told that this value was written, at this revision.
    Written { subject: String, value: String, revision: u64 },
    /// It was told that nothing was written.
    Absent { value: String },
    /// It was told that this output of a step was stored, as its own.
    Stored { subject: String, agent: String, output: String },
    /// It was given this token.
    Granted { action: &'static str, subject: String, agent: String, token: u64 },
}

/// The history of a run.
pub struct History(BTreeMap<u64, Event>);

impl History {
    pub fn new(events: Vec<Event>) -> History {
        History(events.into_iter().map(|event| (event.revision, event)).collect())
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Holds all facts against the history.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn judge(&self, facts: &[Fact]) -> Result<(), Violation> {
        let values = self.values_are_unique()?;
        facts.iter().try_for_each(|fact| self.fits(fact, &values))
    }

    /// Clients write each value once, so one that is there twice was carried out
    /// twice.
    fn values_are_unique(&self) -> Result<BTreeMap<&str, u64>, Violation> {
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        for event in self.0.values() {
            let Some(value) = event.value.as_deref() else { continue };
            if let Some(first) = seen.insert(value, event.revision) {
                let text = format!("carried out twice, at {first} and again: {event:?}");
                return Err(Violation(text));
            }
        }
        Ok(seen)
    }

    fn fits(&self, fact: &Fact, values: &BTreeMap<&str, u64>) -> Result<(), Violation> {
        match fact {
            Fact::Written { subject, value, revision } => {
                let event = self.0.get(revision);
                let there = event.is_some_and(|event| {
                    event.subject == *subject && event.value.as_ref() == Some(value)
                });
                if !there {
                    return Err(Violation(format!("lost: {fact:?}, there is {event:?}")));
                }
            }
            Fact::Stored { subject, agent, output } => {
                let event = values.get(output.as_str()).and_then(|at| self.0.get(at));
                let there = event.is_some_and(|event| {
                    event.subject == *subject && event.agent.as_ref() == Some(agent)
                });
                if !there {
                    return Err(Violation(format!("not its own: {fact:?}, there is {event:?}")));
                }
            }
            Fact::Absent { value } => {
                if let Some(at) = values.get(value.as_str()) {
                    return Err(Violation(format!("refused, but written at {at}: {fact:?}")));
                }
            }
            Fact::Granted { action, subject, agent, token } => {
                let event = self.0.get(token);
                let there = event.is_some_and(|event| {
                    event.action == *action
                        && event.subject == *subject
                        && event.agent.as_ref() == Some(agent)
                });
                if !there {
                    let text = format!("a token that is no grant's: {fact:?}, there is {event:?}");
                    return Err(Violation(text));
                }
            }
        }
        Ok(())
    }
}

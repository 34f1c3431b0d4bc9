//! Entries of the stream that is the history. Beside the encoded event, an entry
//! names the row that the event is about, for the scripts. The members of the
//! index, by which events are found, are made here too.

use sha2::{Digest, Sha256};

use crate::codec;
use crate::machine::subject::Noun;
use crate::machine::{Action, Event, Revision};

/// The entry's number, then its fields and values: the event; if it is about a row,
/// the kind and the name of the row; and if it is a checkpoint, the step.
pub fn event_entry(event: &Event) -> Vec<Vec<u8>> {
    let mut entry = vec![
        event.revision.0.to_string().into_bytes(),
        b"event".to_vec(),
        codec::encode_event(event).to_vec(),
    ];
    if let Some((kind, name)) = row_of(event) {
        entry.extend([kind.as_bytes().to_vec(), name.as_bytes().to_vec()]);
        if let Some(step) = step_of(event) {
            entry.extend([b"step".to_vec(), step.into_bytes()]);
        }
    }
    entry
}

/// The kind and name of the row that an event is about.
fn row_of(event: &Event) -> Option<(&'static str, &str)> {
    let (noun, name) = event.about()?;
    let kind = match noun {
        Noun::Key => "key",
        Noun::Run => "run",
        Noun::Lease => "lease",
        Noun::Session => "session",
        Noun::Schedule => "schedule",
        Noun::Pause => "pause",
        // A reset removes every row that earlier events could be about.
        Noun::State => return None,
    };
    Some((kind, name))
}

/// The step of a checkpoint, in the digits that the field ends with.
fn step_of(event: &Event) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Described {
        step: u64,
    }
    if event.action != Action::WorkflowCheckpoint {
        return None;
    }
    let described: Described = serde_json::from_str(event.new.as_ref()?.as_str()).ok()?;
    Some(format!("{:016x}", described.step))
}

/// A property by which events are found.
#[derive(Clone, Copy, Debug)]
pub enum EventProperty<'a> {
    Subject(&'a str),
    Actor(&'a str),
    Action(Action),
}

impl EventProperty<'_> {
    /// The beginning of the index members of events with this property. It is a
    /// hash, because names are up to 1 KiB long and every event has up to three
    /// members.
    pub fn prefix(self) -> Vec<u8> {
        let (kind, text) = match self {
            EventProperty::Subject(text) => (b's', text),
            EventProperty::Actor(text) => (b'a', text),
            EventProperty::Action(action) => (b'k', action.as_str()),
        };
        let digest = Sha256::digest(text.as_bytes());
        // With half of the hash, a collision is likely only among 2^64 names.
        [&[kind], &digest[..16]].concat()
    }
}

/// The index members of an event.
pub fn event_members(event: &Event) -> Vec<Vec<u8>> {
    let properties = [EventProperty::Subject(&event.subject), EventProperty::Action(event.action)];
    let actor = event.actor.as_deref().map(EventProperty::Actor);
    let revision = revision_decimal(event.revision);
    let member = |property: EventProperty<'_>| [&property.prefix(), revision.as_bytes()].concat();
    properties.into_iter().chain(actor).map(member).collect()
}

/// A revision as index members end with it: in digits that a script can read.
pub fn revision_decimal(revision: Revision) -> String {
    format!("{:020}", revision.0)
}

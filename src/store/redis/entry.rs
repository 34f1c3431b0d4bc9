//! Entries of the stream: an event with the names of the rows that it is about
//! beside it, for scripts to read; and the members under which it is found.

use sha2::{Digest, Sha256};

use crate::codec;
use crate::machine::{Action, Event, Revision};

/// The entry's number, then its fields and their values. Always the event; if
/// it is about a row, the row's kind and name; the step of a checkpoint.
pub fn entry(event: &Event) -> Vec<Vec<u8>> {
    let mut entry = vec![
        event.revision.0.to_string().into_bytes(),
        b"event".to_vec(),
        codec::encode_event(event).to_vec(),
    ];
    if let Some((kind, name)) = named(event) {
        entry.extend([kind.as_bytes().to_vec(), name.as_bytes().to_vec()]);
        if let Some(step) = step_of(event) {
            entry.extend([b"step".to_vec(), step.into_bytes()]);
        }
    }
    entry
}

/// The kind and name of the row that an event is about.
fn named(event: &Event) -> Option<(&'static str, &str)> {
    let kind = match event.action {
        Action::StateSet | Action::StateDelete | Action::StateExpire => {
            return Some(("key", &event.subject));
        }
        Action::WorkflowCreate
        | Action::WorkflowClaim
        | Action::WorkflowHeartbeat
        | Action::WorkflowRelease
        | Action::WorkflowCheckpoint
        | Action::WorkflowComplete
        | Action::WorkflowFail
        | Action::WorkflowRetry
        | Action::WorkflowCancel => ("run", "workflow:"),
        Action::LeaseAcquire | Action::LeaseRenew | Action::LeaseRelease | Action::LeaseExpire => {
            ("lease", "lease:")
        }
        Action::SessionSave | Action::SessionDelete => ("session", "session:"),
        // After it there is nothing that events before it have touched.
        Action::SidecarReset => return None,
    };
    event.subject.strip_prefix(kind.1).map(|name| (kind.0, name))
}

/// The step that a checkpoint is about, as it ends its field.
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

/// By what an event is found: what it happened to, by whom, and its kind.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    Subject(&'a str),
    Actor(&'a str),
    Action(Action),
}

impl By<'_> {
    /// The beginning of the members of such events. A hash, because each event
    /// has one of these for each kind, and names are up to 1 KiB long.
    pub fn prefix(self) -> Vec<u8> {
        let (kind, text) = match self {
            By::Subject(text) => (b's', text),
            By::Actor(text) => (b'a', text),
            By::Action(action) => (b'k', action.as_str()),
        };
        let digest = Sha256::digest(text.as_bytes());
        // Half of it: 2^64 names for one collision.
        [&[kind], &digest[..16]].concat()
    }
}

/// The members under which an event is found.
pub fn event_members(event: &Event) -> Vec<Vec<u8>> {
    let by = [By::Subject(&event.subject), By::Action(event.action)];
    let actor = event.actor.as_deref().map(By::Actor);
    let revision = revision_decimal(event.revision);
    let member = |by: By<'_>| [&by.prefix(), revision.as_bytes()].concat();
    by.into_iter().chain(actor).map(member).collect()
}

/// A revision as event members end with it: digits that a script can read.
pub fn revision_decimal(revision: Revision) -> String {
    format!("{:020}", revision.0)
}

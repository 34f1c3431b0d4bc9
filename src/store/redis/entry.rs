//! Entries: an event as it lies in the stream, with the names of the rows that
//! it is about beside it, for scripts to read.

use super::layout;
use crate::codec;
use crate::machine::{Action, Event};

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
    Some(layout::step_number(described.step))
}

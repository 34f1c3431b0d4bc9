//! A placeholder for the codec's form of an event.

use std::sync::Arc;

use crate::machine::value::{Json, WallMs};
use crate::machine::{Chain, Event, Revision};

pub(super) fn encode_event(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(event.revision.0.to_be_bytes());
    out.extend(event.at.0.to_be_bytes());
    out.extend(event.chain.0);
    for field in [
        event.actor.as_deref(),
        Some(event.action.as_str()),
        Some(&*event.subject),
        event.new.as_ref().map(Json::as_str),
        event.previous.as_ref().map(Json::as_str),
    ] {
        match field {
            Some(text) => {
                out.extend((text.len() as u32 + 1).to_be_bytes());
                out.extend(text.as_bytes());
            }
            None => out.extend(0u32.to_be_bytes()),
        }
    }
    out
}

pub(super) fn decode_event(mut bytes: &[u8]) -> Option<Event> {
    let revision = Revision(u64::from_be_bytes(take(&mut bytes)?));
    let at = WallMs(u64::from_be_bytes(take(&mut bytes)?));
    let chain = Chain(take(&mut bytes)?);
    let actor = text(&mut bytes)?;
    let action = text(&mut bytes)??.parse().ok()?;
    let subject = text(&mut bytes)??;
    let new = text(&mut bytes)?.map(Json::new);
    let previous = text(&mut bytes)?.map(Json::new);
    Some(Event { revision, at, actor, action, subject, new, previous, chain })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn text(bytes: &mut &[u8]) -> Option<Option<Arc<str>>> {
    let len = u32::from_be_bytes(take(bytes)?);
    let Some(len) = len.checked_sub(1) else { return Some(None) };
    let (head, rest) = bytes.split_at_checked(len as usize)?;
    *bytes = rest;
    Some(Some(std::str::from_utf8(head).ok()?.into()))
}

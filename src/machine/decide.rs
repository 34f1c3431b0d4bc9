//! `decide`: one ordered command in, one decision out. What was asked before
//! is answered as before; a rule that panics changes nothing, on every replica
//! alike.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::change::Decision;
use super::command::Envelope;
use super::draft::Draft;
use super::remembered::{self, Recalled};
use super::reply::{Refusal, RefusalCode, Reply};
use super::row::Meta;
use super::rules;
use super::view::View;

pub use super::remembered::REQUESTS_MAX;

/// Decides `envelope` over the state that `view` shows.
///
/// The clocks of the command count only where they are ahead of the state's.
///
/// # Errors
///
/// Only those of the view; what a rule refuses is a [`Reply`].
pub fn decide<V: View>(envelope: &Envelope, view: &V) -> Result<Decision, V::Error> {
    let meta = advance(view.meta()?, envelope);
    // Unwind safe: the rules change nothing but their own draft, which a panic
    // throws away.
    let attempt = catch_unwind(AssertUnwindSafe(|| attempt(envelope, view, meta.clone())));
    attempt.unwrap_or_else(|_| Ok(unchanged(fault(), meta)))
}

fn advance(meta: Meta, envelope: &Envelope) -> Meta {
    Meta { clock: meta.clock.max(envelope.clock), wall: meta.wall.max(envelope.wall), ..meta }
}

fn attempt<V: View>(envelope: &Envelope, view: &V, meta: Meta) -> Result<Decision, V::Error> {
    let mut draft = Draft::new(view, envelope, meta.clone());
    let (reply, fresh) = match remembered::recall(envelope, &draft)? {
        Recalled::Attempt(reply) => return Ok(unchanged(reply, meta)),
        Recalled::Request(reply) => (reply, false),
        Recalled::Nothing => (carry_out(envelope, &mut draft, meta)?, true),
    };
    remembered::remember(envelope, &mut draft, &reply, fresh)?;
    draft.end(reply)
}

fn carry_out<V: View>(
    envelope: &Envelope,
    draft: &mut Draft<'_, V>,
    before: Meta,
) -> Result<Reply, V::Error> {
    let mut reply = rules::carry_out(draft, &envelope.command, envelope.random)?;
    if envelope.state_bytes_max.is_some() && envelope.command.kind().stores_value {
        let refusal = over_quota(envelope, &before, &draft.position()?);
        reply = refusal.map_or(reply, Reply::Refused);
    }
    // By construction a refusal changes nothing, however far the rule got.
    if let Reply::Refused(_) = reply {
        draft.undo(before);
    }
    Ok(reply)
}

/// Refuses what stores a caller's value where that makes a state larger that is
/// over its quota, or would be. All else goes on, so that whoever is over it
/// can finish work and make room.
fn over_quota(envelope: &Envelope, before: &Meta, after: &Meta) -> Option<Refusal> {
    let max = envelope.state_bytes_max?;
    let grows = after.state_bytes > before.state_bytes;
    if after.state_bytes <= max || !grows || !envelope.command.kind().stores_value {
        return None;
    }
    let message = format!(
        "the state would be {} bytes, and may be {max}; it is {}",
        after.state_bytes, before.state_bytes
    );
    Some(Refusal { code: RefusalCode::QuotaExceeded, message: message.into() })
}

fn unchanged(reply: Reply, meta: Meta) -> Decision {
    Decision { reply, changes: Vec::new(), events: Vec::new(), meta }
}

fn fault() -> Reply {
    Reply::Refused(Refusal {
        code: RefusalCode::Internal,
        message: "a rule failed on this command; nothing was changed".into(),
    })
}

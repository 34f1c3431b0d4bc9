//! Deciding commands: one ordered command in, one decision out. A repeated command
//! gets its first reply again; a rule that panics changes nothing, on every
//! replica alike.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::change::Decision;
use super::command::Envelope;
use super::draft::Draft;
use super::meta::Meta;
use super::remembered::{self, Recalled};
use super::reply::{Refusal, RefusalCode, Reply};
use super::rules;
use super::view::View;

pub use super::remembered::REQUESTS_MAX;

/// Decides `envelope` over the state that `view` shows.
///
/// The clocks of the command are ignored where they are behind those of the
/// state, so that time never falls.
///
/// # Errors
///
/// Those of the view. What a rule refuses is a [`Reply`], not an error.
pub fn decide<V: View>(envelope: &Envelope, view: &V) -> Result<Decision, V::Error> {
    let meta = advance(view.meta()?, envelope);
    // Catching the panic is safe: the rules change only their own draft, which is
    // lost with it.
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
    if let Some(refusal) = remembered::objection(envelope, draft)? {
        return Ok(refusal);
    }
    let mut reply = rules::carry_out(draft, &envelope.command, envelope.random)?;
    // Everything else stays allowed, so that callers can finish their work and make
    // room.
    if envelope.command.kind().stores_value
        && let Some(message) = draft.over_quota(&before)?
    {
        reply = Reply::Refused(Refusal { code: RefusalCode::QuotaExceeded, message });
    }
    // A refusal changes nothing, however far the rule got.
    if let Reply::Refused(_) = reply {
        draft.undo(before);
    }
    Ok(reply)
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

//! Remembered requests: a command asked again gives its first answer and
//! changes nothing. Two kinds: a node's own attempts (section 6.3 of Ongaro's
//! thesis on Raft) and the idempotency keys of agents.

use super::command::{Envelope, Idempotency, Origin};
use super::draft::Draft;
use super::lookup;
use super::reply::{Refusal, RefusalCode, Reply};
use super::row::{OriginRow, RequestRow, Row, RowId};
use super::view::View;

/// Most requests with an idempotency key that are remembered at a time; the
/// oldest make room. At some 300 bytes each they stay below 64 MB, transactions that
/// read large values aside.
pub const REQUESTS_MAX: u64 = 200_000;

/// Whether a command was asked before.
pub enum Recalled {
    /// This very attempt was answered.
    Attempt(Reply),
    /// The agent's request was answered, in an earlier attempt.
    Request(Reply),
    /// It is new.
    Nothing,
}

/// Looks for an earlier answer to the command.
pub fn recall<V: View>(envelope: &Envelope, draft: &Draft<'_, V>) -> Result<Recalled, V::Error> {
    if let Some(origin) = &envelope.origin
        && let Some(reply) = recall_attempt(origin, draft)?
    {
        return Ok(Recalled::Attempt(reply));
    }
    let Some(idempotency) = &envelope.idempotency else { return Ok(Recalled::Nothing) };
    let row = draft.row(&RowId::Request(idempotency.key.clone()))?;
    Ok(match row.as_deref() {
        Some(Row::Request(_, row)) if row.forgotten_at() > draft.now() => {
            Recalled::Request(answer_to(idempotency, row))
        }
        Some(_) | None => Recalled::Nothing,
    })
}

/// What asking again under a key gives, for whom it was answered so.
pub fn answer_to(idempotency: &Idempotency, row: &RequestRow) -> Reply {
    if row.digest == idempotency.digest {
        return row.reply.clone();
    }
    refuse(format!("idempotency_key: '{}' was used before with other arguments", idempotency.key))
}

/// Writes down what is needed for asking again to give `reply`. `fresh` is false
/// where the reply itself was remembered.
pub fn remember<V: View>(
    envelope: &Envelope,
    draft: &mut Draft<'_, V>,
    reply: &Reply,
    fresh: bool,
) -> Result<(), V::Error> {
    if let Some(origin) = &envelope.origin {
        remember_attempt(origin, draft, reply)?;
    }
    if let Some(idempotency) = &envelope.idempotency
        && fresh
        && is_final(reply, draft.is_stepwise())
    {
        remember_request(idempotency, draft, reply)?;
    }
    Ok(())
}

/// Whether asking again is to give this very reply. Not where nothing happened
/// because something was in the way, or there was nothing to be had: the agent
/// may ask again once that has changed.
fn is_final(reply: &Reply, stepwise: bool) -> bool {
    match reply {
        Reply::Refused(_) => false,
        Reply::Claimed(claimed) => claimed.claimed || claimed.run_id.is_some() || !stepwise,
        Reply::Acquired(acquired) => acquired.acquired || !stepwise,
        _ => true,
    }
}

fn recall_attempt<V: View>(
    origin: &Origin,
    draft: &Draft<'_, V>,
) -> Result<Option<Reply>, V::Error> {
    let row = draft.row(&RowId::Origin(origin.session))?;
    let Some(Row::Origin(_, row)) = row.as_deref() else { return Ok(None) };
    let answer = draft.row(&RowId::Answer(origin.session, origin.sequence))?;
    if let Some(Row::Answer(_, _, reply)) = answer.as_deref() {
        return Ok(Some(Reply::clone(reply)));
    }
    // Its answer has arrived, so this copy was late and nobody waits for it.
    Ok((origin.sequence < row.lowest).then(|| {
        refuse(format!(
            "origin: sequence {} was answered before; the lowest outstanding is {}",
            origin.sequence, row.lowest
        ))
    }))
}

fn remember_attempt<V: View>(
    origin: &Origin,
    draft: &mut Draft<'_, V>,
    reply: &Reply,
) -> Result<(), V::Error> {
    // A sweep may just have removed it.
    let row = draft.before(&RowId::Origin(origin.session))?;
    let known = match row.as_deref() {
        Some(Row::Origin(_, row)) => row.lowest,
        Some(_) | None => 0,
    };
    // Never above the attempt itself: its own answer is still outstanding.
    let lowest = known.max(origin.lowest.min(origin.sequence));
    let seen_at = draft.now();
    draft.put(Row::Origin(origin.session, OriginRow { lowest, seen_at }));
    if lowest > known {
        draft.drop_answers_below(origin.session, lowest);
    }
    draft.put(Row::Answer(origin.session, origin.sequence, Box::new(reply.clone())));
    Ok(())
}

fn remember_request<V: View>(
    idempotency: &Idempotency,
    draft: &mut Draft<'_, V>,
    reply: &Reply,
) -> Result<(), V::Error> {
    if draft.meta()?.counts.requests >= REQUESTS_MAX
        && let Some(oldest) = lookup::oldest_request(draft)?
    {
        draft.remove(RowId::Request(oldest));
    }
    let row = RequestRow { digest: idempotency.digest, reply: reply.clone(), at: draft.now() };
    draft.put(Row::Request(idempotency.key.clone(), Box::new(row)));
    Ok(())
}

fn refuse(message: String) -> Reply {
    Reply::Refused(Refusal { code: RefusalCode::InvalidArgument, message: message.into() })
}

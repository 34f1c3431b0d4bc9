//! Remembered requests: a command asked again gives its first answer and
//! changes nothing. Two kinds: a node's own attempts (section 6.3 of Ongaro's
//! thesis on Raft) and the idempotency keys of agents.

use super::change::Change;
use super::command::{Envelope, Idempotency, Origin};
use super::reply::{Refusal, RefusalCode, Reply};
use super::row::{OriginRow, RequestRow};
use super::value::ClusterMs;
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
pub fn recall<V: View>(
    envelope: &Envelope,
    view: &V,
    now: ClusterMs,
) -> Result<Recalled, V::Error> {
    if let Some(origin) = &envelope.origin
        && let Some(reply) = recall_attempt(origin, view)?
    {
        return Ok(Recalled::Attempt(reply));
    }
    let Some(idempotency) = &envelope.idempotency else { return Ok(Recalled::Nothing) };
    let row = view.request(&idempotency.key)?.filter(|row| row.forgotten_at() > now);
    Ok(match row {
        None => Recalled::Nothing,
        Some(row) if row.digest == idempotency.digest => Recalled::Request(row.reply),
        Some(_) => Recalled::Request(refuse(format!(
            "idempotency_key: '{}' was used before with other arguments",
            idempotency.key
        ))),
    })
}

/// What is to be changed so that asking again gives `reply`. `fresh` is false
/// where the reply itself was remembered.
pub fn remember<V: View>(
    envelope: &Envelope,
    view: &V,
    now: ClusterMs,
    reply: &Reply,
    fresh: bool,
) -> Result<Vec<Change>, V::Error> {
    let mut changes = Vec::new();
    if let Some(origin) = &envelope.origin {
        remember_attempt(origin, view, now, reply, &mut changes)?;
    }
    // A refusal is not remembered: what was asked for never happened, and the
    // agent may ask again once the cause is gone.
    let refused = matches!(reply, Reply::Refused(_));
    if let Some(idempotency) = &envelope.idempotency
        && fresh
        && !refused
    {
        remember_request(idempotency, view, now, reply, &mut changes)?;
    }
    Ok(changes)
}

fn recall_attempt<V: View>(origin: &Origin, view: &V) -> Result<Option<Reply>, V::Error> {
    let Some(row) = view.origin(origin.session)? else { return Ok(None) };
    if let Some(reply) = view.answer(origin.session, origin.sequence)? {
        return Ok(Some(reply));
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
    view: &V,
    now: ClusterMs,
    reply: &Reply,
    changes: &mut Vec<Change>,
) -> Result<(), V::Error> {
    let known = view.origin(origin.session)?.map_or(0, |row| row.lowest);
    // Never above the attempt itself: its own answer is still outstanding.
    let lowest = known.max(origin.lowest.min(origin.sequence));
    changes.push(Change::PutOrigin(origin.session, OriginRow { lowest, seen_at: now }));
    if lowest > known {
        changes.push(Change::DropAnswersBelow(origin.session, lowest));
    }
    changes.push(Change::PutAnswer(origin.session, origin.sequence, reply.clone()));
    Ok(())
}

fn remember_request<V: View>(
    idempotency: &Idempotency,
    view: &V,
    now: ClusterMs,
    reply: &Reply,
    changes: &mut Vec<Change>,
) -> Result<(), V::Error> {
    let (count, oldest) = view.oldest_request()?;
    if count >= REQUESTS_MAX
        && let Some(oldest) = oldest
    {
        changes.push(Change::DropRequest(oldest));
    }
    let row = RequestRow { digest: idempotency.digest, reply: reply.clone(), at: now };
    changes.push(Change::PutRequest(idempotency.key.clone(), row));
    Ok(())
}

fn refuse(message: String) -> Reply {
    Reply::Refused(Refusal { code: RefusalCode::InvalidArgument, message: message.into() })
}

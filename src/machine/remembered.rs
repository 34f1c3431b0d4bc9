//! Remembered requests: a repeated command gets its first reply again and changes
//! nothing. A node repeats its commands after a change of leader (section 6.3 of
//! Ongaro's thesis on Raft), and an agent repeats a request with the same
//! idempotency key.

use super::command::{Envelope, Idempotency, Origin};
use super::describe;
use super::draft::Draft;
use super::lookup;
use super::reply::{Refusal, RefusalCode, Reply};
use super::row::{OriginRow, RequestRow, Row};
use super::row_id::RowId;
use super::view::View;

/// The most requests with an idempotency key that are remembered, which is 138 a
/// second for the hour that each is remembered. At some 300 bytes each they take less
/// than 160 MB, apart from transactions that read large values.
pub const REQUESTS_MAX: u64 = 500_000;

/// The same for earlier rules, by which a new request replaced the oldest.
const REQUESTS_REPLACED_MAX: u64 = 200_000;

/// Whether a command was answered before.
pub enum Recalled {
    /// The node's command was answered.
    Attempt(Reply),
    /// The agent's request was answered, as another command of a node.
    Request(Reply),
    /// The command is new.
    Nothing,
}

/// Looks for an earlier reply to the command.
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

/// The reply to a request whose idempotency key was used before, for `row`.
pub fn answer_to(idempotency: &Idempotency, row: &RequestRow) -> Reply {
    if row.digest == idempotency.digest {
        return row.reply.clone();
    }
    refuse(format!("idempotency_key: '{}' was used before with other arguments", idempotency.key))
}

/// Why the command cannot be remembered, and therefore not be carried out: there are too
/// many already, and to forget one would break the promise made for it. Earlier rules
/// forgot the oldest.
pub fn objection<V: View>(
    envelope: &Envelope,
    draft: &Draft<'_, V>,
) -> Result<Option<Reply>, V::Error> {
    let is_full = envelope.idempotency.is_some()
        && draft.counts_lapses()
        && draft.meta()?.counts.requests >= REQUESTS_MAX;
    if !is_full {
        return Ok(None);
    }
    let Some(oldest) = lookup::oldest_request(draft)? else { return Ok(None) };
    let oldest = draft.row(&RowId::Request(oldest))?;
    let Some(Row::Request(_, oldest)) = oldest.as_deref() else { return Ok(None) };
    let free_at = oldest.forgotten_at();
    if free_at <= draft.now() {
        return Ok(None);
    }
    let message = format!(
        "idempotency_key: {REQUESTS_MAX} requests are remembered, which is the most; there is \
         room again at {}",
        describe::seconds(free_at)
    );
    let code = RefusalCode::QuotaExceeded;
    Ok(Some(Reply::Refused(Refusal { code, message: message.into() })))
}

/// Stores `reply` so that a repetition of the command gets it. `fresh` must be
/// false where the reply itself was a remembered one.
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

/// Whether a repetition must get this reply. A refusal is not final, and neither is
/// the reply that nothing could be claimed or acquired: the agent may repeat the
/// request until it succeeds. The first rules remembered the latter.
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
    // The node has received the answer, so this copy is late and nobody waits for
    // it.
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
    // The row before the command, because this very command may be a sweep that
    // has removed it.
    let row = draft.before(&RowId::Origin(origin.session))?;
    let known = match row.as_deref() {
        Some(Row::Origin(_, row)) => row.lowest,
        Some(_) | None => 0,
    };
    // At most the command's own sequence, because its answer is still
    // outstanding.
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
    let most = if draft.counts_lapses() { REQUESTS_MAX } else { REQUESTS_REPLACED_MAX };
    if draft.meta()?.counts.requests >= most
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

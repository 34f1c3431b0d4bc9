//! Fences: conditions that a lease is held. They are checked together with the
//! write, so that a holder that was away for long cannot overwrite what its
//! successor did (Kleppmann, "How to do distributed locking", 2016).

use crate::machine::command::Fence;
use crate::machine::draft::Draft;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The reason why the fence forbids the write, if it does.
pub fn objection<V: View>(
    draft: &Draft<'_, V>,
    fence: Option<&Fence>,
) -> Result<Option<Text>, V::Error> {
    let Some(Fence { resource_id, token }) = fence else { return Ok(None) };
    let Some(lease) = draft.lease(resource_id)? else {
        return Ok(Some(format!("fence: nobody holds lease '{resource_id}'").into()));
    };
    if lease.holders.iter().any(|holder| holder.token == *token) {
        return Ok(None);
    }
    let tokens: Vec<_> = lease.holders.iter().map(|holder| holder.token.to_string()).collect();
    let (tokens, s) = (tokens.join(", "), if lease.holders.len() > 1 { "s" } else { "" });
    let why = format!("fence: lease '{resource_id}' is held with token{s} {tokens}, not {token}");
    Ok(Some(why.into()))
}

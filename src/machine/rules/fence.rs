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
    Ok(match draft.lease(resource_id)? {
        None => Some(format!("fence: nobody holds lease '{resource_id}'").into()),
        Some(lease) if lease.token != *token => Some(
            format!("fence: lease '{resource_id}' is held with token {}, not {token}", lease.token)
                .into(),
        ),
        Some(_) => None,
    })
}

//! Exports: the whole state as the stream of [`crate::export`], in messages.

use futures::stream::{self, Stream, StreamExt};
use tonic::Status;

use super::{Api, error, timeout};
use crate::export::{self, Origin, WriteError};
use crate::proto::sidecar as proto;
use crate::service::ServiceError;

/// The state as it is now. Each message is made when the one before it has
/// gone out, so a slow reader holds a few batches and an old state; one that
/// takes nothing at all is given up by the store.
pub(super) async fn chunks(
    api: &Api,
    request: proto::ExportRequest,
) -> Result<impl Stream<Item = Result<proto::ExportChunk, Status>> + Send + 'static, ServiceError> {
    let timeout = timeout(request.timeout_ms)?;
    let backend = api.service.health().await.backend;
    let export = api.service.export(timeout).await?;
    let bytes = Box::pin(export::encode(export, Origin::here(backend)));
    let start = (bytes, api.stop.clone());
    Ok(stream::try_unfold(start, |(mut bytes, stop)| async move {
        let stopping = || ServiceError::unavailable("unavailable: the server is stopping");
        let next = stop.run_until_cancelled(bytes.next()).await;
        let Some(next) = next.ok_or_else(|| error::status(stopping()))? else { return Ok(None) };
        let data = next.map_err(|error| error::status(failed(error)))?;
        Ok(Some((proto::ExportChunk { data }, (bytes, stop))))
    }))
}

fn failed(error: WriteError) -> ServiceError {
    match error {
        WriteError::Store(error) => error.into(),
        WriteError::Broken(_) => ServiceError::internal(error.to_string()),
    }
}

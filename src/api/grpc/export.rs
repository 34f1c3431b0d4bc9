//! Exports: the whole state as the stream of [`crate::export`], in messages.

use futures::stream::{self, Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{error, permission, request};
use crate::access::Caller;
use crate::api::observed::observed;
use crate::export::{self, ExportEncodeError, ExportOrigin};
use crate::proto::sidecar as proto;
use crate::service::{Service, ServiceError};

/// The state as it is now, for an administrator. Each message is made only when
/// the one before it has been sent, so a slow reader holds a few batches and an
/// old state; the store gives up on one that reads nothing at all.
pub(super) async fn export(
    service: &Service,
    stop: CancellationToken,
    caller: &Caller,
    request: proto::ExportRequest,
) -> Result<impl Stream<Item = Result<proto::ExportChunk, Status>> + Send + 'static, ServiceError> {
    observed("export", async {
        permission::to_export(caller)?;
        chunks(service, stop, request).await
    })
    .await
}

async fn chunks(
    service: &Service,
    stop: CancellationToken,
    request: proto::ExportRequest,
) -> Result<impl Stream<Item = Result<proto::ExportChunk, Status>> + Send + 'static, ServiceError> {
    let timeout = request::timeout(request.timeout_ms)?;
    let backend = service.health().await.backend;
    let export = service.export(timeout).await?;
    let bytes = Box::pin(export::encode(export, ExportOrigin::here(backend)));
    Ok(stream::try_unfold((bytes, stop), |(mut bytes, stop)| async move {
        let stopping = || ServiceError::unavailable("unavailable: the server is stopping");
        let next = stop.run_until_cancelled(bytes.next()).await;
        let Some(next) = next.ok_or_else(|| error::status(stopping()))? else { return Ok(None) };
        let data = next.map_err(|error| error::status(failed(error)))?;
        Ok(Some((proto::ExportChunk { data }, (bytes, stop))))
    }))
}

fn failed(error: ExportEncodeError) -> ServiceError {
    match error {
        ExportEncodeError::Store(error) => error.into(),
        ExportEncodeError::Broken(_) => ServiceError::internal(error.to_string()),
    }
}

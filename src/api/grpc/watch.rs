//! Watches: a stream of the changes of some keys, as they happen.

use std::time::Duration;

use futures::stream::{self, Stream};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{error, request};
use crate::limits;
use crate::machine::Revision;
use crate::machine::filter::ChangeFilter;
use crate::proto::sidecar as proto;
use crate::service::waiting::KeyChanges;
use crate::service::{Service, ServiceError};

/// How many changes one message may hold.
const EVENTS_MAX: usize = 1000;
/// After this long without a change the client gets an empty message, which
/// shows that the watch is alive.
const QUIET: Duration = limits::WAIT_MAX;

/// How far a watch has got.
#[derive(Clone, Copy)]
enum WatchProgress {
    /// It is about to start, after this revision or now.
    Start(Option<Revision>),
    /// Everything up to this revision has been sent.
    SentUpTo(Revision),
}

/// The changes that `request` asks for. Each message is made only when the one
/// before it has been sent, so a slow reader holds up nothing but itself.
pub(super) fn changes(
    service: Service,
    stop: CancellationToken,
    request: proto::WatchRequest,
) -> Result<impl Stream<Item = Result<proto::WatchReply, Status>> + Send + 'static, ServiceError> {
    let filter = request::filter(request.filter)?;
    // The service checks this too, but only when the stream is first polled: the
    // caller is to hear of it as the status of the call.
    limits::check_filter(&filter)?;
    let start = WatchProgress::Start(request.after_revision.map(Revision));
    Ok(stream::try_unfold(start, move |progress| {
        let (service, filter, stop) = (service.clone(), filter.clone(), stop.clone());
        async move {
            let next = stop.run_until_cancelled(next(&service, filter, progress));
            let stopping = || ServiceError::unavailable("unavailable: the server is stopping");
            let changed = next.await.unwrap_or_else(|| Err(stopping())).map_err(error::status)?;
            let sent = WatchProgress::SentUpTo(changed.revision);
            Ok(Some((reply(changed), sent)))
        }
    }))
}

async fn next(
    service: &Service,
    filter: ChangeFilter,
    progress: WatchProgress,
) -> Result<KeyChanges, ServiceError> {
    match progress {
        // The first message says at once where the watch starts.
        WatchProgress::Start(None) => {
            let revision = service.current_revision().await?;
            Ok(KeyChanges { events: Vec::new(), revision, missed: false })
        }
        WatchProgress::Start(after) => {
            service.wait_for_change(filter, after, QUIET, EVENTS_MAX).await
        }
        WatchProgress::SentUpTo(after) => {
            service.follow_changes(filter, after, QUIET, EVENTS_MAX).await
        }
    }
}

fn reply(changed: KeyChanges) -> proto::WatchReply {
    proto::WatchReply {
        events: changed.events.iter().map(Into::into).collect(),
        revision: changed.revision.0,
        missed: changed.missed,
    }
}

//! Watches: changes of keys as they happen, to whoever listens.

use std::time::Duration;

use futures::stream::{self, Stream};
use tonic::Status;

use super::{Api, check, error};
use crate::limits;
use crate::machine::Revision;
use crate::machine::view::ChangeFilter;
use crate::proto::sidecar as proto;
use crate::service::waiting::KeyChanges;
use crate::service::{Service, ServiceError};

/// Changes in one message.
const EVENTS_MAX: usize = 1000;
/// Where nothing changes for so long, the client is told.
const QUIET: Duration = Duration::from_secs(limits::WAIT_SECONDS_MAX);

/// Where a watch has got to.
enum Position {
    /// Nothing has been looked at yet.
    Start(Option<Revision>),
    /// Everything up to here has been sent.
    Seen(Revision),
}

/// The changes that `request` asks for. Each message is made when the one
/// before it has gone out, so a slow reader holds nothing but itself.
pub(super) fn changes(
    api: &Api,
    request: proto::WatchRequest,
) -> Result<impl Stream<Item = Result<proto::WatchReply, Status>> + Send + 'static, ServiceError> {
    let filter = check::filter(request.filter)?;
    let start = Position::Start(request.after_revision.map(Revision));
    let (service, stop) = (api.service.clone(), api.stop.clone());
    Ok(stream::try_unfold(start, move |position| {
        let (service, filter, stop) = (service.clone(), filter.clone(), stop.clone());
        async move {
            let next = stop.run_until_cancelled(next(&service, filter, position));
            let stopping = || ServiceError::unavailable("unavailable: the server is stopping");
            let changed = next.await.unwrap_or_else(|| Err(stopping())).map_err(error::status)?;
            let seen = changed.revision;
            Ok(Some((reply(changed), Position::Seen(seen))))
        }
    }))
}

async fn next(
    service: &Service,
    filter: ChangeFilter,
    position: Position,
) -> Result<KeyChanges, ServiceError> {
    let changed = match position {
        // Says at once where it starts.
        Position::Start(None) => {
            let revision = service.current_revision().await?;
            KeyChanges { events: Vec::new(), revision, missed: false }
        }
        Position::Start(after) => service.wait_for_change(filter, after, QUIET, EVENTS_MAX).await?,
        Position::Seen(after) => service.follow_changes(filter, after, QUIET, EVENTS_MAX).await?,
    };
    Ok(changed)
}

fn reply(changed: KeyChanges) -> proto::WatchReply {
    proto::WatchReply {
        events: changed.events.iter().map(Into::into).collect(),
        revision: changed.revision.0,
        missed: changed.missed,
    }
}

//! Events, to and from `proto/state.proto`.

use super::error::CodecError;
use super::value::*;
use crate::machine::event::{Action, Event};
use crate::machine::{Revision, WallMs};
use crate::proto::state as proto;

impl From<&Event> for proto::Event {
    fn from(event: &Event) -> Self {
        proto::Event {
            revision: event.revision.0,
            at_ms: event.at.0,
            actor: text_opt(&event.actor),
            action: action(event.action).into(),
            subject: text(&event.subject),
            new: json_opt(&event.new),
            previous: json_opt(&event.previous),
            chain: hash(&event.chain.0),
        }
    }
}

impl TryFrom<proto::Event> for Event {
    type Error = CodecError;

    fn try_from(event: proto::Event) -> Result<Self, CodecError> {
        Ok(Event {
            revision: Revision(event.revision),
            at: WallMs(event.at_ms),
            actor: to_text_opt(event.actor),
            action: to_action("Event", event.action)?,
            subject: event.subject.into(),
            new: to_json_opt(event.new),
            previous: to_json_opt(event.previous),
            chain: to_chain("Event", "chain", &event.chain)?,
        })
    }
}

macro_rules! actions {
    ($($variant:ident,)*) => {
        pub(super) fn action(action: Action) -> proto::Action {
            match action { $(Action::$variant => proto::Action::$variant,)* }
        }

        pub(super) fn to_action(
            message: &'static str,
            action: i32,
        ) -> Result<Action, CodecError> {
            match proto::Action::try_from(action) {
                $(Ok(proto::Action::$variant) => Ok(Action::$variant),)*
                Ok(proto::Action::Unspecified) | Err(_) => {
                    Err(CodecError::unknown(message, "action", action))
                }
            }
        }
    };
}

actions! {
    StateSet,
    StateDelete,
    StateExpire,
    WorkflowCreate,
    WorkflowClaim,
    WorkflowHeartbeat,
    WorkflowRelease,
    WorkflowCheckpoint,
    WorkflowComplete,
    WorkflowFail,
    WorkflowRetry,
    WorkflowCancel,
    LeaseAcquire,
    LeaseRenew,
    LeaseRelease,
    LeaseExpire,
    SessionSave,
    SessionDelete,
    SidecarReset,
    WorkflowDelete,
    WorkflowExpire,
    SessionExpire,
    ScheduleSet,
    ScheduleDelete,
    ScheduleFire,
    WorkflowAsk,
    WorkflowDecide,
    WorkflowUnblock,
    WorkflowPause,
    WorkflowUnpause,
}

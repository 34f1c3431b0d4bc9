//! Commands, to and from `proto/state.proto`.

use super::error::CodecError;
use super::value::required;
use crate::machine::command::Command;
use crate::proto::state as proto;
use proto::command::Command as Form;

impl From<&Command> for proto::Command {
    fn from(command: &Command) -> Self {
        let form = match command {
            Command::Set(set) => Form::Set(set.into()),
            Command::Delete(delete) => Form::Delete(delete.into()),
            Command::Transact(transact) => Form::Transact(transact.into()),
            Command::Create(create) => Form::Create(create.into()),
            Command::Claim(claim) => Form::Claim(claim.into()),
            Command::ClaimNext(next) => Form::ClaimNext(next.into()),
            Command::Heartbeat(claim) => Form::Heartbeat(claim.into()),
            Command::Release(claim) => Form::Release(claim.into()),
            Command::Checkpoint(checkpoint) => Form::Checkpoint(checkpoint.into()),
            Command::Complete(complete) => Form::Complete(complete.into()),
            Command::Fail(fail) => Form::Fail(fail.into()),
            Command::Cancel(cancel) => Form::Cancel(cancel.into()),
            Command::Retry(retry) => Form::Retry(retry.into()),
            Command::DeleteRun(delete) => Form::DeleteRun(delete.into()),
            Command::Decide(decide) => Form::Decide(decide.into()),
            Command::Acquire(acquire) => Form::Acquire(acquire.into()),
            Command::Renew(renew) => Form::Renew(renew.into()),
            Command::ReleaseLease(release) => Form::ReleaseLease(release.into()),
            Command::SaveSession(save) => Form::SaveSession(save.into()),
            Command::DeleteSession(delete) => Form::DeleteSession(delete.into()),
            Command::Pause(pause) => Form::Pause(pause.into()),
            Command::SetSchedule(set) => Form::SetSchedule((&**set).into()),
            Command::DeleteSchedule(delete) => Form::DeleteSchedule(delete.into()),
            Command::FireSchedule(fire) => Form::FireSchedule(fire.into()),
            Command::Reset => Form::Reset(proto::Reset {}),
            Command::Sweep { limit } => Form::Sweep(proto::Sweep { limit: *limit }),
        };
        proto::Command { command: Some(form) }
    }
}

impl TryFrom<proto::Command> for Command {
    type Error = CodecError;

    fn try_from(command: proto::Command) -> Result<Self, CodecError> {
        Ok(match required("Command", "command", command.command)? {
            Form::Set(set) => Command::Set(set.into()),
            Form::Delete(delete) => Command::Delete(delete.into()),
            Form::Transact(transact) => Command::Transact(transact.try_into()?),
            Form::Create(create) => Command::Create(create.try_into()?),
            Form::Claim(claim) => Command::Claim(claim.into()),
            Form::ClaimNext(next) => Command::ClaimNext(next.try_into()?),
            Form::Heartbeat(claim) => Command::Heartbeat(claim.into()),
            Form::Release(claim) => Command::Release(claim.into()),
            Form::Checkpoint(checkpoint) => Command::Checkpoint(checkpoint.into()),
            Form::Complete(complete) => Command::Complete(complete.try_into()?),
            Form::Fail(fail) => Command::Fail(fail.into()),
            Form::Cancel(cancel) => Command::Cancel(cancel.into()),
            Form::Retry(retry) => Command::Retry(retry.try_into()?),
            Form::DeleteRun(delete) => Command::DeleteRun(delete.into()),
            Form::Decide(decide) => Command::Decide(decide.into()),
            Form::Acquire(acquire) => Command::Acquire(acquire.into()),
            Form::Renew(renew) => Command::Renew(renew.into()),
            Form::ReleaseLease(release) => Command::ReleaseLease(release.into()),
            Form::SaveSession(save) => Command::SaveSession(save.into()),
            Form::DeleteSession(delete) => Command::DeleteSession(delete.into()),
            Form::Pause(pause) => Command::Pause(pause.into()),
            Form::SetSchedule(set) => Command::SetSchedule(Box::new(set.try_into()?)),
            Form::DeleteSchedule(delete) => Command::DeleteSchedule(delete.into()),
            Form::FireSchedule(fire) => Command::FireSchedule(fire.into()),
            Form::Reset(proto::Reset {}) => Command::Reset,
            Form::Sweep(proto::Sweep { limit }) => Command::Sweep { limit },
        })
    }
}

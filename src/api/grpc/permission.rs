//! What only an administrator may do, and what only the nodes themselves may.

use crate::access::Caller;
use crate::machine::Command;
use crate::service::ServiceError;

/// Whether this caller may submit this command.
pub(super) fn to_submit(caller: &Caller, command: &Command) -> Result<(), ServiceError> {
    match command {
        Command::Sweep { .. } => {
            Err(ServiceError::forbidden("sweep is proposed by the nodes themselves"))
        }
        Command::FireSchedule(_) => {
            Err(ServiceError::forbidden("firings are proposed by the nodes themselves"))
        }
        Command::Reset => to_administer(caller, "reset"),
        _ => Ok(()),
    }
}

/// Whether this caller may read the whole state.
pub(super) fn to_export(caller: &Caller) -> Result<(), ServiceError> {
    to_administer(caller, "export")
}

/// Whether this caller may change the cluster.
pub(super) fn to_change_members(caller: &Caller) -> Result<(), ServiceError> {
    to_administer(caller, "changing the cluster")
}

fn to_administer(caller: &Caller, what: &str) -> Result<(), ServiceError> {
    if caller.admin {
        return Ok(());
    }
    Err(ServiceError::forbidden(format!(
        "{what} needs the right to administer: the administrator's token, or a call from the \
         server's own machine where no token is configured"
    )))
}

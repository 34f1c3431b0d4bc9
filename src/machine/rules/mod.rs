//! The rules, one noun a file. Each reads and writes through a
//! [`super::draft::Draft`]; none knows a clock, a store or another command.

mod cancel;
mod checkpoint;
mod claim;
mod claimant;
mod create;
mod fence;
mod finish;
mod heartbeat;
mod kv;
mod lease;
mod reset;
mod session;
mod sweep;
mod transact;

use super::command::Command;
use super::describe;
use super::draft::Draft;
use super::reply::{Refusal, RefusalCode, Reply};
use super::view::View;

pub use create::run_ids;

/// Carries out `command` on `draft`. What comes back as [`Reply::Refused`] is
/// to be dropped whole.
pub fn carry_out<V: View>(
    draft: &mut Draft<'_, V>,
    command: &Command,
    random: u64,
) -> Result<Reply, V::Error> {
    match command {
        Command::Set(set) => kv::set(draft, set),
        Command::Delete(delete) => kv::delete(draft, delete),
        Command::Transact(transact) => transact::transact(draft, transact),
        Command::Create(create) => create::create(draft, create, random),
        Command::Claim(claim) => claim::claim(draft, claim),
        Command::ClaimNext(claim) => claim::claim_next(draft, claim),
        Command::Heartbeat(held) => heartbeat::heartbeat(draft, held),
        Command::Release(held) => heartbeat::release(draft, held),
        Command::Checkpoint(checkpoint) => checkpoint::checkpoint(draft, checkpoint),
        Command::Complete(complete) => finish::complete(draft, complete),
        Command::Fail(fail) => finish::fail(draft, fail),
        Command::Cancel(cancel) => cancel::cancel(draft, cancel),
        Command::Acquire(acquire) => lease::acquire(draft, acquire),
        Command::Renew(renew) => lease::renew(draft, renew),
        Command::ReleaseLease(release) => lease::release(draft, release),
        Command::SaveSession(save) => session::save(draft, save),
        Command::DeleteSession(delete) => session::delete(draft, delete),
        Command::Reset => reset::reset(draft),
        Command::Sweep { limit } => sweep::sweep(draft, *limit),
    }
}

fn refuse(code: RefusalCode, message: impl Into<super::Text>) -> Reply {
    Reply::Refused(Refusal { code, message: message.into() })
}

fn no_such_run(run_id: &str) -> Reply {
    refuse(RefusalCode::NotFound, describe::no_such_run(run_id))
}

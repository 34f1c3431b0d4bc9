//! Hands each command to the rule that carries it out.

use super::{
    approval, cancel, checkpoint, claim, create, dependencies, finish, heartbeat, kv, lease, pause,
    remove, reset, retry, schedule, session, sweep, transact,
};
use crate::machine::command::Command;
use crate::machine::draft::Draft;
use crate::machine::reply::Reply;
use crate::machine::view::View;

/// Carries out `command` on `draft`. The caller must discard the draft where the
/// reply is [`Reply::Refused`], because the rule may have written part of it.
pub fn carry_out<V: View>(
    draft: &mut Draft<'_, V>,
    command: &Command,
    random: u64,
) -> Result<Reply, V::Error> {
    let reply = match command {
        Command::Set(set) => kv::set(draft, set),
        Command::Delete(delete) => kv::delete(draft, delete),
        Command::Transact(transact) => transact::transact(draft, transact),
        Command::Create(create) => create::create(draft, create, random),
        Command::Claim(claim) => claim::claim(draft, claim),
        Command::ClaimNext(claim) => claim::claim_next(draft, claim),
        Command::Heartbeat(claim) => heartbeat::heartbeat(draft, claim),
        Command::Release(claim) => heartbeat::release(draft, claim),
        Command::Checkpoint(checkpoint) => checkpoint::checkpoint(draft, checkpoint),
        Command::Complete(complete) => finish::complete(draft, complete, random),
        Command::Fail(fail) => finish::fail(draft, fail),
        Command::Cancel(cancel) => cancel::cancel(draft, cancel),
        Command::Retry(retry) => retry::retry(draft, retry),
        Command::DeleteRun(delete) => remove::delete(draft, delete),
        Command::Decide(decide) => approval::decide(draft, decide),
        Command::Acquire(acquire) => lease::acquire(draft, acquire),
        Command::Renew(renew) => lease::renew(draft, renew),
        Command::ReleaseLease(release) => lease::release(draft, release),
        Command::SaveSession(save) => session::save(draft, save),
        Command::DeleteSession(delete) => session::delete(draft, delete),
        Command::Pause(pause) => pause::pause(draft, pause),
        Command::SetSchedule(set) => schedule::set(draft, set),
        Command::DeleteSchedule(delete) => schedule::delete(draft, delete),
        Command::FireSchedule(fire) => schedule::fire(draft, fire, random),
        Command::Reset => reset::reset(draft),
        Command::Sweep { limit } => sweep::sweep(draft, *limit),
    }?;
    dependencies::release(draft, dependencies::AT_ONCE)?;
    Ok(reply)
}

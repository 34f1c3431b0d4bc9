//! What the code around the rules must know of each command, in one table: a
//! new command has one row here, instead of one in each place that asks.

use super::command::{Command, Create, Operation, Rules};
use super::value::{Json, Text};

/// A row of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandKind<'a> {
    /// Whether the command exists to store a value of the caller. A state over its
    /// quota refuses such commands alone, so that work can be finished.
    pub stores_value: bool,
    /// The bytes of the values in the command, which make up most of a large one.
    pub value_bytes: usize,
    /// Whether the rules make a name from [`super::Envelope::random`].
    pub uses_random: bool,
    /// To whom the command may grant something that other callers wait for. If this
    /// caller goes away before it gets the reply, the grant is given back.
    pub grantee: Option<&'a Text>,
    /// The oldest rules whose nodes can read the command. Before all members of a
    /// cluster know them, it must not come into the log.
    pub rules: Rules,
}

impl Command {
    /// The row of this command.
    pub fn kind(&self) -> CommandKind<'_> {
        CommandKind { rules: self.rules(), ..self.kind_of_any_rules() }
    }

    fn rules(&self) -> Rules {
        let is_recent = match self {
            Command::Create(create) => {
                create.backoff_ms.or(create.backoff_max_ms).is_some()
                    || create.deadline.is_some()
                    || create.start_within_ms.or(create.keep_ms).is_some()
                    || create.concurrency.is_some()
                    || create.fair_key.is_some()
                    || create.unique.is_some()
                    || !create.depends_on.is_empty()
            }
            Command::Complete(complete) => {
                complete.last_step.is_some() || !complete.successors.is_empty()
            }
            Command::ClaimNext(claim) => claim.names.len() > 1 || claim.limit.is_some(),
            Command::Fail(fail) => fail.retry_after_ms.is_some(),
            Command::Acquire(acquire) => acquire.exclusive || acquire.permits > 0,
            Command::SaveSession(save) => save.ttl_ms.is_some(),
            Command::Checkpoint(checkpoint) => checkpoint.ask.is_some(),
            Command::Retry(_)
            | Command::DeleteRun(_)
            | Command::Decide(_)
            | Command::Pause(_)
            | Command::SetSchedule(_)
            | Command::DeleteSchedule(_)
            | Command::FireSchedule(_) => true,
            _ => false,
        };
        if is_recent { Rules::Attempts } else { Rules::Whole }
    }

    fn kind_of_any_rules(&self) -> CommandKind<'_> {
        let other = CommandKind::default();
        let stores = |value_bytes| CommandKind { stores_value: true, value_bytes, ..other };
        match self {
            Command::Set(set) => stores(bytes(&set.value)),
            Command::Transact(transact) => {
                let operations = transact.then.iter().chain(&transact.otherwise);
                stores(operations.map(operation_bytes).sum())
            }
            Command::Create(create) => {
                CommandKind { uses_random: true, ..stores(input_bytes(create)) }
            }
            Command::Checkpoint(checkpoint) => stores(bytes(&checkpoint.output)),
            Command::SaveSession(save) => stores(bytes(&save.context)),
            Command::SetSchedule(set) => stores(set.template.input.as_ref().map_or(0, bytes)),
            Command::FireSchedule(_) => CommandKind { uses_random: true, ..other },
            Command::Complete(complete) => {
                let output = complete.last_step.as_ref().map_or(0, |it| bytes(&it.output));
                let inputs: usize = complete.successors.iter().map(input_bytes).sum();
                CommandKind {
                    uses_random: !complete.successors.is_empty(),
                    // An end without either is never refused for want of space.
                    stores_value: complete.last_step.is_some() || !complete.successors.is_empty(),
                    value_bytes: complete.result.as_ref().map_or(0, bytes) + output + inputs,
                    ..other
                }
            }
            Command::Claim(claim) => CommandKind { grantee: Some(&claim.agent_id), ..other },
            Command::ClaimNext(claim) => CommandKind { grantee: Some(&claim.agent_id), ..other },
            Command::Acquire(acquire) => CommandKind { grantee: Some(&acquire.holder_id), ..other },
            Command::Delete(_)
            | Command::Heartbeat(_)
            | Command::Release(_)
            | Command::Fail(_)
            | Command::Cancel(_)
            | Command::Retry(_)
            | Command::DeleteRun(_)
            | Command::Decide(_)
            | Command::Pause(_)
            | Command::Renew(_)
            | Command::ReleaseLease(_)
            | Command::DeleteSession(_)
            | Command::DeleteSchedule(_)
            | Command::Reset
            | Command::Sweep { .. } => other,
        }
    }
}

fn input_bytes(create: &Create) -> usize {
    create.input.as_ref().map_or(0, bytes)
}

fn bytes(value: &Json) -> usize {
    value.as_str().len()
}

fn operation_bytes(operation: &Operation) -> usize {
    match operation {
        Operation::Set { value, .. } => bytes(value),
        Operation::Delete { .. } | Operation::Get { .. } => 0,
    }
}

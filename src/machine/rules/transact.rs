//! Transactions over keys: comparisons, then one of two lists of operations. All
//! of a list is carried out or none, and each operation sees the writes of those
//! before it.

use super::{fence, kv};
use crate::machine::command::{Compare, Condition, Operation, Transact};
use crate::machine::draft::Draft;
use crate::machine::reply::{OperationResult, Reply, Transacted};
use crate::machine::value::{Revision, Text};
use crate::machine::view::View;

pub fn transact<V: View>(draft: &mut Draft<'_, V>, command: &Transact) -> Result<Reply, V::Error> {
    if let Some(reason) = fence::objection(draft, command.fence.as_ref())? {
        return Ok(Reply::Transacted(Transacted {
            succeeded: false,
            results: Vec::new(),
            revision: draft.revision(),
            reason: Some(reason),
        }));
    }
    let mut succeeded = true;
    for compare in &command.compare {
        succeeded &= holds(draft, compare)?;
    }
    let operations = if succeeded { &command.then } else { &command.otherwise };
    let results = operations
        .iter()
        .map(|operation| carry_out(draft, operation, command.agent_id.as_ref()))
        .collect::<Result<_, _>>()?;
    let revision = draft.revision();
    Ok(Reply::Transacted(Transacted { succeeded, results, revision, reason: None }))
}

fn holds<V: View>(draft: &Draft<'_, V>, compare: &Compare) -> Result<bool, V::Error> {
    let current = draft.key(&compare.key)?;
    Ok(match &compare.condition {
        Condition::Revision(wanted) => kv::revision_of(current.as_ref()) == *wanted,
        Condition::Value(wanted) => current.is_some_and(|row| row.value == *wanted),
        Condition::Exists(wanted) => current.is_some() == *wanted,
    })
}

fn carry_out<V: View>(
    draft: &mut Draft<'_, V>,
    operation: &Operation,
    agent_id: Option<&Text>,
) -> Result<OperationResult, V::Error> {
    Ok(match operation {
        Operation::Set { key, value, ttl_ms } => {
            let current = draft.key(key)?;
            let revision = kv::write(draft, key, value, *ttl_ms, current.as_ref(), agent_id);
            OperationResult::Set { revision }
        }
        Operation::Delete { key } => match draft.key(key)? {
            Some(current) => {
                kv::remove(draft, key, current, agent_id);
                OperationResult::Deleted { ok: true }
            }
            None => OperationResult::Deleted { ok: false },
        },
        Operation::Get { key } => match draft.key(key)? {
            Some(row) => {
                OperationResult::Got { found: true, value: Some(row.value), revision: row.revision }
            }
            None => OperationResult::Got { found: false, value: None, revision: Revision::ZERO },
        },
    })
}

//! A batch: the commands that one sidecar commits together. Which fit into one,
//! and what they decide.

use super::read_set::ReadResult;
use super::working_set::{Missing, WorkingSet};
use super::writes::Writes;
use crate::machine::view::ClaimFilter;
use crate::machine::{Command, Envelope, Meta, Reply, decide};
use crate::store::Request;

/// Most commands of a batch. Redis works on one script at a time, and this
/// many small ones keep it for some milliseconds.
const COMMANDS_MAX: usize = 256;

/// A batch takes no more commands once it writes this much.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Different filters of `workflow_claim_next` in one batch: each looks up as
/// many runs as the batch might take.
const FILTERS_MAX: usize = 8;

/// Chooses the commands of one batch from those that wait, first come first
/// served.
#[derive(Default)]
pub struct Selection {
    commands: usize,
    bytes: usize,
    filters: Vec<ClaimFilter>,
    /// Holds a command that needs the batch to itself.
    full: bool,
}

impl Selection {
    /// Whether the next command goes along.
    pub fn admits(&mut self, request: &Request) -> bool {
        let alone = needs_all(&request.command);
        if self.full
            || self.commands == COMMANDS_MAX
            || self.bytes > BYTES_MAX
            || (alone && self.commands > 0)
        {
            return false;
        }
        if let Command::ClaimNext(claim) = &request.command {
            let filter = ClaimFilter { name: claim.name.clone(), tags: claim.tags.clone() };
            if !self.filters.contains(&filter) {
                if self.filters.len() == FILTERS_MAX {
                    return false;
                }
                self.filters.push(filter);
            }
        }
        self.full = alone;
        self.commands += 1;
        self.bytes += request.command.value_bytes();
        true
    }
}

/// What a batch has come to.
pub struct Decided {
    /// One for each command, in order.
    pub replies: Vec<Reply>,
    pub meta: Meta,
    pub writes: Writes,
    /// Nothing has changed that anybody could see.
    pub idle: bool,
}

/// Decides the commands one after another, each over what those before it
/// changed.
///
/// # Errors
/// Not all that they look at is known; nothing was decided.
pub fn decide_all(envelopes: &[Envelope], known: &ReadResult) -> Result<Decided, Missing> {
    let mut working = WorkingSet::new(known);
    let mut replies = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        let Ok(decision) = decide(envelope, &working);
        replies.push(decision.reply.clone());
        working.apply(decision);
    }
    match working.lack() {
        Missing::Nothing => {}
        lack @ (Missing::Rows(_) | Missing::Unclear) => return Err(lack),
    }
    // Where a deadline has passed, the clock is a change too: what has been
    // told to be gone must not come back.
    let idle = working.is_unchanged() && !known.state.late;
    let writes = Writes::of(&working);
    Ok(Decided { replies, meta: working.meta, writes, idle })
}

/// Whether the command looks at much, or leaves nothing to look at.
fn needs_all(command: &Command) -> bool {
    match command {
        Command::Cancel(_) | Command::Reset => true,
        // Those that only move the clock on are many, and wait for readers.
        Command::Sweep { limit } => *limit > 0,
        _ => false,
    }
}

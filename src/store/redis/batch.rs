//! A batch: which commands one sidecar commits together, and how they are decided.

use super::read_set::ReadResult;
use super::working_set::{Missing, WorkingSet};
use super::writes::RedisWrites;
use crate::machine::filter::ClaimFilter;
use crate::machine::{Command, Envelope, Meta, Reply, decide};
use crate::store::request::Request;

/// The maximum number of commands in a batch. Redis runs one script at a time, and
/// so many small commands occupy it for some milliseconds.
const COMMANDS_MAX: usize = 256;

/// A batch takes no more commands when it writes this much.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many different filters of `workflow_claim_next` one batch may have. For each
/// of them, as many runs are looked up as the batch might claim.
const FILTERS_MAX: usize = 8;

/// Selects the commands of one batch from those that wait, first come, first served.
#[derive(Default)]
pub struct Selection {
    commands: usize,
    bytes: usize,
    filters: Vec<ClaimFilter>,
    /// The batch has a command that must be alone in it.
    full: bool,
}

impl Selection {
    /// Whether the next command fits, in which case it counts as part of the batch.
    pub fn admits(&mut self, request: &Request) -> bool {
        let alone = must_be_alone(&request.command);
        if self.full
            || self.commands >= COMMANDS_MAX
            || self.bytes > BYTES_MAX
            || (alone && self.commands > 0)
        {
            return false;
        }
        if let Command::ClaimNext(claim) = &request.command {
            let filter = ClaimFilter::of(claim);
            if !self.filters.contains(&filter) {
                if self.filters.len() == FILTERS_MAX {
                    return false;
                }
                self.filters.push(filter);
            }
        }
        self.full = alone;
        self.commands += weight(&request.command);
        self.bytes += request.command.kind().value_bytes;
        true
    }
}

/// The decisions of a batch.
pub struct Decided {
    /// One for each command, in order.
    pub replies: Vec<Reply>,
    pub meta: Meta,
    pub writes: RedisWrites,
    /// Nothing has changed, so nothing needs to be committed.
    pub idle: bool,
}

/// Decides the commands one after another, each on what those before it have
/// changed.
///
/// # Errors
/// They need rows that were not read. Nothing was decided.
pub fn decide_all(envelopes: &[Envelope], known: &ReadResult) -> Result<Decided, Missing> {
    let mut working = WorkingSet::new(known);
    let mut replies = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        let Ok(decision) = decide(envelope, &working);
        replies.push(decision.reply.clone());
        working.apply(decision);
    }
    match working.take_missing() {
        Missing::Nothing => {}
        missing @ (Missing::Rows(_) | Missing::Unclear) => return Err(missing),
    }
    // If a deadline has passed, the clock must be stored too, because a row that
    // somebody has seen to be expired must not come back.
    let idle = working.is_unchanged() && !known.state.deadline_passed;
    let writes = RedisWrites::of(&working);
    Ok(Decided { replies, meta: working.meta, writes, idle })
}

/// How many commands of one row the command is like.
fn weight(command: &Command) -> usize {
    match command {
        Command::ClaimNext(claim) => claim.most() as usize,
        _ => 1,
    }
}

/// Whether the command reads too much, or removes too much, to share a batch.
fn must_be_alone(command: &Command) -> bool {
    match command {
        Command::Cancel(_) | Command::Retry(_) | Command::DeleteRun(_) | Command::Reset => true,
        // Sweeps that only move the clock are frequent, and readers wait for them.
        Command::Sweep { limit } => *limit > 0,
        _ => false,
    }
}

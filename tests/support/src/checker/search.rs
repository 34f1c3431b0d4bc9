//! The search for an order: Wing and Gong's (1993), with Lowe's (2017) memory of
//! what was tried, over a list of calls and returns.

use std::collections::HashSet;
use std::fmt::{Debug, Write as _};
use std::hash::Hash;

/// Steps after which the search gives up, and says so: it never passes what it
/// did not finish. A key with 200 calls takes a few thousand.
const STEPS_MAX: usize = 3_000_000;

/// Calls around a contradiction that the verdict shows.
const SHOWN: usize = 12;

/// What one thing that calls are about may do.
pub trait Model {
    type State: Clone + Debug + Eq + Hash;
    type Call: Clone + Debug;
    type Outcome: Clone + Debug;

    fn start() -> Self::State;

    /// The state after `operation` took effect in `state`; none where it cannot
    /// have had its outcome. Without an outcome, the state after it had effect.
    fn step(state: &Self::State, operation: &Operation<Self>) -> Option<Self::State>;
}

/// One call of one client about one thing.
#[derive(Clone, Debug)]
pub struct Operation<M: Model + ?Sized> {
    pub client: String,
    pub call: M::Call,
    pub began: u64,
    /// None where the client never heard.
    pub ended: Option<(u64, M::Outcome)>,
}

impl<M: Model + ?Sized> Operation<M> {
    /// The latest time at which it may have taken effect.
    pub fn latest(&self) -> u64 {
        self.ended.as_ref().map_or(u64::MAX, |(at, _)| *at)
    }

    pub fn outcome(&self) -> Option<&M::Outcome> {
        self.ended.as_ref().map(|(_, outcome)| outcome)
    }
}

/// Why a history is none that the system promises.
#[derive(Clone, Debug)]
pub struct Violation(pub String);

/// The list: a call or a return, in the order of time.
struct Entry {
    operation: usize,
    is_call: bool,
    /// Of a call, where its return is; none where it never returned.
    mate: Option<usize>,
    before: usize,
    after: usize,
}

/// Sets of operations, by number.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn clear(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }
}

/// Looks for an order that explains what clients saw of `what`.
///
/// # Errors
/// There is none; or the search gave up.
pub fn check<M: Model>(what: &str, operations: &[Operation<M>]) -> Result<(), Violation> {
    let mut list = List::of(operations);
    let mut done = Bits(vec![0; operations.len() / 64 + 1]);
    let mut tried = HashSet::new();
    let mut state = M::start();
    let mut path: Vec<(usize, M::State)> = Vec::new();
    let mut deepest = (0, 0, state.clone());
    let mut at = list.first();
    for _ in 0..STEPS_MAX {
        if list.returns == 0 {
            return Ok(());
        }
        let next = list.entries.get(at).filter(|entry| entry.is_call);
        let stepped = next.and_then(|entry| {
            let operation = entry.operation;
            let after = M::step(&state, &operations[operation])?;
            done.set(operation);
            let is_new = tried.insert((done.clone(), after.clone()));
            done.clear(operation);
            is_new.then_some((operation, after))
        });
        if let Some((operation, after)) = stepped {
            done.set(operation);
            path.push((at, std::mem::replace(&mut state, after)));
            list.lift(at);
            if path.len() > deepest.0 {
                deepest = (path.len(), list.earliest_return(), state.clone());
            }
            at = list.first();
        } else if next.is_some() {
            at = list.entries[at].after;
        } else {
            // A return, or the end: something before it was put in a wrong place.
            let Some((last, earlier)) = path.pop() else {
                return Err(explain(what, operations, &deepest));
            };
            state = earlier;
            done.clear(list.entries[last].operation);
            list.unlift(last);
            at = list.entries[last].after;
        }
    }
    Err(Violation(format!("{what}: the search gave up after {STEPS_MAX} steps")))
}

struct List {
    entries: Vec<Entry>,
    /// Of the list's head, which is no entry.
    first: usize,
    /// Returns that are in the list.
    returns: usize,
}

/// Where the list ends.
const END: usize = usize::MAX;

impl List {
    fn of<M: Model>(operations: &[Operation<M>]) -> List {
        let mut times: Vec<(u64, bool, usize)> = Vec::new();
        for (number, operation) in operations.iter().enumerate() {
            times.push((operation.began, true, number));
            if let Some((ended, _)) = &operation.ended {
                // At the same time as a call, a return comes after it: that
                // allows more, and accuses nobody wrongly.
                times.push((*ended, false, number));
            }
        }
        times.sort_by_key(|(at, is_call, number)| (*at, !is_call, *number));
        let last = times.len();
        let mut entries: Vec<Entry> = Vec::new();
        for (at, (_, is_call, operation)) in times.iter().enumerate() {
            let (before, after) = (at.wrapping_sub(1), if at + 1 == last { END } else { at + 1 });
            let entry =
                Entry { operation: *operation, is_call: *is_call, mate: None, before, after };
            entries.push(entry);
        }
        for at in 0..entries.len() {
            if entries[at].is_call {
                let number = entries[at].operation;
                let mate =
                    (at..last).find(|b| !entries[*b].is_call && entries[*b].operation == number);
                entries[at].mate = mate;
            }
        }
        let returns = entries.iter().filter(|entry| !entry.is_call).count();
        List { first: if entries.is_empty() { END } else { 0 }, entries, returns }
    }

    fn first(&self) -> usize {
        self.first
    }

    /// The operation that returns first of those that have no place yet.
    fn earliest_return(&self) -> usize {
        let mut at = self.first;
        while at != END && self.entries[at].is_call {
            at = self.entries[at].after;
        }
        if at == END { 0 } else { self.entries[at].operation }
    }

    /// Takes a call and its return out.
    fn lift(&mut self, at: usize) {
        self.unlink(at);
        if let Some(mate) = self.entries[at].mate {
            self.unlink(mate);
            self.returns -= 1;
        }
    }

    /// Puts them back where they were.
    fn unlift(&mut self, at: usize) {
        if let Some(mate) = self.entries[at].mate {
            self.link(mate);
            self.returns += 1;
        }
        self.link(at);
    }

    fn unlink(&mut self, at: usize) {
        let (before, after) = (self.entries[at].before, self.entries[at].after);
        match before {
            END => self.first = after,
            before => self.entries[before].after = after,
        }
        if after != END {
            self.entries[after].before = before;
        }
    }

    fn link(&mut self, at: usize) {
        let (before, after) = (self.entries[at].before, self.entries[at].after);
        match before {
            END => self.first = at,
            before => self.entries[before].after = at,
        }
        if after != END {
            self.entries[after].before = at;
        }
    }
}

/// The calls around the one that nothing explains.
fn explain<M: Model>(
    what: &str,
    operations: &[Operation<M>],
    deepest: &(usize, usize, M::State),
) -> Violation {
    let (placed, stuck, state) = deepest;
    let mut text = format!("{what}: no order of the calls explains their outcomes\n");
    let _ = writeln!(text, "{placed} of {} calls have a place; then: {state:?}", operations.len());
    let mut near: Vec<usize> = (0..operations.len()).collect();
    let time = operations.get(*stuck).map_or(0, Operation::latest);
    near.sort_by_key(|number| operations[*number].began.abs_diff(time));
    near.truncate(SHOWN);
    near.push(*stuck);
    near.sort_by_key(|number| operations[*number].began);
    near.dedup();
    for number in near {
        let Operation { client, call, began, ended } = &operations[number];
        let mark = if number == *stuck { "→" } else { " " };
        let _ = writeln!(text, "{mark} {began:>12} {client:<10} {call:?} → {ended:?}");
    }
    Violation(text)
}

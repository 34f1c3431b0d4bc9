//! One set of rules, four stores: whatever is asked of them, in whatever order, memory,
//! SQLite, Redis and Raft give the same replies and have the same state and chain.
//! Commands are random, and a sequence that shows a difference is shortened as far as
//! possible.
//!
//! `SEED` sets the random choices, and `CASES` the number of sequences.

mod choices;
mod large;
mod play;
mod stage;
mod together;
mod whole;

use std::sync::Mutex;

use choices::{Choices, for_all};
use stage::Opener;
use tokio::runtime::Runtime;

/// Sequences of each test. With them the whole takes half a minute, most of it
/// spent on clusters that begin and end.
const CASES_DEFAULT: u32 = 6;

/// Steps of one sequence: enough for runs to be claimed, lapse and end.
const STEPS_MAX: usize = 200;

/// A difference, and the store that shows it.
struct Fault {
    store: &'static str,
    what: String,
}

#[test]
fn the_same_calls_one_after_another_give_the_same_everywhere() {
    compare("one_after_another", |steps, openers, runtime| {
        runtime.block_on(play::play(steps, openers))
    });
}

#[test]
fn calls_at_once_are_as_if_one_after_another() {
    compare("at_once", |steps, openers, runtime| {
        openers.iter().try_for_each(|opener| runtime.block_on(together::play(steps, opener)))
    });
}

#[test]
fn few_calls_about_much_give_the_same_everywhere() {
    let runtime = Runtime::new().expect("a runtime");
    let openers = stage::all("large");
    if let Err(fault) = runtime.block_on(large::play(&openers)) {
        panic!("{}: {}", fault.store, fault.what);
    }
}

/// Plays drawn sequences. Once a store was seen to differ, only that one is
/// played on while the sequence is made shorter: a cluster would make it slow.
fn compare(test: &str, play: impl Fn(&[Choices], &[Opener], &Runtime) -> Result<(), Fault>) {
    let runtime = Runtime::new().expect("a runtime");
    let suspect = Mutex::new(None);
    let openers = stage::all(test);
    for_all(test, CASES_DEFAULT, STEPS_MAX, |steps| {
        let only = *suspect.lock().expect("nothing panics under it");
        let picked: Vec<Opener> = openers
            .iter()
            .filter(|opener| only.is_none_or(|only| opener.name() == only))
            .cloned()
            .collect();
        play(steps, &picked, &runtime).map_err(|fault| {
            *suspect.lock().expect("nothing panics under it") = Some(fault.store);
            format!("{}: {}", fault.store, fault.what)
        })
    });
}

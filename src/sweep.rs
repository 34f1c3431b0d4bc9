//! The sweep: proposes the commands that finish deferred work. They remove expired
//! rows, list delayed runs whose time has come, and cancel the children of cancelled
//! runs. Reads already answer as if that were done, so nothing waits for the sweep; it
//! keeps tables small and puts the changes into the history. The rules decide which rows
//! are due.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::machine::{Command, Reply};
use crate::store::{Request, Store, StoreError};

/// How the sweep is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often the sweep asks whether rows are due, which costs next to nothing.
    pub interval: Duration,
    /// How many rows one command changes. Other commands wait behind it, so it must take
    /// a few milliseconds only, even where three nodes share two cores.
    pub rows_max: u32,
    /// How many commands one sweep submits. The next sweep goes on with the rest.
    pub commands_max: u32,
    /// How long one command may take.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            interval: Duration::from_millis(200),
            rows_max: 100,
            commands_max: 500,
            deadline: Duration::from_secs(10),
        }
    }
}

/// Sweeps again and again, until the future is dropped.
pub async fn run(store: Arc<dyn Store>, options: Options) {
    loop {
        tokio::time::sleep(options.interval).await;
        match sweep(&*store, &options).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "swept"),
            // The rows stay due, and the next sweep, or that of the next leader, has them.
            Err(error) => tracing::debug!(%error, "sweep not done"),
        }
    }
}

/// Sweeps what is due, within the bounds of `options`, and returns how many rows were
/// changed.
///
/// # Errors
/// The store has failed. What was done before stays done.
pub async fn sweep(store: &dyn Store, options: &Options) -> Result<u64, StoreError> {
    let mut removed = 0;
    for _ in 0..options.commands_max {
        // A command that finds nothing due would still be a write.
        if !store.sweep_due().await {
            break;
        }
        let command = Command::Sweep { limit: options.rows_max };
        let begun = Instant::now();
        let reply = store.submit(Request::own(command), begun + options.deadline).await?;
        let Reply::Swept { removed: rows, more } = reply else {
            // A rule refused the sweep, and would refuse it again.
            tracing::warn!(?reply, "sweep refused");
            break;
        };
        removed += u64::from(rows);
        if !more {
            break;
        }
        // Other commands have the store to themselves for as long as this one took.
        tokio::time::sleep(begun.elapsed()).await;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::command::Set;
    use crate::machine::{Json, Revision, Text};
    use crate::store::clock::ManualClock;
    use crate::store::memory::MemoryStore;

    async fn store_with_keys(clock: Arc<ManualClock>, count: u32) -> MemoryStore {
        let store = MemoryStore::new(clock);
        for n in 0..count {
            let set = Set {
                key: Text::from(format!("k{n:05}").as_str()),
                value: Json::new("1"),
                ttl_ms: Some(1_000),
                agent_id: None,
                if_revision: None,
                fence: None,
            };
            store.submit(Request::own(Command::Set(set)), Instant::now()).await.unwrap();
        }
        store
    }

    fn revision(store: &MemoryStore) -> Revision {
        store.state().tables.meta().revision
    }

    #[tokio::test]
    async fn due_rows_are_removed_in_bounded_commands() {
        let clock = ManualClock::at(1_000);
        let store = store_with_keys(clock.clone(), 25).await;
        let options = Options { rows_max: 10, ..Options::default() };
        assert_eq!(sweep(&store, &options).await.unwrap(), 0, "nothing is due yet");
        clock.advance_ms(1_000);
        assert_eq!(sweep(&store, &options).await.unwrap(), 25);
        assert_eq!(revision(&store), Revision(50), "one event for each key that expired");
    }

    #[tokio::test]
    async fn a_sweep_is_bounded_and_the_next_goes_on() {
        let clock = ManualClock::at(1_000);
        let store = store_with_keys(clock.clone(), 25).await;
        clock.advance_ms(1_000);
        let options = Options { rows_max: 10, commands_max: 2, ..Options::default() };
        assert_eq!(sweep(&store, &options).await.unwrap(), 20);
        assert_eq!(sweep(&store, &options).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn nothing_due_proposes_nothing() {
        let clock = ManualClock::at(1_000);
        let store = store_with_keys(clock.clone(), 1).await;
        clock.advance_ms(999);
        let before = store.state();
        assert_eq!(sweep(&store, &Options::default()).await.unwrap(), 0);
        assert!(Arc::ptr_eq(&before, &store.state()), "a sweep was proposed");
    }
}

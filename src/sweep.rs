//! The sweep: proposes the commands that the passing of time calls for.
//!
//! Some finish deferred work: they remove expired rows, list delayed runs whose time has
//! come, and cancel the children of cancelled runs. Reads already answer as if that were
//! done, so nothing waits for them; they keep tables small and put the changes into the
//! history. The others fire schedules. The rules decide what is due, and carry out a
//! firing once, however many processes and nodes propose it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cron::{self, FollowingFiring};
use crate::machine::command::FireSchedule;
use crate::machine::lookup::DueSchedule;
use crate::machine::reply::ScheduleFired;
use crate::machine::{Command, Reply};
use crate::service::RandomSource;
use crate::store::{Request, Store, StoreError};

/// How the sweep is set up.
#[derive(Clone)]
pub struct Options {
    /// How often the sweep asks what is due, which costs next to nothing.
    pub interval: Duration,
    /// How many rows one command changes. Other commands wait behind it, so it must take
    /// a few milliseconds only, even where three nodes share two cores.
    pub rows_max: u32,
    /// How many commands one sweep submits. The next sweep goes on with the rest.
    pub commands_max: u32,
    /// How long one command may take.
    pub deadline: Duration,
    /// What the ids of the runs are made of that schedules create.
    pub random: RandomSource,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            interval: Duration::from_millis(200),
            rows_max: 100,
            commands_max: 500,
            deadline: Duration::from_secs(10),
            random: RandomSource::random(),
        }
    }
}

/// Sweeps again and again, until the future is dropped.
pub async fn run(store: Arc<dyn Store>, options: Options) {
    loop {
        tokio::time::sleep(options.interval).await;
        let due = store.due().await;
        if due.sweep {
            match sweep(&*store, &options).await {
                Ok(rows) => tracing::debug!(rows, "swept"),
                // The rows stay due, and the next sweep, or that of the next leader, has
                // them.
                Err(error) => tracing::debug!(%error, "sweep not done"),
            }
        }
        if let Err(error) = fire_all(&*store, due.schedules, &options).await {
            // The schedules stay due likewise.
            tracing::debug!(%error, "schedules not fired");
        }
    }
}

/// Fires the schedules that are due, and returns how many this call has fired: another
/// process or node may have been faster.
///
/// # Errors
/// The store has failed. What was done before stays done.
pub async fn fire(store: &dyn Store, options: &Options) -> Result<u64, StoreError> {
    fire_all(store, store.due().await.schedules, options).await
}

async fn fire_all(
    store: &dyn Store,
    schedules: Vec<DueSchedule>,
    options: &Options,
) -> Result<u64, StoreError> {
    let mut count = 0;
    for due in schedules {
        let name = due.name.clone();
        let command = Command::FireSchedule(firing(due));
        let request = Request { random: options.random.draw(), ..Request::own(command) };
        match store.submit(request, Instant::now() + options.deadline).await? {
            Reply::ScheduleFired(ScheduleFired { fired, run_id, error }) => {
                count += u64::from(fired);
                if let Some(error) = error {
                    tracing::warn!(schedule = %name, ?run_id, %error, "schedule fired in part");
                }
            }
            // A rule refused it, and would refuse it again. The others go on.
            reply => tracing::warn!(schedule = %name, ?reply, "schedule not fired"),
        }
    }
    Ok(count)
}

/// The command that carries out a firing.
fn firing(due: DueSchedule) -> FireSchedule {
    let DueSchedule { name, timetable, due_at, present } = due;
    let (following, error) = match cron::following(&timetable, due_at, present) {
        Ok(following) => (following, None),
        Err(error) => (FollowingFiring::default(), Some(error.to_string().into())),
    };
    let FollowingFiring { next_at, missed } = following;
    FireSchedule { name, due_at, next_at, missed, error }
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
        if !store.due().await.sweep {
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
    use crate::machine::command::{Create, Set, SetSchedule};
    use crate::machine::row::{Row, ScheduleRow};
    use crate::machine::timetable::{FiringMs, Overlap, Timetable};
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

    /// A store in which schedules of these cron expressions and time zones are due.
    async fn store_with_schedules(schedules: &[(&str, &str)]) -> MemoryStore {
        let clock = ManualClock::at(1_700_000_000_000);
        let store = MemoryStore::new(clock.clone());
        for (expression, time_zone) in schedules {
            let (expression, time_zone) = ((*expression).into(), (*time_zone).into());
            let set = SetSchedule {
                name: format!("{expression} {time_zone}").into(),
                timetable: Timetable::Cron { expression, time_zone },
                template: Create { name: "w".into(), ..Create::default() },
                overlap: Overlap::Queue,
                first_at: Some(FiringMs(1_700_000_000_001)),
                agent_id: None,
            };
            let set = Command::SetSchedule(Box::new(set));
            store.submit(Request::own(set), Instant::now()).await.unwrap();
        }
        clock.advance_ms(1);
        store
    }

    fn schedules(store: &MemoryStore) -> Vec<(String, ScheduleRow)> {
        let state = store.state();
        let rows = state.tables.rows().filter_map(|row| match &**row {
            Row::Schedule(name, row) => Some((name.to_string(), ScheduleRow::clone(row))),
            _ => None,
        });
        rows.collect()
    }

    #[tokio::test]
    async fn what_is_due_is_fired_once() {
        let store = store_with_schedules(&[("* * * * *", "UTC")]).await;
        let options = Options { random: RandomSource::seeded(1), ..Options::default() };
        assert_eq!(fire(&store, &options).await.unwrap(), 1);
        assert_eq!(fire(&store, &options).await.unwrap(), 0);
        let (_, row) = &schedules(&store)[0];
        assert_eq!((row.fired, row.next_at), (1, Some(FiringMs(1_700_000_040_000))));
        assert!(row.last_run_id.as_ref().is_some_and(|run_id| **run_id != *"wf-000000000000"));
    }

    #[tokio::test]
    async fn a_schedule_that_cannot_be_computed_fires_once_more_and_stops_no_other() {
        let all = [("@daily", "Mars/Olympus"), ("@daily", "UTC"), ("wrong", "UTC")];
        let store = store_with_schedules(&all).await;
        assert_eq!(fire(&store, &Options::default()).await.unwrap(), 3);
        for (name, row) in schedules(&store) {
            let computes = name == "@daily UTC";
            assert_eq!(row.fired, 1, "{name}: the firing that was due was computed before");
            assert_eq!((row.next_at.is_some(), row.last_error.is_none()), (computes, computes));
        }
        assert_eq!(store.due().await.schedules, [], "nothing spins");
    }
}

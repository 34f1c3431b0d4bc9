//! What happens to a Redis under load, and to the sidecars that use it.

use std::time::Duration;

use tokio::time::sleep;

use crate::load::Day;
use support::redis_server::DURABLE;

/// How often it happens, in a run that others wait for.
const TIMES: u32 = 4;

/// How long it stays away: from less than anyone notices to longer than a
/// connection waits for an answer, and shorter than the deadline of a call.
fn away(time: u32) -> Duration {
    const AWAY_MS: [u64; 4] = [0, 200, 1_000, 4_000];
    Duration::from_millis(AWAY_MS[time as usize % AWAY_MS.len()])
}

fn times() -> u32 {
    std::env::var("CHAOS_KILLS").map_or(TIMES, |times| times.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_claims_it_loses_nothing() {
    let Some(mut day) = Day::begin("killed", DURABLE).await else { return };
    for time in 0..times() {
        day.goes_on().await;
        day.is_claiming().await;
        day.server.kill();
        sleep(away(time)).await;
        day.server.restart();
    }
    day.goes_on().await;
    day.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_it_is_waited_for() {
    let Some(day) = Day::begin("frozen", &[]).await else { return };
    for time in 0..times() {
        day.goes_on().await;
        day.is_claiming().await;
        day.server.pause();
        sleep(away(time)).await;
        day.server.go_on();
    }
    day.goes_on().await;
    day.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_it_takes_no_writes_until_there_is_room() {
    let Some(day) = Day::begin("full", &[]).await else { return };
    for time in 0..times() {
        day.goes_on().await;
        day.server.set("maxmemory", "1");
        sleep(away(time)).await;
        day.server.set("maxmemory", "0");
    }
    day.goes_on().await;
    day.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demoted_it_takes_no_writes_until_it_is_a_primary_again() {
    let Some(day) = Day::begin("demoted", &[]).await else { return };
    for time in 0..times() {
        day.goes_on().await;
        day.server.demote();
        sleep(away(time)).await;
        day.server.promote();
    }
    day.goes_on().await;
    day.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_it_forgets_it_is_told_again() {
    let Some(day) = Day::begin("forgetful", &[]).await else { return };
    for _ in 0..100 * times() {
        day.is_claiming().await;
        day.server.ask::<()>(&["SCRIPT", "FLUSH"]);
    }
    day.goes_on().await;
    assert_eq!(day.end().await, 0, "what it forgot is no reason to refuse a call");
}

/// For longer than a turn to commit lasts, so that what it had decided is no
/// longer what is to happen when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_was_frozen_does_not_write_over_what_others_wrote() {
    const FROZEN: Duration = Duration::from_millis(150);
    let Some(day) = Day::begin("frozen sidecars", &[]).await else { return };
    for time in 0..10 * times() as usize {
        day.is_claiming().await;
        let sidecar = &day.sidecars[time % day.sidecars.len()];
        sidecar.pause();
        sleep(FROZEN).await;
        sidecar.go_on();
    }
    day.goes_on().await;
    day.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_dies_holds_nobody_up_and_leaves_nothing_half_done() {
    let Some(mut day) = Day::begin("dying sidecars", &[]).await else { return };
    for time in 0..times() as usize {
        day.goes_on().await;
        day.is_claiming().await;
        let at = time % day.sidecars.len();
        day.sidecars[at].kill();
        day.goes_on().await;
        day.sidecars[at].start();
        day.sidecars[at].ready().await;
    }
    day.goes_on().await;
    day.end().await;
}

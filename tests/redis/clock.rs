//! Redis's own clock decides every deadline, even if a sidecar's machine is an hour
//! ahead. libfaketime (a Debian package of that name) sets the clock of one process.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use support::client::Client;
use support::redis_server::{self, RedisServer};
use support::sidecar::{Sidecar, free_ports};

/// How far ahead the one clock is, as libfaketime takes it and in seconds.
const AHEAD: (&str, f64) = ("+1h", 3_600.0);

/// How long a lease lives here.
const LEASE_S: f64 = 2.0;

/// Redis's clock has passed a lease's end by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// The library, where the dynamic linker can have it.
fn faketime() -> Option<String> {
    let below = |dir: &str| {
        let entries = std::fs::read_dir(dir).ok()?;
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let mut paths = paths.map(|path| path.join("faketime/libfaketime.so.1"));
        paths.find(|path| path.exists())
    };
    let direct = ["/usr/lib/faketime/libfaketime.so.1", "/usr/lib64/faketime/libfaketime.so.1"];
    let direct = direct.map(Path::new).into_iter().find(|path| path.exists());
    let found = direct.map(Path::to_owned).or_else(|| below("/usr/lib"));
    if found.is_none() {
        eprintln!("clocks: did not run, since there is no libfaketime on this machine");
    }
    found.map(|path| path.to_string_lossy().into_owned())
}

/// A sidecar that serves, by the name of its log.
async fn start(name: &str, dir: &Path, settings: &[(&str, &str)]) -> (Sidecar, Client) {
    let port = free_ports(1)[0];
    let mut sidecar = Sidecar::new(name, dir, port, settings);
    sidecar.start();
    sidecar.ready().await;
    (sidecar, Client::new(port))
}

async fn acquire(client: &Client, resource: &str, holder: &str, ttl_seconds: f64) -> Value {
    let ttl_seconds = ttl_seconds as u64;
    let args = json!({"resource_id": resource, "holder_id": holder, "ttl_seconds": ttl_seconds});
    client.answer("lease_acquire", args).await
}

/// Seconds since 1970, by the server's own clock.
fn server_time(server: &RedisServer) -> f64 {
    let (seconds, micros): (u64, u64) = server.ask(&["TIME"]);
    seconds as f64 + micros as f64 / 1e6
}

/// Without this the test below would show nothing.
async fn is_really_ahead(dir: &Path, shifted: &[(&str, &str)]) {
    let settings = [shifted, &[("STATE_BACKEND", "memory")]].concat();
    let (_sidecar, client) = start("alone", dir, &settings).await;
    let lease = acquire(&client, "r", "a", LEASE_S).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let ahead = lease["expires_at"].as_f64().expect("a time") - now;
    assert!(ahead > AHEAD.1 - 60.0, "its clock is {ahead} s ahead");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_are_judged_by_the_clock_of_redis() {
    if !redis_server::is_installed("clocks") {
        return;
    }
    let Some(library) = faketime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let shift = [
        ("LD_PRELOAD", &*library),
        ("FAKETIME", AHEAD.0),
        // Waits are not to be an hour long.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    is_really_ahead(dir.path(), &shift).await;
    let server = RedisServer::start();
    let url = server.url();
    let shared = [("STATE_BACKEND", "redis"), ("REDIS_URL", &*url)];
    let (_one, honest) = start("honest", dir.path(), &shared).await;
    let (_other, shifted) = start("shifted", dir.path(), &[&shared[..], &shift].concat()).await;

    // A key and a lease of the honest one live on for the one that is ahead.
    let set = json!({"key": "k", "value": 1, "ttl_seconds": 60});
    honest.answer("state_set", set).await;
    assert_eq!(acquire(&honest, "kept", "a", 60.0).await["acquired"], true);
    let got = shifted.answer("state_get", json!({"key": "k"})).await;
    assert_eq!(got["value"], 1, "{got}");
    assert_eq!(acquire(&shifted, "kept", "b", 60.0).await["acquired"], false);

    // What the one that is ahead takes ends when Redis says so, for both.
    let mut ends: f64 = 0.0;
    for resource in ["one", "other"] {
        let before = server_time(&server);
        let lease = acquire(&shifted, resource, "a", LEASE_S).await;
        let end = lease["expires_at"].as_f64().expect("a time");
        let after = server_time(&server);
        // Times have milliseconds here.
        let (first, last) = (before + LEASE_S - 0.001, after + LEASE_S + 0.001);
        assert!((first..=last).contains(&end), "{end} is not between {first} and {last}");
        ends = ends.max(end);
    }
    for client in [&honest, &shifted] {
        // Meaningless only on a machine that stood still for two seconds.
        let lease = acquire(client, "one", "b", 60.0).await;
        let held = lease["acquired"] == false;
        assert!(held || server_time(&server) > ends, "{lease}");
    }
    let deadline = Instant::now() + PATIENCE;
    while server_time(&server) <= ends {
        assert!(Instant::now() < deadline, "Redis's clock stands still");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(acquire(&honest, "one", "b", 60.0).await["acquired"], true);
    assert_eq!(acquire(&shifted, "other", "b", 60.0).await["acquired"], true);
    let got = shifted.answer("state_get", json!({"key": "k"})).await;
    assert_eq!(got["value"], 1, "{got}");
}

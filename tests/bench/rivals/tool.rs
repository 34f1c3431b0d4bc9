//! The load generators, none of which is ours or etcd's: how each is called, and what
//! it says at its end. `redis-benchmark` comes with Redis, and measures Redis alone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::burst::Burst;

/// What `redis-benchmark`, which takes no time but a number, does first.
pub const FIRST_CALLS: u64 = 5_000;

/// A program that makes calls and measures them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    H2load,
    Wrk,
    RedisBenchmark,
}

impl Tool {
    pub fn name(self) -> &'static str {
        match self {
            Tool::H2load => "h2load",
            Tool::Wrk => "wrk",
            Tool::RedisBenchmark => "redis-benchmark",
        }
    }

    /// Why it cannot be used here, if so.
    pub fn missing(self) -> Option<String> {
        let package = match self {
            Tool::H2load => "nghttp2-client",
            Tool::Wrk => "wrk",
            Tool::RedisBenchmark => "redis-tools",
        };
        let mut found = Command::new(self.name());
        let found = found.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let name = self.name();
        found
            .is_err()
            .then(|| format!("there is no {name} here; Debian's package {package} has it"))
    }
}

/// Calls one by one on each of `clients` connections, all by one thread.
pub fn h2load(clients: usize, time: Duration, call: &Path, log: &Path) -> Vec<String> {
    let (clients, time) = (clients.to_string(), time.as_secs().to_string());
    let words = ["--threads", "1", "--max-concurrent-streams", "1", "--clients", &clients];
    let about = ["--header", "content-type: application/grpc", "--header", "te: trailers"];
    let files = ["--data", &call.to_string_lossy(), "--log-file", &log.to_string_lossy()]
        .map(str::to_owned);
    let words = words.into_iter().chain(["--duration", &time]).chain(about).map(str::to_owned);
    words.chain(files).collect()
}

/// The same over HTTP/1.1.
pub fn wrk(clients: usize, time: Duration, script: &Path) -> Vec<String> {
    let (clients, time) = (clients.to_string(), format!("{}s", time.as_secs()));
    let words = ["--threads", "1", "--connections", &clients, "--duration", &time, "--script"];
    words.iter().map(|word| (*word).to_owned()).chain([script.to_string_lossy().into()]).collect()
}

/// The same over Redis's protocol.
pub fn redis_benchmark(clients: usize, calls: u64, host: &str, words: &[String]) -> Vec<String> {
    let (host, port) = host.split_once(':').unwrap_or((host, "6379"));
    let (clients, calls) = (clients.to_string(), calls.to_string());
    let about = ["-h", host, "-p", port, "-c", &clients, "-n", &calls, "--csv", "--precision", "3"];
    about.iter().map(|word| (*word).to_owned()).chain(words.iter().cloned()).collect()
}

/// What `h2load` has counted; nothing where a call has failed.
pub fn read_h2load(text: &str, log: &str) -> Option<Burst> {
    let line = |prefix| text.lines().find_map(|line: &str| line.strip_prefix(prefix));
    let [_, _, calls, succeeded, failed, errored, timed_out] = numbers(line("requests: ")?)[..]
    else {
        return None;
    };
    let bytes = line("traffic: ")?.rsplit_once('(')?.1.split(')').next()?.parse().ok()?;
    let mut burst = Burst { calls, bytes, ..Burst::default() };
    for micros in log.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok()) {
        *burst.took.entry(micros).or_default() += 1;
    }
    let is_good = failed + errored + timed_out == 0 && succeeded == calls;
    is_good.then_some(burst)
}

/// What `wrk` has counted, as our script tells it; nothing where a call has failed.
pub fn read_wrk(text: &str) -> Option<Burst> {
    let line = text.lines().find(|line| line.starts_with("calls "))?;
    let [calls, failed, bytes] = numbers(line)[..] else { return None };
    let mut burst = Burst { calls, bytes, ..Burst::default() };
    for line in text.lines().filter(|line| line.starts_with("took ")) {
        let [micros, count] = numbers(line)[..] else { return None };
        *burst.took.entry(micros).or_default() += count;
    }
    (failed == 0).then_some(burst)
}

/// What `redis-benchmark` has counted. It tells no more than percentiles, which here
/// stand for all calls up to them.
pub fn read_redis_benchmark(text: &str, calls: u64) -> Option<Burst> {
    let line = text.lines().last().filter(|line| line.starts_with('"'))?;
    let numbers: Vec<f64> =
        line.rsplit("\",\"").filter_map(|word| word.trim_matches('"').parse().ok()).collect();
    // Backwards: maximum, p99, p95, p50, minimum, average, calls a second.
    let [_, p99, _, p50, _, _, rate] = numbers[..] else { return None };
    let micros = |millis: f64| (millis * 1e3) as u64;
    let upper = calls / 50;
    let took = [(micros(p50), calls - upper), (micros(p99), upper)].into();
    Some(Burst { calls, time: Duration::from_secs_f64(calls as f64 / rate), bytes: 0, took })
}

fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

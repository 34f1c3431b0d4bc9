//! Figures: from durations to rows that a person reads.

use std::fmt;
use std::time::Duration;

use crate::load::Load;
use crate::servers::System;

/// One measured load.
pub struct Row {
    system: &'static str,
    protocol: &'static str,
    operation: &'static str,
    clients: usize,
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// All rows of a run.
pub struct Table(comfy_table::Table);

impl Row {
    /// The figures of `took`, the time of each call that ended within `lasted`.
    pub fn new(system: System, load: &Load, mut took: Vec<Duration>, lasted: Duration) -> Row {
        took.sort_unstable();
        Row {
            system: system.name(),
            protocol: load.protocol.name(),
            operation: load.operation.name(),
            clients: load.clients,
            per_second: took.len() as f64 / lasted.as_secs_f64(),
            p50: percentile(&took, 50),
            p99: percentile(&took, 99),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<12} {:<10} {:<6} {:>4} clients {:>9.0}/s  p50 {:>8.2} ms  p99 {:>8.2} ms",
            self.system,
            self.protocol,
            self.operation,
            self.clients,
            self.per_second,
            millis(self.p50),
            millis(self.p99)
        )
    }
}

impl Table {
    pub fn new() -> Table {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["system", "protocol", "call", "clients", "calls/s", "p50 ms", "p99 ms"]);
        Table(table)
    }

    pub fn add(&mut self, row: Row) {
        self.0.add_row([
            row.system.to_owned(),
            row.protocol.to_owned(),
            row.operation.to_owned(),
            row.clients.to_string(),
            format!("{:.0}", row.per_second),
            format!("{:.2}", millis(row.p50)),
            format!("{:.2}", millis(row.p99)),
        ]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the figures were taken on.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |name| name.trim_start_matches([' ', '\t', ':']));
    format!("{cores} cores of {model}; servers and clients share them")
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

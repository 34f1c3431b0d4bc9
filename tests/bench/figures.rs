//! Figures: from durations to rows that a person reads.

use std::fmt;
use std::time::Duration;

use crate::load::{Load, Operation, Protocol};
use crate::servers::System;

/// Writes a second that sidecars on one SQLite file or one Redis must reach
/// over MCP, on two cores, however many share it.
const FLOOR: f64 = 2_500.0;

/// Clients, in all, with which the floor is to be reached.
const FLOOR_CLIENTS: usize = 64;

/// One measured load.
pub struct Row {
    system: System,
    protocol: Protocol,
    operation: Operation,
    clients: usize,
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// All rows of a run.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Row {
    /// The figures of `took`, the time of each call that ended within `lasted`.
    pub fn new(system: System, load: &Load, mut took: Vec<Duration>, lasted: Duration) -> Row {
        took.sort_unstable();
        Row {
            system,
            protocol: load.protocol,
            operation: load.operation,
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
            "{:<14} {:<10} {:<6} {:>4} clients {:>9.0}/s  p50 {:>8.2} ms  p99 {:>8.2} ms",
            self.system.name(),
            self.protocol.name(),
            self.operation.name(),
            self.clients,
            self.per_second,
            millis(self.p50),
            millis(self.p99)
        )
    }
}

impl Row {
    fn cells(&self) -> [String; 7] {
        [
            self.system.name().to_owned(),
            self.protocol.name().to_owned(),
            self.operation.name().to_owned(),
            self.clients.to_string(),
            format!("{:.0}", self.per_second),
            format!("{:.2}", millis(self.p50)),
            format!("{:.2}", millis(self.p99)),
        ]
    }

    fn has_a_floor(&self) -> bool {
        let shared = matches!(self.system, System::Sqlite(_) | System::Redis(_));
        let call = (self.protocol, self.operation) == (Protocol::Mcp, Operation::Write);
        shared && call && self.clients == FLOOR_CLIENTS
    }
}

impl Table {
    pub fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    /// A line for each row that has a floor: whether it was reached.
    pub fn floors(&self) -> Vec<String> {
        let rows = self.0.iter().filter(|row| row.has_a_floor());
        let line = |row: &Row| {
            let verdict = if row.per_second >= FLOOR { "reached" } else { "MISSED" };
            let (name, reached) = (row.system.name(), row.per_second);
            format!("{name}: {reached:.0} writes/s over MCP, floor of {FLOOR} {verdict}")
        };
        rows.map(line).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["system", "protocol", "call", "clients", "calls/s", "p50 ms", "p99 ms"]);
        table.add_rows(self.0.iter().map(Row::cells));
        table.fmt(f)
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

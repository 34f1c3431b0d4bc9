//! Figures: from durations to rows that a person reads.

use std::fmt;
use std::time::Duration;

use crate::load::{Load, Operation, Protocol};
use crate::program::Program;
use crate::servers::Servers;
use crate::system::System;

/// Writes a second that sidecars on one SQLite file or one Redis must reach
/// over MCP, on two cores, however many share it.
const FLOOR: f64 = 2_500.0;

/// Clients, in all, with which the floor is to be reached.
const FLOOR_CLIENTS: usize = 64;

/// One measured load.
pub struct Row {
    system: System,
    binary: String,
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
    pub fn new(servers: &Servers, load: &Load, mut took: Vec<Duration>, lasted: Duration) -> Row {
        took.sort_unstable();
        Row {
            system: servers.system(),
            binary: servers.binary().to_owned(),
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
            "{:<14} {:<10} {:<6} {:>4} clients {:>9.0}/s  p50 {:>8.2} ms  p99 {:>8.2} ms  {}",
            self.system.name(),
            self.protocol.name(),
            self.operation.name(),
            self.clients,
            self.per_second,
            millis(self.p50),
            millis(self.p99),
            self.binary
        )
    }
}

impl Row {
    fn cells(&self) -> [String; 8] {
        [
            self.system.name().to_owned(),
            self.binary.clone(),
            self.protocol.name().to_owned(),
            self.operation.name().to_owned(),
            self.clients.to_string(),
            format!("{:.0}", self.per_second),
            format!("{:.2}", millis(self.p50)),
            format!("{:.2}", millis(self.p99)),
        ]
    }

    /// Whether the other row is of the same load on the same system.
    fn compares_with(&self, other: &Row) -> bool {
        let load = |row: &Row| (row.system, row.protocol, row.operation, row.clients);
        load(self) == load(other)
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
            let binary = &row.binary;
            format!("{name}: {reached:.0} writes/s over MCP, floor of {FLOOR} {verdict} ({binary})")
        };
        rows.map(line).collect()
    }

    /// How many times as many calls a second each load reached with `this` as with
    /// `other`, and the middle and the lowest of these ratios.
    pub fn ratios(&self, this: &Program, other: &Program) -> Vec<String> {
        let mut ratios = Vec::new();
        let mut lines = vec![format!("calls/s of {} over those of {}:", this.name(), other.name())];
        for row in self.0.iter().filter(|row| row.binary == this.name()) {
            let of_other = |with: &&Row| with.binary == other.name() && with.compares_with(row);
            let Some(with) = self.0.iter().find(of_other) else { continue };
            let ratio = row.per_second / with.per_second;
            ratios.push(ratio);
            let (system, protocol) = (row.system.name(), row.protocol.name());
            let (operation, clients) = (row.operation.name(), row.clients);
            lines
                .push(format!("{system:<14} {protocol:<5} {operation:<6} {clients:>4} {ratio:.2}"));
        }
        ratios.sort_unstable_by(f64::total_cmp);
        if let (Some(middle), Some(lowest)) = (ratios.get(ratios.len() / 2), ratios.first()) {
            lines.push(format!("middle {middle:.2}, lowest {lowest:.2}"));
        }
        lines
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        let load = ["system", "binary", "protocol", "call", "clients"];
        table.set_header(load.into_iter().chain(["calls/s", "p50 ms", "p99 ms"]));
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

/// Of sorted durations; zero where there are none.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

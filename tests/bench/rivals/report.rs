//! The table of a run: medians of the rounds, and how they compare.

use std::fmt;
use std::time::Duration;

use super::generator::Burst;
use super::host::{Limits, Usage};
use crate::Result;
use crate::figures::{machine, millis, percentile};
use crate::load::{Operation, Protocol};
use crate::servers::Servers;

/// One load on one system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub protocol: Protocol,
    pub operation: Operation,
    pub clients: usize,
}

/// What one round of a row has given.
#[derive(Clone, Copy)]
pub struct Figures {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Of all nodes together, for each call.
    cpu: Duration,
    device_bytes: f64,
    /// Cores that the nodes kept busy.
    cores: f64,
}

/// All rounds of all rows.
pub struct Report {
    limits: Limits,
    idle: Vec<String>,
    rounds: Vec<(Row, Figures)>,
}

impl Figures {
    /// Of calls between two readings of the usage `lasted` apart.
    pub fn new(burst: &mut Burst, usage: &Usage, lasted: Duration) -> Figures {
        burst.took.sort_unstable();
        // Where generators tell percentiles alone, the worst of them counts.
        let worst = |at: usize| burst.percentiles.iter().map(|known| known[at]).max();
        Figures {
            per_second: burst.calls as f64 / burst.time.as_secs_f64(),
            p50: worst(0).unwrap_or_else(|| percentile(&burst.took, 50)),
            p99: worst(1).unwrap_or_else(|| percentile(&burst.took, 99)),
            cpu: usage.cpu.div_f64(burst.calls as f64),
            device_bytes: usage.device_bytes as f64 / burst.calls as f64,
            cores: usage.cpu.as_secs_f64() / lasted.as_secs_f64(),
        }
    }

    /// The middle of each figure.
    fn median(rounds: &[Figures]) -> Figures {
        let middle = |of: fn(&Figures) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(of).collect();
            all.sort_unstable_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let time = |of: fn(&Figures) -> f64| Duration::from_secs_f64(middle(of));
        Figures {
            per_second: middle(|it| it.per_second),
            p50: time(|it| it.p50.as_secs_f64()),
            p99: time(|it| it.p99.as_secs_f64()),
            cpu: time(|it| it.cpu.as_secs_f64()),
            device_bytes: middle(|it| it.device_bytes),
            cores: middle(|it| it.cores),
        }
    }
}

impl Report {
    pub fn new(limits: Limits) -> Report {
        Report { limits, idle: Vec::new(), rounds: Vec::new() }
    }

    /// Notes what nodes take that have nothing to do.
    pub fn idle(&mut self, servers: &Servers, cores: f64) -> Result<()> {
        let mib: Vec<_> = servers.resident_bytes()?.iter().map(|bytes| bytes >> 20).collect();
        let (name, percent) = (servers.system().name(), 100.0 * cores);
        self.idle.push(format!("{name}: {mib:?} MiB resident, {percent:.1} % of one core"));
        Ok(())
    }

    pub fn add(&mut self, row: Row, figures: Figures) {
        self.rounds.push((row, figures));
    }

    fn median(&self, row: Row) -> Option<Figures> {
        let of_row = self.rounds.iter().filter(|(of, _)| *of == row);
        let rounds: Vec<Figures> = of_row.map(|(_, figures)| *figures).collect();
        (!rounds.is_empty()).then(|| Figures::median(&rounds))
    }

    /// Each row once, in the order in which they were measured first.
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (row, _) in &self.rounds {
            if !rows.contains(row) {
                rows.push(*row);
            }
        }
        rows
    }

    fn cells(&self, row: Row) -> Option<Vec<String>> {
        let ours = self.median(row)?;
        let etcd = self.median(Row { protocol: Protocol::Etcd, ..row })?;
        let ratio = |ours: f64, etcd: f64| format!("{:.2}", ours / etcd);
        Some(vec![
            row.protocol.name().to_owned(),
            row.operation.name().to_owned(),
            row.clients.to_string(),
            format!("{:.0}", ours.per_second),
            ratio(ours.per_second, etcd.per_second),
            format!("{:.2} / {:.2}", millis(ours.p50), millis(ours.p99)),
            ratio(millis(ours.p50), millis(etcd.p50)),
            format!("{:.0}", ours.cpu.as_secs_f64() * 1e6),
            ratio(ours.cpu.as_secs_f64(), etcd.cpu.as_secs_f64()),
            format!("{:.0}", ours.device_bytes),
            ratio(ours.device_bytes, etcd.device_bytes),
            format!("{:.1}", ours.cores),
        ])
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { protocol, operation, clients } = self;
        write!(f, "{:<9} {:<5} {clients:>4} clients", protocol.name(), operation.name())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { per_second, p50, p99, cpu, device_bytes, cores } = self;
        write!(f, "{per_second:.0}/s, p50 {:.2} ms, p99 {:.2} ms, ", millis(*p50), millis(*p99))?;
        write!(
            f,
            "{:.0} µs of processor and {device_bytes:.0} bytes of disk a call, ",
            cpu.as_secs_f64() * 1e6
        )?;
        write!(f, "{cores:.1} cores")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sync, round_trip) = (millis(self.limits.sync), millis(self.limits.round_trip));
        writeln!(f, "{}", machine())?;
        writeln!(f, "A sync of 256 bytes takes {sync:.2} ms, a round trip {round_trip:.2} ms.")?;
        self.idle.iter().try_for_each(|line| writeln!(f, "Idle, {line}."))?;
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        let load = ["protocol", "call", "clients", "calls/s", "of etcd", "p50 / p99 ms"];
        let costs = ["p50 of etcd", "µs/call", "of etcd", "bytes/call", "of etcd", "cores"];
        table.set_header(load.into_iter().chain(costs));
        let ours = self.rows().into_iter().filter(|row| row.protocol != Protocol::Etcd);
        table.add_rows(ours.filter_map(|row| self.cells(row)));
        write!(f, "\n{table}")
    }
}

//! The tables of a contest: medians of the rounds, and how they compare.

use std::fmt;
use std::time::Duration;

use super::burst::Burst;
use super::host::{Limits, Usage};
use crate::figures::{machine, millis};
use crate::load::Operation;

/// From this share of the machine's processors on, they are what limits a row. The rest
/// is lost where a thread waits for another.
const SATURATED: f64 = 0.85;

/// A system and a protocol.
pub type Name = (&'static str, &'static str);

/// One load on one side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub name: Name,
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
    /// Cores that the servers kept busy, the generators, and anybody else.
    servers: f64,
    generators: f64,
    others: f64,
    /// What a call takes at the least.
    floor: Duration,
}

/// What a system takes that has nothing to do, for each process that takes calls.
pub struct Idle {
    pub system: &'static str,
    pub processes: usize,
    pub cores: f64,
    pub bytes: u64,
    /// After all rows.
    pub bytes_after: u64,
}

/// All rounds of all rows of systems that are compared.
pub struct Contest {
    /// With whom the others are compared, and what tables call them for short.
    base: Name,
    base_name: &'static str,
    pub idle: Vec<Idle>,
    pub rounds: Vec<(Row, Figures)>,
}

impl Figures {
    /// Of calls between two readings of the usage `lasted` apart.
    pub fn new(burst: &Burst, usage: &Usage, lasted: Duration, floor: Duration) -> Figures {
        let cores = |time: Duration| time.as_secs_f64() / lasted.as_secs_f64();
        Figures {
            per_second: burst.calls as f64 / burst.time.as_secs_f64(),
            p50: burst.percentile(50),
            p99: burst.percentile(99),
            cpu: usage.cpu.div_f64(burst.calls as f64),
            device_bytes: usage.device_bytes as f64 / burst.calls as f64,
            servers: cores(usage.cpu),
            generators: cores(usage.generators),
            others: cores(usage.busy.saturating_sub(usage.cpu + usage.generators)),
            floor,
        }
    }

    /// The middle of each figure.
    fn median(rounds: &[Figures]) -> Figures {
        let middle = |of: fn(&Figures) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(of).collect();
            all.sort_unstable_by(f64::total_cmp);
            // Of an even number, between the two in the middle.
            (all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0
        };
        let time = |of: fn(&Figures) -> f64| Duration::from_secs_f64(middle(of));
        Figures {
            per_second: middle(|it| it.per_second),
            p50: time(|it| it.p50.as_secs_f64()),
            p99: time(|it| it.p99.as_secs_f64()),
            cpu: time(|it| it.cpu.as_secs_f64()),
            device_bytes: middle(|it| it.device_bytes),
            servers: middle(|it| it.servers),
            generators: middle(|it| it.generators),
            others: middle(|it| it.others),
            floor: time(|it| it.floor.as_secs_f64()),
        }
    }

    fn limit(&self) -> String {
        let Figures { servers, generators, others, .. } = self;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let work = format!("servers {servers:.1}, load {generators:.1}, others {others:.1}");
        if servers + generators + others >= SATURATED * cores {
            return format!("processors: {work} of {cores}");
        }
        let (floor, p50) = (millis(self.floor), millis(self.p50));
        format!("waits: sync and loopback {floor:.2} of {p50:.2} ms; {work} of {cores}")
    }
}

impl Contest {
    pub fn new(base: Name, base_name: &'static str) -> Contest {
        Contest { base, base_name, idle: Vec::new(), rounds: Vec::new() }
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

    fn cells(&self, row: Row) -> Option<[String; 11]> {
        let ours = self.median(row)?;
        let base = self.median(Row { name: self.base, ..row });
        let ratio = |of: fn(&Figures) -> f64| {
            base.map_or_else(|| "–".to_owned(), |base| digits(of(&ours) / of(&base)))
        };
        let (system, protocol) = row.name;
        Some([
            row.operation.name().to_owned(),
            row.clients.to_string(),
            format!("{system}, {protocol}"),
            format!("{:.0}", ours.per_second),
            ratio(|it| it.per_second),
            format!("{:.2} / {:.2}", millis(ours.p50), millis(ours.p99)),
            format!("{} / {}", ratio(|it| millis(it.p50)), ratio(|it| millis(it.p99))),
            format!("{:.0}", ours.cpu.as_secs_f64() * 1e6),
            ratio(|it| it.cpu.as_secs_f64()),
            format!("{:.0}", ours.device_bytes),
            ours.limit(),
        ])
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { name: (system, protocol), operation, clients } = self;
        write!(f, "{system}, {protocol}: {}, {clients} at a time", operation.name())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { per_second, p50, p99, device_bytes, .. } = self;
        write!(f, "{per_second:.0}/s, p50 {:.2} ms, p99 {:.2} ms, ", millis(*p50), millis(*p99))?;
        let cpu = self.cpu.as_secs_f64() * 1e6;
        write!(f, "{cpu:.0} µs and {device_bytes:.0} device bytes a call; {}", self.limit())
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sync, round_trip) = (millis(self.sync), millis(self.round_trip));
        write!(f, "{}. A sync of 256 bytes takes {sync:.2} ms, ", machine())?;
        write!(f, "a round trip over loopback {round_trip:.2} ms.")
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, mut table) = (format!("× {}", self.base_name), markdown());
        table.set_header([
            "call",
            "clients",
            "system",
            "calls/s",
            &of,
            "p50 / p99 ms",
            &of,
            "CPU µs/call",
            &of,
            "device bytes/call",
            "limited by",
        ]);
        table.add_rows(self.rows().into_iter().filter_map(|row| self.cells(row)));
        let others = self.rounds.iter().map(|(_, figures)| figures.others).fold(0.0, f64::max);
        writeln!(f, "{table}\n\nOther programs took up to {others:.1} cores meanwhile.\n")?;
        let mut table = markdown();
        table.set_header([
            "system",
            "processes",
            "MiB each, idle",
            "after the load",
            "% of a core each, idle",
        ]);
        table.add_rows(self.idle.iter().map(|idle| {
            [
                idle.system.to_owned(),
                idle.processes.to_string(),
                (idle.bytes >> 20).to_string(),
                (idle.bytes_after >> 20).to_string(),
                format!("{:.1}", 100.0 * idle.cores),
            ]
        }));
        write!(f, "{table}")
    }
}

/// A ratio with two digits or three that mean something.
fn digits(ratio: f64) -> String {
    let after = if ratio >= 10.0 {
        0
    } else if ratio >= 0.1 {
        2
    } else {
        3
    };
    format!("{ratio:.after$}")
}

fn markdown() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table
}

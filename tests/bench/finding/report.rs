//! Reports of what was found: figures beside few and many rows, and their ratio.

use std::time::Duration;

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// More is better; all others are costs.
    PerSecond,
    Ms,
    Bytes,
    Number,
    /// Work that grows with what was asked for: milliseconds, and a number.
    TotalMs,
    Total,
}

/// One figure of a measurement.
pub struct Figure {
    pub what: &'static str,
    pub unit: Unit,
    pub value: f64,
}

/// What became of a measurement.
pub enum Outcome {
    Measured(Vec<Figure>),
    /// What it was doing when its time was over.
    CutOff(&'static str, Duration),
    Failed(String),
}

/// One row of the benchmark on one system, with one binary.
pub struct Compared {
    pub what: &'static str,
    pub system: &'static str,
    pub binary: String,
    pub sizes: [usize; 2],
    /// One for each size.
    pub outcomes: Vec<Outcome>,
}

impl Figure {
    pub fn per_second(what: &'static str, count: usize, time: Duration) -> Figure {
        Figure { what, unit: Unit::PerSecond, value: count as f64 / time.as_secs_f64() }
    }

    pub fn ms(what: &'static str, time: Duration) -> Figure {
        Figure { what, unit: Unit::Ms, value: time.as_secs_f64() * 1_000.0 }
    }

    /// A time that is as long as there is much to do.
    pub fn total_ms(what: &'static str, time: Duration) -> Figure {
        Figure { unit: Unit::TotalMs, ..Figure::ms(what, time) }
    }

    pub fn bytes(what: &'static str, bytes: usize) -> Figure {
        Figure { what, unit: Unit::Bytes, value: bytes as f64 }
    }

    pub fn number(what: &'static str, number: f64) -> Figure {
        Figure { what, unit: Unit::Number, value: number }
    }

    /// A number that grows with what was asked for.
    pub fn total(what: &'static str, number: f64) -> Figure {
        Figure { what, unit: Unit::Total, value: number }
    }

    fn text(&self) -> String {
        match self.unit {
            Unit::PerSecond => format!("{:.0}/s", self.value),
            Unit::Ms | Unit::TotalMs => format!("{:.1} ms", self.value),
            Unit::Bytes => format!("{:.0} KiB", self.value / 1024.0),
            Unit::Number | Unit::Total => format!("{:.1}", self.value),
        }
    }

    /// How many times as much the same costs where `many` was measured, if it
    /// should cost the same.
    fn ratio(&self, many: &Figure) -> Option<f64> {
        let ratio = match self.unit {
            Unit::PerSecond => self.value / many.value,
            Unit::Ms | Unit::Bytes | Unit::Number => many.value / self.value,
            Unit::TotalMs | Unit::Total => return None,
        };
        ratio.is_finite().then_some(ratio)
    }
}

impl Outcome {
    fn figure(&self, what: &str) -> Option<&Figure> {
        match self {
            Outcome::Measured(figures) => figures.iter().find(|figure| figure.what == what),
            Outcome::CutOff(..) | Outcome::Failed(_) => None,
        }
    }

    fn names(&self) -> Vec<&'static str> {
        match self {
            Outcome::Measured(figures) => figures.iter().map(|figure| figure.what).collect(),
            Outcome::CutOff(..) | Outcome::Failed(_) => Vec::new(),
        }
    }

    /// Why there are no figures, where there are none.
    fn gap(&self) -> Option<String> {
        match self {
            Outcome::Measured(_) => None,
            Outcome::CutOff(what, within) => {
                Some(format!("{what} was cut off after {} s", within.as_secs()))
            }
            Outcome::Failed(error) => Some(error.clone()),
        }
    }
}

impl Compared {
    /// What is printed as soon as one size is measured.
    pub fn line(&self, size: usize, outcome: &Outcome) -> String {
        let figures = match outcome {
            Outcome::Measured(figures) => {
                let text = |figure: &Figure| format!("{} {}", figure.what, figure.text());
                figures.iter().map(text).collect::<Vec<_>>().join(", ")
            }
            Outcome::CutOff(..) | Outcome::Failed(_) => outcome.gap().unwrap_or_default(),
        };
        format!("{}, {}, {size} ({}): {figures}", self.what, self.system, self.binary)
    }

    /// A line for each size that has no figures.
    pub fn gaps(&self) -> Vec<String> {
        let sizes = self.sizes.iter().zip(&self.outcomes);
        let line =
            |(size, outcome): (&usize, &Outcome)| outcome.gap().map(|_| self.line(*size, outcome));
        sizes.filter_map(line).collect()
    }

    fn rows(&self) -> Vec<[String; 7]> {
        let [few, many] = &self.outcomes[..] else { return Vec::new() };
        let names = if few.gap().is_none() { few.names() } else { many.names() };
        let row = |what: &'static str| {
            let (few, many) = (few.figure(what), many.figure(what));
            let ratio = few.zip(many).and_then(|(few, many)| few.ratio(many));
            let text = |figure: Option<&Figure>| figure.map_or("-".to_owned(), Figure::text);
            [
                self.what.to_owned(),
                self.system.to_owned(),
                self.binary.clone(),
                what.to_owned(),
                format!("{} ({})", text(few), self.sizes[0]),
                format!("{} ({})", text(many), self.sizes[1]),
                ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            ]
        };
        names.into_iter().map(row).collect()
    }
}

/// All figures; each is followed by how many rows it was taken beside.
pub fn table(all: &[Compared]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["row", "system", "binary", "figure", "few", "many", "costs times"]);
    table.add_rows(all.iter().flat_map(Compared::rows));
    table
}

//! How far long work has got, on standard error, for people who look: where
//! that is no terminal, nothing is shown.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A sign of life although nothing moves.
const TICK: Duration = Duration::from_millis(200);

/// One bar. It goes when it is dropped.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for bytes: of `total`, where that is known.
    pub fn of_bytes(what: &'static str, total: Option<u64>) -> Progress {
        let template = match total {
            Some(_) => "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{msg} {spinner} {bytes}, {bytes_per_sec}",
        };
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        Progress::new(bar, template, what)
    }

    /// A bar for things whose number is told later.
    pub fn of_number(what: &'static str) -> Progress {
        Progress::new(ProgressBar::no_length(), "{msg} {bar:30} {human_pos} of {human_len}", what)
    }

    /// A number that falls.
    pub fn of_lag(what: &'static str) -> Progress {
        Progress::new(ProgressBar::no_length(), "{msg} {spinner} {human_pos} entries behind", what)
    }

    fn new(bar: ProgressBar, template: &str, what: &'static str) -> Progress {
        // A bar without a style of its own says the same less well.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        Progress { bar }
    }

    /// So much is done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Of so much.
    pub fn total(&self, total: u64) {
        self.bar.set_length(total);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

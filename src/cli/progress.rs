//! Progress bars for long work, on standard error. Where that is not a terminal, nothing is
//! shown.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar moves even if there is no progress, to show that the work goes on.
const TICK: Duration = Duration::from_millis(200);

/// One progress bar, which disappears when it is dropped.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that counts bytes, out of `total` where that is known.
    pub fn of_bytes(what: &'static str, total: Option<u64>) -> Progress {
        let template = match total {
            Some(_) => "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{msg} {spinner} {bytes}, {bytes_per_sec}",
        };
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        Progress::new(bar, template, what)
    }

    /// A bar that counts things. [`Progress::set_total`] says how many there are.
    pub fn of_number(what: &'static str) -> Progress {
        Progress::new(ProgressBar::no_length(), "{msg} {bar:30} {human_pos} of {human_len}", what)
    }

    /// A bar for a number of entries that falls to zero.
    pub fn of_lag(what: &'static str) -> Progress {
        Progress::new(ProgressBar::no_length(), "{msg} {spinner} {human_pos} entries behind", what)
    }

    fn new(bar: ProgressBar, template: &str, what: &'static str) -> Progress {
        // Without the style, the default one shows the same less clearly.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        Progress { bar }
    }

    /// Shows how much is done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Says how much there is in all.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

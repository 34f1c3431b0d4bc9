//! What a run of the suite showed: a table for people, and the list in the docs.

use std::fmt::Write;

use crate::expected::Expected;
use crate::suite::{ScenarioResult, SuiteRun};

/// One run, and against which server it was.
pub struct RunReport {
    pub server: &'static str,
    pub revision: &'static str,
    pub run: SuiteRun,
}

impl RunReport {
    /// How many of the scenarios that are required, or of the others, pass; and
    /// how many there are.
    fn count(&self, required: bool) -> (usize, usize) {
        let is_meant = |name: &&String| self.run.optional.contains(name) != required;
        let names: Vec<_> = self.run.results.keys().filter(is_meant).collect();
        let passed = |name: &&&String| self.run.results[**name] == ScenarioResult::Passed;
        (names.iter().filter(passed).count(), names.len())
    }
}

/// Every scenario in a row, and every run in a column.
pub fn table(runs: &[RunReport], expected: &Expected) -> String {
    let mut names: Vec<&String> = runs.iter().flat_map(|run| run.run.results.keys()).collect();
    names.sort();
    names.dedup();
    let mut table = format!("{:<48}", "scenario");
    for run in runs {
        _ = write!(table, " {:>8} {}", run.server, run.revision);
    }
    for name in names {
        _ = write!(table, "\n{name:<48}");
        for run in runs {
            let result = match run.run.results.get(name) {
                Some(ScenarioResult::Passed) => "passed",
                Some(ScenarioResult::Failed(_))
                    if expected.leaves_out(run.server, run.revision, name) =>
                {
                    "left out"
                }
                Some(ScenarioResult::Failed(_)) => "FAILED",
                Some(ScenarioResult::NothingChecked) => "no check",
                None => "",
            };
            _ = write!(table, " {result:>19}");
        }
    }
    table
}

/// The counts and what is left out, as the docs show them.
pub fn docs(runs: &[RunReport], expected: &Expected) -> String {
    let mut text = String::from(
        "| Server | Revision | Required scenarios that pass | Others that pass |\n|---|---|---|---|\n",
    );
    for run in runs {
        let ((required, of_required), (other, of_other)) = (run.count(true), run.count(false));
        let (server, revision) = (run.server, run.revision);
        _ = writeln!(
            text,
            "| {server} | {revision} | {required} of {of_required} | {other} of {of_other} |"
        );
    }
    text.push_str("\n| Server | Revision | Left out | Why |\n|---|---|---|---|\n");
    for group in &expected.left_out {
        let scenarios: Vec<String> =
            group.scenarios.iter().map(|scenario| format!("`{scenario}`")).collect();
        let (server, revision) = (&group.server, &group.revision);
        _ = writeln!(text, "| {server} | {revision} | {} | {} |", scenarios.join(", "), group.why);
    }
    text.trim_end().to_owned()
}

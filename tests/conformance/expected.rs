//! Which scenarios do not pass, and why: the list in `expected.toml`, and what
//! a run shows that is not in it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::suite::{ScenarioResult, SuiteRun};

const LIST: &str = include_str!("expected.toml");

#[derive(Deserialize)]
pub struct Expected {
    /// The scenarios that do not pass, by what they have in common.
    pub left_out: Vec<LeftOut>,
}

/// Scenarios that do not pass for the same reason.
#[derive(Deserialize)]
pub struct LeftOut {
    pub server: String,
    pub revision: String,
    pub why: String,
    pub scenarios: Vec<String>,
}

impl Expected {
    pub fn read() -> Expected {
        toml::from_str(LIST).expect("expected.toml is a list of what is left out")
    }

    /// The scenarios that one server does not pass, with the reasons.
    fn of(&self, server: &str, revision: &str) -> BTreeMap<&str, &str> {
        let is_meant = |group: &&LeftOut| group.server == server && group.revision == revision;
        let groups = self.left_out.iter().filter(is_meant);
        let reasons = groups.flat_map(|group| {
            group.scenarios.iter().map(|scenario| (scenario.as_str(), group.why.as_str()))
        });
        reasons.collect()
    }

    pub fn leaves_out(&self, server: &str, revision: &str, scenario: &str) -> bool {
        self.of(server, revision).contains_key(scenario)
    }

    /// What a run shows that the list does not say.
    pub fn deviations(&self, server: &str, revision: &str, run: &SuiteRun) -> Vec<String> {
        let left_out = self.of(server, revision);
        let at = |scenario: &str| format!("{server}, {revision}, {scenario}");
        let mut found = Vec::new();
        for (scenario, result) in &run.results {
            match (result, left_out.contains_key(scenario.as_str())) {
                (ScenarioResult::Passed, true) => {
                    found.push(format!("{}: passes, but is listed as left out", at(scenario)));
                }
                (ScenarioResult::Failed(why), false) => {
                    found.push(format!("{}: failed:\n    {}", at(scenario), why.join("\n    ")));
                }
                (ScenarioResult::NothingChecked, false) => {
                    found.push(format!("{}: nothing was checked", at(scenario)));
                }
                (ScenarioResult::Passed, false)
                | (ScenarioResult::Failed(_) | ScenarioResult::NothingChecked, true) => {}
            }
        }
        let unknown = left_out.keys().filter(|name| !run.results.contains_key(**name));
        found.extend(unknown.map(|name| format!("{}: the suite has no such scenario", at(name))));
        found
    }
}

fn run(results: &[(&str, ScenarioResult)]) -> SuiteRun {
    let owned = results.iter().map(|(name, result)| ((*name).to_owned(), result.clone()));
    SuiteRun { results: owned.collect(), optional: Vec::new() }
}

#[test]
fn every_deviation_from_the_list_is_seen() {
    let expected: Expected = toml::from_str(
        "[[left_out]]\nserver = 'fixture'\nrevision = 'R'\nwhy = 'W'\nscenarios = ['out']\n",
    )
    .expect("a list");
    let failed = || ScenarioResult::Failed(vec!["wrong".to_owned()]);
    let fine = run(&[("in", ScenarioResult::Passed), ("out", failed())]);
    assert_eq!(expected.deviations("fixture", "R", &fine), [""; 0]);
    for (results, wrong) in [
        (run(&[("in", failed()), ("out", failed())]), "fixture, R, in: failed:\n    wrong"),
        (
            run(&[("in", ScenarioResult::NothingChecked), ("out", failed())]),
            "fixture, R, in: nothing was checked",
        ),
        (
            run(&[("out", ScenarioResult::Passed)]),
            "fixture, R, out: passes, but is listed as left out",
        ),
        (run(&[("in", ScenarioResult::Passed)]), "fixture, R, out: the suite has no such scenario"),
    ] {
        assert_eq!(expected.deviations("fixture", "R", &results), [wrong]);
    }
    // What is left out for one server or revision is asked of the others.
    assert_eq!(expected.deviations("program", "R", &fine).len(), 1);
    assert_eq!(expected.deviations("fixture", "S", &fine).len(), 1);
}

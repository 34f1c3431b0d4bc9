//! Histories of runs made by hand, each with one fault, and their sound neighbours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use support::checker::runs::{Asked, RunEvent, judge};

/// A history: actions with their subject, agent and what is told.
#[derive(Default)]
struct Told(Vec<RunEvent>);

impl Told {
    fn then(mut self, action: &str, subject: &str, agent: &str, told: Value) -> Told {
        let agent = Some(agent.to_owned()).filter(|agent| !agent.is_empty());
        let (revision, action) = (self.0.len() as u64 + 1, action.to_owned());
        self.0.push(RunEvent { revision, action, subject: subject.to_owned(), agent, told });
        self
    }

    fn run(self, action: &str, run_id: &str, agent: &str) -> Told {
        self.then(&format!("workflow_{action}"), &format!("workflow:{run_id}"), agent, json!({}))
    }

    fn judged(&self) -> Result<(), String> {
        let once = Asked { max_attempts: 1, ..Asked::default() };
        let later = Asked { depends_on: vec!["first".into()], ..Asked::default() };
        let limited = Asked { concurrency: Some(("key".into(), 1)), ..Asked::default() };
        let asked = [("once", once), ("later", later), ("k1", limited.clone()), ("k2", limited)];
        let asked: BTreeMap<String, Asked> =
            asked.into_iter().map(|(run_id, asked)| (run_id.to_owned(), asked)).collect();
        let scheduled = BTreeSet::from(["nightly".to_owned()]);
        judge(&self.0, &asked, &scheduled).map_err(|violation| violation.0)
    }

    fn passes(self) -> Told {
        assert_eq!(self.judged(), Ok(()));
        self
    }

    fn fails(&self, why: &str) {
        let judged = self.judged().expect_err("a fault that must be seen");
        assert!(judged.contains(why), "{judged}");
    }
}

fn claimed(run_id: &str, agent: &str) -> Told {
    Told::default().run("create", run_id, "").run("claim", run_id, agent)
}

#[test]
fn attempts_that_are_not_counted_are_seen() {
    let lapsed = || claimed("once", "a").run("release", "once", "a").run("claim", "once", "b");
    lapsed().passes().run("fail", "once", "").passes();
    lapsed().run("retry", "once", "").run("claim", "once", "c").fails("attempts were used up");
    let again = lapsed().run("fail", "once", "").run("retry", "once", "boss");
    again.run("claim", "once", "c").passes();
}

#[test]
fn a_stale_write_is_seen() {
    let taken_over = || claimed("r", "a").run("retry", "r", "").run("claim", "r", "b");
    taken_over().run("checkpoint", "r", "b").passes();
    taken_over().run("checkpoint", "r", "a").fails("let through");
    taken_over().run("complete", "r", "a").fails("let through");
    claimed("r", "a").run("retry", "r", "").run("checkpoint", "r", "a").fails("let through");
    Told::default().run("create", "r", "").run("checkpoint", "r", "").passes();
}

#[test]
fn a_run_that_ends_twice_is_seen() {
    let ended = || claimed("r", "a").run("complete", "r", "a");
    ended().passes();
    ended().run("complete", "r", "a").fails("it was over");
    ended().run("cancel", "r", "").fails("it was over");
    ended().run("expire", "r", "").passes();
}

#[test]
fn a_dependency_that_is_released_early_is_seen() {
    let first = || claimed("first", "a").run("create", "later", "");
    first().run("claim", "later", "b").fails("not over");
    first().run("complete", "first", "a").run("claim", "later", "b").passes();
    first().run("fail", "first", "").run("claim", "later", "b").passes();
}

#[test]
fn a_limit_that_is_exceeded_is_seen() {
    let one = || claimed("k1", "a").run("create", "k2", "");
    one().run("claim", "k2", "b").fails("more runs of its key");
    one().run("complete", "k1", "a").run("claim", "k2", "b").passes();
    one().run("retry", "k1", "").run("claim", "k2", "b").passes();
}

#[test]
fn a_schedule_that_fires_twice_is_seen() {
    let created = |told: Told, run_id: &str| {
        told.then("workflow_create", &format!("workflow:{run_id}"), "", json!({"name": "nightly"}))
    };
    let fired = |told: Told, due: u64, run_id: &str| {
        let firing = json!({"due_at": due, "run_id": run_id});
        told.then("schedule_fire", "schedule:s", "", firing)
    };
    let once = || fired(created(Told::default(), "a"), 1, "a").passes();
    fired(created(once(), "b"), 2, "b").passes();
    fired(created(once(), "b"), 1, "b").fails("carried out before");
    created(once(), "b").fails("no firing has created");
    fired(created(created(once(), "b"), "c"), 2, "b").fails("more than one run");
    fired(once(), 2, "a").fails("did not create");
}

//! The history of runs against what their creators asked for, event by event: a run ends
//! once, only its holder moves it on, it is tried as often as was asked, it waits for the
//! runs that it depends on, no more runs of a key are claimed than may be, and each firing
//! of a schedule creates one run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Violation;

/// An event about a run or a schedule.
#[derive(Clone, Debug)]
pub struct RunEvent {
    pub revision: u64,
    pub action: String,
    /// `workflow:ID` or `schedule:NAME`.
    pub subject: String,
    pub agent: Option<String>,
    /// What the event says of it afterwards.
    pub told: Value,
}

impl RunEvent {
    /// An entry of `history_log`.
    pub fn of_entry(entry: &Value) -> RunEvent {
        let text = |name: &str| entry[name].as_str().map(str::to_owned);
        RunEvent {
            revision: entry["revision"].as_u64().expect("a revision"),
            action: text("action").expect("an action"),
            subject: text("key").expect("a subject"),
            agent: text("agent_id"),
            told: entry["new_value"].clone(),
        }
    }
}

/// What the creator of a run asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// How often the run may be tried; zero is no bound.
    pub max_attempts: u64,
    pub depends_on: Vec<String>,
    /// A key, and how many of its runs may be claimed at a time.
    pub concurrency: Option<(String, u64)>,
}

/// What is known of a run at some revision.
#[derive(Default)]
struct Seen {
    holder: Option<String>,
    /// Whether anybody ever held it.
    was_held: bool,
    attempts: u64,
    is_over: bool,
}

/// Holds the history, oldest event first, against what was asked. Nobody but schedules
/// creates runs of the names `scheduled`.
///
/// # Errors
/// The first event that does not fit.
pub fn judge(
    events: &[RunEvent],
    asked: &BTreeMap<String, Asked>,
    scheduled: &BTreeSet<String>,
) -> Result<(), Violation> {
    let mut judge =
        Judge { asked, scheduled, runs: BTreeMap::new(), due: BTreeSet::new(), fired: Vec::new() };
    for event in events {
        let judged = match event.subject.split_once(':') {
            Some(("workflow", run_id)) => judge.run(run_id, event),
            Some(("schedule", name)) => judge.schedule(name, event),
            _ => Ok(()),
        };
        judged.map_err(|why| Violation(format!("{why}: {event:?}")))?;
    }
    match judge.fired.first() {
        Some(run_id) => Err(Violation(format!("no firing has created the run {run_id}"))),
        None => Ok(()),
    }
}

struct Judge<'a> {
    asked: &'a BTreeMap<String, Asked>,
    scheduled: &'a BTreeSet<String>,
    runs: BTreeMap<String, Seen>,
    /// The firings that were carried out: of which schedule, and when they were due.
    due: BTreeSet<(String, String)>,
    /// Runs of schedules that no firing has named yet.
    fired: Vec<String>,
}

impl Judge<'_> {
    fn run(&mut self, run_id: &str, event: &RunEvent) -> Result<(), &'static str> {
        let by = event.agent.as_deref();
        let seen = self.runs.entry(run_id.to_owned()).or_default();
        if seen.is_over
            && !["workflow_retry", "workflow_delete", "workflow_expire"].contains(&&*event.action)
        {
            return Err("it was over");
        }
        match event.action.as_str() {
            "workflow_create" => {
                let name = event.told["name"].as_str().unwrap_or_default();
                if self.scheduled.contains(name) {
                    self.fired.push(run_id.to_owned());
                }
            }
            "workflow_claim" => self.claim(run_id, event)?,
            "workflow_checkpoint" | "workflow_complete" | "workflow_ask" => {
                let is_strangers = match &seen.holder {
                    Some(holder) => by != Some(holder),
                    None => seen.was_held,
                };
                if is_strangers {
                    return Err("somebody else's, or nobody's, and it was let through");
                }
                if event.action == "workflow_complete" {
                    seen.end();
                }
            }
            "workflow_fail" | "workflow_cancel" => seen.end(),
            "workflow_release" => {
                seen.holder = None;
                seen.attempts = seen.attempts.saturating_sub(1);
            }
            "workflow_retry" => {
                if seen.is_over {
                    *seen = Seen { was_held: true, ..Seen::default() };
                }
                seen.holder = None;
            }
            "workflow_delete" | "workflow_expire" => _ = self.runs.remove(run_id),
            _ => {}
        }
        Ok(())
    }

    fn claim(&mut self, run_id: &str, event: &RunEvent) -> Result<(), &'static str> {
        let asked = self.asked.get(run_id).cloned().unwrap_or_default();
        let is_over = |run_id: &String| self.runs.get(run_id).is_none_or(|seen| seen.is_over);
        if !asked.depends_on.iter().all(is_over) {
            return Err("it depends on a run that is not over");
        }
        let seen = self.runs.entry(run_id.to_owned()).or_default();
        seen.attempts += 1;
        if asked.max_attempts > 0 && seen.attempts > asked.max_attempts {
            return Err("its attempts were used up");
        }
        (seen.holder, seen.was_held) = (event.agent.clone(), true);
        let Some((key, limit)) = &asked.concurrency else { return Ok(()) };
        let of_key = |run_id: &String| {
            let other = self.asked.get(run_id).and_then(|asked| asked.concurrency.as_ref());
            other.is_some_and(|(other, _)| other == key)
        };
        let held =
            self.runs.iter().filter(|(run_id, seen)| seen.holder.is_some() && of_key(run_id));
        match held.count() as u64 > *limit {
            true => Err("more runs of its key are claimed than may be"),
            false => Ok(()),
        }
    }

    fn schedule(&mut self, name: &str, event: &RunEvent) -> Result<(), &'static str> {
        if event.action != "schedule_fire" {
            return Ok(());
        }
        if !self.due.insert((name.to_owned(), event.told["due_at"].to_string())) {
            return Err("this firing was carried out before");
        }
        let Some(run_id) = event.told["run_id"].as_str() else { return Ok(()) };
        let named = self.fired.iter().position(|fired| fired == run_id);
        let named = named.ok_or("the firing names a run that it did not create")?;
        self.fired.remove(named);
        match self.fired.is_empty() {
            true => Ok(()),
            false => Err("a firing has created more than one run"),
        }
    }
}

impl Seen {
    fn end(&mut self) {
        (self.holder, self.is_over) = (None, true);
    }
}

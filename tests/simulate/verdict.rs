//! The verdict on a run: the checker's, and what can be seen inside the nodes.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mcp_state_sidecar::machine::filter::HistoryFilter;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::{self, Action, Answer, Question, Revision};
use mcp_state_sidecar::proto::sidecar::Consistency;
use mcp_state_sidecar::store::Store;

use crate::client::Client;
use crate::node::Outside;
use crate::record::{Shared, now};
use crate::work::SCHEDULED;
use crate::world::Plan;
use support::checker::Violation;
use support::checker::events::{Event, History};
use support::checker::runs::{self, RunEvent};

/// Events fetched at a time.
const PAGE: usize = 500;

/// Waits until all is quiet and the replicas are at one place, then compares
/// them, and reads the history that clients are judged by.
pub async fn gather(
    nodes: Vec<Rc<Outside>>,
    record: Shared,
    plan: Plan,
    events: Rc<std::cell::RefCell<Vec<machine::Event>>>,
) -> turmoil::Result {
    while record.borrow().finished < plan.clients {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let until = now() + 2 * plan.progress_us;
    loop {
        match replicas_agree(&nodes).await {
            Ok(true) => break,
            Ok(false) if now() < until => tokio::time::sleep(Duration::from_millis(50)).await,
            Ok(false) => {
                let places = places(&nodes);
                record.borrow_mut().broke(format!("replicas stay apart: {places}"));
                return Ok(());
            }
            Err(why) => {
                record.borrow_mut().broke(why);
                return Ok(());
            }
        }
    }
    let mut client = Client::new();
    let mut before = None;
    loop {
        let question = Question::History {
            filter: HistoryFilter::default(),
            before,
            page: Page::of_rows(PAGE),
        };
        let member = members(&nodes).first().map_or(1, |node| node.id);
        let asked = client.ask(member, &question, Consistency::Linearizable).await;
        let Ok(Answer::History { events: page, more }) = asked else {
            if now() > until {
                record.borrow_mut().broke("the history cannot be read long after all was healed");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        before = page.last().map(|event| event.revision);
        events.borrow_mut().extend(page);
        if !more || before == Some(Revision(1)) {
            return Ok(());
        }
    }
}

/// The clients' account against the cluster's.
pub fn judge(record: &Shared, events: &[machine::Event]) -> Result<(), Violation> {
    let record = record.borrow();
    if let Some(why) = &record.violation {
        return Err(Violation(why.clone()));
    }
    record.has_orders()?;
    History::new(events.iter().map(seen).collect()).judge(&record.facts)?;
    let oldest_first: Vec<RunEvent> = events.iter().rev().map(of_run).collect();
    runs::judge(&oldest_first, &record.asked, &[SCHEDULED.to_owned()].into())
}

fn of_run(event: &machine::Event) -> RunEvent {
    let told = event.new.as_ref().map(|json| serde_json::from_str(json.as_str()));
    RunEvent {
        revision: event.revision.0,
        action: event.action.as_str().to_owned(),
        subject: event.subject.to_string(),
        agent: event.actor.as_ref().map(ToString::to_string),
        told: told.transpose().expect("JSON").unwrap_or_default(),
    }
}

fn seen(event: &machine::Event) -> Event {
    let written = match event.action {
        Action::StateSet => event.new.as_ref().map(|json| json.as_str().to_owned()),
        Action::WorkflowCheckpoint => Some(of_run(event).told["output"].to_string()),
        _ => None,
    };
    Event {
        revision: event.revision.0,
        action: event.action.as_str().to_owned(),
        subject: event.subject.to_string(),
        agent: event.actor.as_ref().map(ToString::to_string),
        value: written,
    }
}

/// The nodes that are members at the end.
fn members(nodes: &[Rc<Outside>]) -> Vec<Rc<Outside>> {
    let is_member = |node: &&Rc<Outside>| {
        let store = node.store.borrow();
        store.as_ref().is_some_and(|store| {
            store.expelled().borrow().is_none() && store.incarnation_of(node.id).is_some()
        })
    };
    nodes.iter().filter(is_member).cloned().collect()
}

fn places(nodes: &[Rc<Outside>]) -> String {
    let place = |node: &Rc<Outside>| {
        let applied = node.store.borrow().as_ref().map(|store| store.applied().0);
        format!("n{} at {applied:?}", node.id)
    };
    members(nodes).iter().map(place).collect::<Vec<_>>().join(", ")
}

/// Whether all members have applied the same entry; then their tables must be
/// the same too. Wherever two are at one revision their chains are one.
async fn replicas_agree(nodes: &[Rc<Outside>]) -> Result<bool, String> {
    if nodes.iter().any(|node| node.store.borrow().is_none()) {
        return Ok(false);
    }
    let mut chains = BTreeMap::new();
    let mut at = Vec::new();
    for node in members(nodes) {
        let store = node.store.borrow().clone().expect("a member's store");
        let health = store.health().await;
        if let Some(fault) = health.fault {
            return Err(format!("n{} has stopped: {fault}", node.id));
        }
        let (entry, tables) = store.applied();
        let meta = tables.meta();
        let chain = chains.entry(meta.revision).or_insert(meta.chain);
        if *chain != meta.chain {
            return Err(format!("two histories at revision {}", meta.revision));
        }
        at.push((node.id, entry, tables));
    }
    let Some((first, entry, tables)) = at.first() else { return Ok(false) };
    if at.iter().any(|(_, other, _)| other != entry) {
        return Ok(false);
    }
    for (other, _, theirs) in &at[1..] {
        let equal = tables.meta() == theirs.meta() && tables.rows().eq(theirs.rows());
        if !equal {
            return Err(format!("n{first} and n{other} differ at entry {entry:?}"));
        }
    }
    Ok(true)
}

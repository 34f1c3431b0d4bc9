//! A run: nodes, clients, an operator and faults, from one seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::bugs::{Bug, Tokens};
use crate::client::{Change, Client};
use crate::clock;
use crate::faults::Faults;
use crate::node::{self, Outside};
use crate::process::Run;
use crate::record::{Record, Shared, now};
use crate::rng;
use crate::verdict;
use crate::work::Worker;
use support::checker::Violation;

/// What a seed decides before anything runs.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    /// That found the cluster.
    pub founders: u64,
    /// All that there are: the others wait to be added.
    pub nodes: u64,
    pub clients: u64,
    /// Whether wall clocks stay within the allowance of one another; only then
    /// no lease is shortened.
    pub clocks_agree: bool,
    /// Faults and work end then.
    pub work_us: u64,
    /// Within this after all was healed, calls must succeed.
    pub progress_us: u64,
}

impl Plan {
    fn of(seed: u64) -> Plan {
        let mut rng = StdRng::seed_from_u64(seed);
        let founders = if rng.random_bool(0.2) { 5 } else { 3 };
        let grows = rng.random_bool(0.4);
        Plan {
            seed,
            founders,
            nodes: if grows { founders + 1 } else { founders },
            clients: rng.random_range(3..6),
            clocks_agree: rng.random_bool(0.75),
            work_us: rng.random_range(8..16) * 1_000_000,
            progress_us: 30_000_000,
        }
    }

    /// The least time, in microseconds, for which something lives that was
    /// granted for `ttl_ms`.
    pub fn least_us(&self, ttl_ms: u64) -> u64 {
        if self.clocks_agree { ttl_ms * 1_000 } else { 0 }
    }
}

/// Runs a seed on a thread of its own, whose chance follows from it.
pub fn run(seed: u64, bug: Option<Bug>) -> Run {
    let run = move || {
        rng::seed(seed);
        clock::set(Duration::ZERO);
        simulate(Plan::of(seed), bug)
    };
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(run).expect("a thread");
    thread.join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = Some(format!("a panic: {}", text.unwrap_or_default()));
        Run { violation, ..Run::default() }
    })
}

fn simulate(plan: Plan, bug: Option<Bug>) -> Run {
    let record: Shared = Rc::new(RefCell::new(Record::default()));
    let events = Rc::new(RefCell::new(Vec::new()));
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(plan.seed)
        .simulation_duration(Duration::from_micros(plan.work_us + 6 * plan.progress_us))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_micros(200))
        .max_message_latency(Duration::from_millis(10))
        .tcp_capacity(4096)
        .enable_random_order();
    builder.fs().block_size(512);
    let mut sim = builder.build();
    let tokens = Tokens::default();
    let nodes: Vec<Rc<Outside>> =
        (1..=plan.nodes).map(|id| Outside::new(id, bug, tokens.clone())).collect();
    for outside in &nodes {
        let node = outside.clone();
        sim.host(outside.name(), move || node::run(node.clone(), plan.founders));
    }
    for number in 1..=plan.clients {
        let worker = Worker::new(number, record.clone(), plan);
        sim.client(format!("c{number}"), worker.work());
    }
    sim.client("operator", operate(plan, record.clone()));
    let gathering = verdict::gather(nodes.clone(), record.clone(), plan, events.clone());
    sim.client("judge", gathering);
    let mut faults = Faults::new(plan, nodes.clone(), record.clone());
    let ended = loop {
        clock::set(sim.elapsed());
        faults.turn(&mut sim);
        match sim.step() {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(error) => break Err(error.to_string()),
        }
    };
    let simulated_ms = sim.elapsed().as_millis() as u64;
    let refused = nodes.iter().find_map(|node| {
        node.refused.borrow().clone().map(|why| format!("n{} did not start: {why}", node.id))
    });
    let verdict = match (refused, ended) {
        (Some(why), _) | (None, Err(why)) => Err(Violation(why)),
        (None, Ok(())) => verdict::judge(&record, &events.borrow()),
    };
    // Stores end inside of the simulation that they are of.
    drop(sim);
    let record = record.borrow();
    Run {
        trace: record.trace.clone(),
        violation: verdict.err().map(|violation| violation.0),
        calls: record.calls,
        answered: record.answered,
        unknown: record.unknown,
        faults: record.faults,
        simulated_ms,
    }
}

/// Changes the cluster now and then, as a person might.
async fn operate(plan: Plan, record: Shared) -> turmoil::Result {
    let mut rng = StdRng::seed_from_u64(plan.seed ^ 0x09e7);
    let mut client = Client::new();
    let mut members: Vec<u64> = (1..=plan.founders).collect();
    let mut waiting: Vec<u64> = (plan.founders + 1..=plan.nodes).collect();
    while now() < plan.work_us {
        let pause = Duration::from_millis(rng.random_range(400..2_000));
        tokio::time::sleep(pause).await;
        let one = members[rng.random_range(0..members.len())];
        let change = match rng.random_range(0..10) {
            0..4 => Change::Transfer(one),
            4..6 => Change::Snapshot,
            _ => match waiting.first() {
                Some(id) => Change::Add(*id),
                // Only one goes, and only after one has come.
                None if members.len() as u64 > plan.founders => Change::Remove(one),
                None => Change::Transfer(one),
            },
        };
        for at in members.clone() {
            let done = client.change(at, change).await;
            record.borrow_mut().say(format_args!("operator {change:?} at n{at}: {done:?}"));
            if done.is_ok() {
                match change {
                    Change::Add(id) => {
                        waiting.retain(|other| *other != id);
                        members.push(id);
                    }
                    Change::Remove(id) => members.retain(|other| *other != id),
                    Change::Transfer(_) | Change::Snapshot => {}
                }
                break;
            }
            if now() >= plan.work_us {
                break;
            }
        }
    }
    Ok(())
}

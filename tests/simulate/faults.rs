//! What goes wrong, drawn from the seed: partitions both ways and one way,
//! delays, crashes that lose what was not synced, all nodes at once, pauses,
//! clocks. At the end of the work everything is healed.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use turmoil::Sim;

use crate::node::Outside;
use crate::record::Shared;
use crate::world::Plan;

/// No fault before: the cluster forms.
const FIRST_US: u64 = 1_500_000;

/// Between two faults.
const PAUSE_US: std::ops::Range<u64> = 100_000..900_000;

/// How long a fault that ends lasts.
const LASTS_US: std::ops::Range<u64> = 100_000..3_000_000;

/// Wall clocks within the allowance of five seconds of one another.
const SKEW_MS: std::ops::Range<i64> = -2_200..2_200;

/// Beyond it.
const JUMP_MS: std::ops::Range<i64> = -600_000..600_000;

/// Something that ends by itself.
enum Until {
    Restart(usize),
    Repair(usize, usize),
    /// Messages that were held on their way are let go.
    Release(usize, usize),
}

/// Makes faults and ends them.
pub struct Faults {
    rng: StdRng,
    plan: Plan,
    nodes: Vec<Rc<Outside>>,
    record: Shared,
    next_us: u64,
    ending: Vec<(u64, Until)>,
    crashed: BTreeSet<usize>,
    healed: bool,
}

impl Faults {
    pub fn new(plan: Plan, nodes: Vec<Rc<Outside>>, record: Shared) -> Faults {
        let rng = StdRng::seed_from_u64(plan.seed ^ 0xfa17);
        let (ending, crashed) = (Vec::new(), BTreeSet::new());
        Faults { rng, plan, nodes, record, next_us: FIRST_US, ending, crashed, healed: false }
    }

    /// Called before each step of the simulation.
    pub fn turn(&mut self, sim: &mut Sim<'_>) {
        let now = sim.elapsed().as_micros() as u64;
        if now >= self.plan.work_us {
            if !self.healed {
                self.heal(sim);
            }
            return;
        }
        let (over, left) =
            std::mem::take(&mut self.ending).into_iter().partition(|(at, _)| *at <= now);
        self.ending = left;
        let over: Vec<(u64, Until)> = over;
        for (_, what) in over {
            self.end(sim, what);
        }
        if now >= self.next_us {
            self.make(sim, now);
            self.next_us = now + self.rng.random_range(PAUSE_US);
        }
    }

    fn say(&self, sim: &Sim<'_>, line: String) {
        let mut record = self.record.borrow_mut();
        record.faults += 1;
        let at = sim.elapsed().as_micros();
        record.trace.push_str(&format!("{at:>12} FAULT {line}\n"));
    }

    fn name(&self, at: usize) -> String {
        self.nodes[at].name()
    }

    fn two(&mut self) -> (usize, usize) {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        let drawn: Vec<usize> = all.sample(&mut self.rng, 2).copied().collect();
        (drawn[0], drawn[1])
    }

    fn make(&mut self, sim: &mut Sim<'_>, now: u64) {
        let until = now + self.rng.random_range(LASTS_US);
        let (a, b) = self.two();
        match self.rng.random_range(0..100) {
            0..18 => {
                sim.partition(self.name(a), self.name(b));
                self.say(sim, format!("partition n{} n{}", a + 1, b + 1));
                self.ending.push((until, Until::Repair(a, b)));
            }
            18..32 => {
                sim.partition_oneway(self.name(a), self.name(b));
                self.say(sim, format!("partition n{} to n{}", a + 1, b + 1));
                self.ending.push((until, Until::Repair(a, b)));
            }
            32..44 => {
                self.say(sim, format!("isolate n{}", a + 1));
                for other in (0..self.nodes.len()).filter(|other| *other != a) {
                    sim.partition(self.name(a), self.name(other));
                    self.ending.push((until, Until::Repair(a, other)));
                }
            }
            44..56 => {
                // A pause, as of a process that is stopped: nothing comes or goes.
                self.say(sim, format!("pause n{}", a + 1));
                for other in (0..self.nodes.len()).filter(|other| *other != a) {
                    sim.hold(self.name(a), self.name(other));
                    self.ending.push((until, Until::Release(a, other)));
                }
            }
            56..76 => self.crash(sim, a, until),
            76..82 => {
                for at in 0..self.nodes.len() {
                    self.crash(sim, at, until + at as u64 * 50_000);
                }
            }
            82..90 => {
                let most = Duration::from_millis(self.rng.random_range(5..120));
                sim.set_link_max_message_latency(self.name(a), self.name(b), most);
                self.say(sim, format!("delay n{} n{} up to {most:?}", a + 1, b + 1));
            }
            _ => {
                let range = if self.plan.clocks_agree { SKEW_MS } else { JUMP_MS };
                let skew_ms = self.rng.random_range(range);
                self.nodes[a].skew_ms.store(skew_ms, Ordering::Relaxed);
                self.say(sim, format!("clock of n{} off by {skew_ms} ms", a + 1));
            }
        }
    }

    fn crash(&mut self, sim: &mut Sim<'_>, at: usize, until: u64) {
        if self.crashed.insert(at) {
            self.say(sim, format!("crash n{}", at + 1));
            sim.crash(self.name(at));
            self.nodes[at].store.take();
            self.ending.push((until, Until::Restart(at)));
        }
    }

    fn end(&mut self, sim: &mut Sim<'_>, what: Until) {
        match what {
            Until::Restart(at) => {
                if self.crashed.remove(&at) {
                    self.say(sim, format!("restart n{}", at + 1));
                    sim.bounce(self.name(at));
                }
            }
            Until::Repair(a, b) => {
                self.say(sim, format!("repair n{} n{}", a + 1, b + 1));
                sim.repair(self.name(a), self.name(b));
            }
            Until::Release(a, b) => {
                self.say(sim, format!("release n{} n{}", a + 1, b + 1));
                sim.release(self.name(a), self.name(b));
            }
        }
    }

    /// Ends everything.
    fn heal(&mut self, sim: &mut Sim<'_>) {
        self.healed = true;
        for (_, what) in std::mem::take(&mut self.ending) {
            self.end(sim, what);
        }
        let soon = Duration::from_millis(10);
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                sim.set_link_max_message_latency(self.name(a), self.name(b), soon);
            }
        }
        self.say(sim, "healed".to_owned());
    }
}

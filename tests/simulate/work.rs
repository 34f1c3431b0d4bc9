//! What simulated clients do: keys, runs and leases that they share, each call
//! at a node drawn by chance, everything written unique.

mod keys;
mod leases;
mod queue;
mod runs;

pub use queue::SCHEDULED;

use std::time::Duration;

use mcp_state_sidecar::machine::{Command, Reply};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::client::Client;
use crate::record::{CALLS_ABOUT_ONE_MAX, Ended, Shared, now};
use crate::world::Plan;
use support::checker::events::Fact;
use support::checker::{Operation, hold};

/// How often a command is asked for again under its key after a doubt.
const RETRIES: usize = 2;

/// One client.
pub struct Worker {
    name: String,
    client: Client,
    record: Shared,
    plan: Plan,
    rng: StdRng,
    written: u64,
    /// Leases and claims that it was given: resource or run, and token.
    leases: Vec<(String, u64)>,
    claims: Vec<(String, u64)>,
    /// Claims on runs of the queue.
    queued: Vec<(String, u64)>,
}

impl Worker {
    pub fn new(number: u64, record: Shared, plan: Plan) -> Worker {
        Worker {
            name: format!("c{number}"),
            client: Client::new(),
            record,
            rng: StdRng::seed_from_u64(plan.seed ^ (number << 40)),
            plan,
            written: 0,
            leases: Vec::new(),
            claims: Vec::new(),
            queued: Vec::new(),
        }
    }

    /// Works until the plan's time is over.
    pub async fn work(mut self) -> turmoil::Result {
        self.set_schedule().await;
        while now() < self.plan.work_us {
            match self.rng.random_range(0..14) {
                0..5 => self.use_key().await,
                5..8 => self.work_on_run().await,
                8..10 => self.hold_lease().await,
                _ => self.work_on_queue().await,
            }
            let pause = Duration::from_millis(self.rng.random_range(0..30));
            tokio::time::sleep(pause).await;
        }
        self.goes_on().await;
        self.record.borrow_mut().finished += 1;
        Ok(())
    }

    /// All is healed: a write must succeed within the bound.
    async fn goes_on(&mut self) {
        let until = now() + self.plan.progress_us;
        loop {
            let name = self.name.clone();
            let set = self.set(&format!("after/{name}"), None, false).await;
            if matches!(set, Ended::Answered) {
                return;
            }
            if now() > until {
                let why = format!("no progress: {name} cannot write long after all was healed");
                self.record.borrow_mut().broke(why);
                return;
            }
        }
    }

    fn unique(&mut self) -> String {
        self.written += 1;
        format!("\"{}/{}\"", self.name, self.written)
    }

    fn node(&mut self) -> u64 {
        self.rng.random_range(1..=self.plan.nodes)
    }

    /// The name of one of so many, and of a next one where it was much used.
    fn pick(&mut self, kind: &str, among: u64, used: impl Fn(&str) -> usize) -> String {
        let number = self.rng.random_range(0..among);
        let epochs = 0..;
        let names = epochs.map(|epoch| format!("{kind}/{number}/{epoch}"));
        let mut names = names.filter(|name| used(name) < CALLS_ABOUT_ONE_MAX);
        names.next().expect("there is always a next one")
    }

    /// None where nothing was done.
    fn hold_operation(
        &self,
        call: hold::Call,
        began: u64,
        outcome: Result<hold::Outcome, Ended>,
    ) -> Option<Operation<hold::Hold>> {
        let ended = match outcome {
            Ok(outcome) => Some((now(), outcome)),
            Err(Ended::Unavailable) => return None,
            Err(_) => None,
        };
        Some(Operation { client: self.name.clone(), call, began, ended })
    }

    fn granted(&self, action: &'static str, subject: &str, token: u64) {
        let (subject, agent) = (subject.to_owned(), self.name.clone());
        self.record.borrow_mut().facts.push(Fact::Granted { action, subject, agent, token });
    }

    fn stored(&self, run: &str, output: &str) {
        let (subject, agent) = (format!("workflow:{run}"), self.name.clone());
        let fact = Fact::Stored { subject, agent, output: output.to_owned() };
        self.record.borrow_mut().facts.push(fact);
    }

    /// Has some node carry out a command; with a name, other nodes are asked
    /// for the same again after a doubt. Returns when it began.
    async fn submit(
        &mut self,
        command: &Command,
        named: Option<String>,
    ) -> (u64, Result<Reply, Ended>) {
        let began = now();
        let mut doubtful = false;
        for attempt in 0..=RETRIES {
            let at = self.node();
            let reply = self.client.submit(at, command, named.clone()).await;
            let told = reply.as_ref().err().copied().unwrap_or(Ended::Answered);
            let text = format!("{command:?} at n{at} {reply:?}");
            self.record.borrow_mut().call(&self.name, text, &told);
            match &reply {
                Ok(_) => return (began, reply),
                Err(Ended::Unknown) => doubtful = true,
                // That nothing was done now says nothing of the time before.
                Err(_) => {}
            }
            if named.is_none() || !doubtful || attempt == RETRIES {
                let ended = if doubtful { Ended::Unknown } else { Ended::Unavailable };
                return (began, Err(ended));
            }
        }
        unreachable!("the last attempt returns")
    }
}

fn done(ok: bool) -> hold::Outcome {
    match ok {
        true => hold::Outcome::Done,
        false => hold::Outcome::Refused,
    }
}

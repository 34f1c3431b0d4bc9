//! What simulated clients do: keys, runs and leases that they share, each call
//! at a node drawn by chance, everything written unique.

use std::time::Duration;

use mcp_state_sidecar::machine::command::{
    Acquire, Checkpoint, Claim, Claimant, Complete, Create, Delete, Held, ReleaseLease, Renew, Set,
};
use mcp_state_sidecar::machine::{Answer, Command, Json, Question, Reply, Revision};
use mcp_state_sidecar::proto::sidecar::Consistency;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::check::Operation;
use crate::check::events::Fact;
use crate::check::{hold, key};
use crate::client::Client;
use crate::record::{CALLS_ABOUT_ONE_MAX, Ended, Shared, now};
use crate::world::Plan;

/// Keys, runs and resources that are shared at a time.
const KEYS: u64 = 3;
const RUNS: u64 = 3;
const RESOURCES: u64 = 2;

/// How often a command is asked for again under its key after a doubt.
const RETRIES: usize = 2;

/// One client.
pub struct Worker {
    name: String,
    client: Client,
    record: Shared,
    plan: Plan,
    random: StdRng,
    written: u64,
    /// Leases and claims that it was given: resource or run, and token.
    leases: Vec<(String, u64)>,
    claims: Vec<(String, u64)>,
}

impl Worker {
    pub fn new(number: u64, record: Shared, plan: Plan) -> Worker {
        Worker {
            name: format!("c{number}"),
            client: Client::new(),
            record,
            random: StdRng::seed_from_u64(plan.seed ^ (number << 40)),
            plan,
            written: 0,
            leases: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// Works until the plan's time is over.
    pub async fn work(mut self) -> turmoil::Result {
        while now() < self.plan.work_us {
            match self.random.random_range(0..10) {
                0..5 => self.use_key().await,
                5..8 => self.work_on_run().await,
                _ => self.hold_lease().await,
            }
            let pause = Duration::from_millis(self.random.random_range(0..30));
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
        self.random.random_range(1..=self.plan.nodes)
    }

    /// The name of one of so many, and of a next one where it was much used.
    fn pick(&mut self, kind: &str, among: u64, used: impl Fn(&str) -> usize) -> String {
        let number = self.random.random_range(0..among);
        let epochs = 0..;
        let names = epochs.map(|epoch| format!("{kind}/{number}/{epoch}"));
        let mut names = names.filter(|name| used(name) < CALLS_ABOUT_ONE_MAX);
        names.next().expect("there is always a next one")
    }

    async fn use_key(&mut self) {
        let record = self.record.clone();
        let name =
            self.pick("key", KEYS, |name| record.borrow().keys.get(name).map_or(0, Vec::len));
        match self.random.random_range(0..10) {
            0..4 => _ = self.get(&name).await,
            4..7 => {
                let named = self.random.random_bool(0.5);
                self.set(&name, None, named).await;
            }
            7..9 => {
                let Some(read) = self.get(&name).await else { return };
                let revision = read.map_or(0, |(_, revision)| revision);
                self.set(&name, Some(revision), false).await;
            }
            _ => self.delete(&name).await,
        }
    }

    async fn get(&mut self, name: &str) -> Option<Option<(String, u64)>> {
        let (began, at) = (now(), self.node());
        let question = Question::Key { key: name.into() };
        let local = self.random.random_bool(0.1);
        let consistency = if local { Consistency::Local } else { Consistency::Linearizable };
        let answer = self.client.ask(at, &question, consistency).await;
        let read = match answer {
            Ok(Answer::Key(row)) => {
                Ok(row.map(|row| (row.value.as_str().to_owned(), row.revision.0)))
            }
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let told = read.as_ref().err().copied().unwrap_or(Ended::Answered);
        let mut record = self.record.borrow_mut();
        record.call(&self.name, format!("get {name} at n{at} {consistency:?} {read:?}"), &told);
        let read = read.ok()?;
        // A local read promises no freshness.
        if !local {
            let ended = Some((now(), key::Outcome::Read(read.clone())));
            let client = self.name.clone();
            let operation = Operation { client, call: key::Call::Get, began, ended };
            record.keys.entry(name.to_owned()).or_default().push(operation);
        }
        Some(read)
    }

    async fn set(&mut self, name: &str, if_revision: Option<u64>, named: bool) -> Ended {
        let value = self.unique();
        let command = Command::Set(Set {
            key: name.into(),
            value: Json::new(value.as_str()),
            ttl_ms: None,
            agent_id: Some(self.name.as_str().into()),
            if_revision: if_revision.map(Revision),
            fence: None,
        });
        let (began, reply) = self.submit(&command, named.then(|| value.clone())).await;
        let call = key::Call::Set { value: value.clone(), if_revision };
        let mut record = self.record.borrow_mut();
        let ended = match &reply {
            Ok(Reply::Set(written)) if written.ok => {
                let revision = written.revision.0;
                let subject = name.to_owned();
                record.facts.push(Fact::Written { subject, value, revision });
                Some((now(), key::Outcome::Written { revision }))
            }
            Ok(Reply::Set(refused)) => {
                record.facts.push(Fact::Absent { value });
                Some((now(), key::Outcome::Mismatch { revision: refused.revision.0 }))
            }
            Ok(other) => panic!("{other:?}"),
            Err(Ended::Unavailable) => {
                record.facts.push(Fact::Absent { value });
                return Ended::Unavailable;
            }
            Err(_) => None,
        };
        let client = self.name.clone();
        let operation = Operation { client, call, began, ended };
        record.keys.entry(name.to_owned()).or_default().push(operation);
        reply.err().unwrap_or(Ended::Answered)
    }

    async fn delete(&mut self, name: &str) {
        let command = Command::Delete(Delete {
            key: name.into(),
            agent_id: Some(self.name.as_str().into()),
            if_revision: None,
            fence: None,
        });
        let (began, reply) = self.submit(&command, None).await;
        let ended = match reply {
            Ok(Reply::Deleted(written)) => {
                Some((now(), key::Outcome::Deleted { existed: written.ok }))
            }
            Ok(other) => panic!("{other:?}"),
            Err(Ended::Unavailable) => return,
            Err(_) => None,
        };
        let client = self.name.clone();
        let operation = Operation { client, call: key::Call::Delete, began, ended };
        self.record.borrow_mut().keys.entry(name.to_owned()).or_default().push(operation);
    }

    async fn hold_lease(&mut self) {
        if !self.leases.is_empty() && self.random.random_bool(0.6) {
            let at = self.random.random_range(0..self.leases.len());
            let (name, token) = self.leases[at].clone();
            if self.random.random_bool(0.5) {
                self.leases.remove(at);
                self.release_lease(&name, token).await;
            } else {
                self.renew(&name, token).await;
            }
            return;
        }
        let record = self.record.clone();
        let name = self
            .pick("lease", RESOURCES, |name| record.borrow().leases.get(name).map_or(0, Vec::len));
        let ttl_ms = self.random.random_range(500..3_000);
        let command = Command::Acquire(Acquire {
            resource_id: name.as_str().into(),
            holder_id: self.name.as_str().into(),
            ttl_ms,
        });
        let (began, reply) = self.submit(&command, None).await;
        let outcome = match reply {
            Ok(Reply::Acquired(acquired)) => Ok(match acquired.fencing_token {
                Some(Revision(token)) if acquired.acquired => {
                    self.leases.retain(|(other, _)| *other != name);
                    self.leases.push((name.clone(), token));
                    self.granted("lease_acquire", &format!("lease:{name}"), token);
                    hold::Outcome::Taken { token }
                }
                _ => hold::Outcome::Refused,
            }),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let call = hold::Call::Take { by: self.name.clone(), ttl_us: self.plan.least_us(ttl_ms) };
        self.lease_call(&name, call, began, outcome);
    }

    async fn renew(&mut self, name: &str, token: u64) {
        let ttl_ms = self.random.random_range(500..3_000);
        let command = Command::Renew(Renew {
            resource_id: name.into(),
            holder_id: self.name.as_str().into(),
            ttl_ms,
            fencing_token: Some(Revision(token)),
        });
        let (began, reply) = self.submit(&command, None).await;
        let outcome = match reply {
            Ok(Reply::Renewed(renewed)) => Ok(done(renewed.renewed)),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let ttl_us = self.plan.least_us(ttl_ms);
        let call = hold::Call::Keep { by: self.name.clone(), token, ttl_us };
        self.lease_call(name, call, began, outcome);
    }

    async fn release_lease(&mut self, name: &str, token: u64) {
        let command = Command::ReleaseLease(ReleaseLease {
            resource_id: name.into(),
            holder_id: self.name.as_str().into(),
            fencing_token: Some(Revision(token)),
        });
        let (began, reply) = self.submit(&command, None).await;
        let outcome = match reply {
            Ok(Reply::LeaseReleased { released, .. }) => Ok(done(released)),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let call = hold::Call::Give { by: self.name.clone(), token };
        self.lease_call(name, call, began, outcome);
    }

    fn lease_call(
        &self,
        name: &str,
        call: hold::Call,
        began: u64,
        outcome: Result<hold::Outcome, Ended>,
    ) {
        let operation = self.hold_operation(call, began, outcome);
        let mut record = self.record.borrow_mut();
        record.leases.entry(name.to_owned()).or_default().extend(operation);
    }

    fn run_call(
        &self,
        run: &str,
        call: hold::Call,
        began: u64,
        outcome: Result<hold::Outcome, Ended>,
    ) {
        let operation = self.hold_operation(call, began, outcome);
        let mut record = self.record.borrow_mut();
        record.runs.entry(run.to_owned()).or_default().extend(operation);
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

    async fn work_on_run(&mut self) {
        if !self.claims.is_empty() && self.random.random_bool(0.6) {
            let at = self.random.random_range(0..self.claims.len());
            let (run, token) = self.claims[at].clone();
            match self.random.random_range(0..10) {
                0..6 => self.checkpoint(&run, token).await,
                6..8 => {
                    self.claims.remove(at);
                    self.release_run(&run, token).await;
                }
                8 => {
                    self.claims.remove(at);
                    self.complete(&run, token).await;
                }
                _ => _ = self.claims.remove(at),
            }
            return;
        }
        let open: Vec<String> = {
            let record = self.record.borrow();
            let few = |calls: &Vec<_>| calls.len() < CALLS_ABOUT_ONE_MAX;
            let open = record.runs.iter().rev().filter(|(_, calls)| few(calls));
            open.map(|(run, _)| run.clone()).take(RUNS as usize).collect()
        };
        if open.is_empty() || self.random.random_bool(0.15) {
            self.create().await;
            return;
        }
        let run = open[self.random.random_range(0..open.len())].clone();
        self.claim(&run).await;
    }

    async fn create(&mut self) {
        let name = self.unique();
        let command = Command::Create(Create {
            name: name.as_str().into(),
            tags: Default::default(),
            input: None,
            priority: 0,
            delay_ms: None,
            max_attempts: 1_000_000,
            parent_run_id: None,
        });
        let (_, reply) = self.submit(&command, Some(name)).await;
        if let Ok(Reply::Created { run_id, .. }) = reply {
            self.record.borrow_mut().runs.entry(run_id.to_string()).or_default();
        }
    }

    async fn claim(&mut self, run: &str) {
        let claim_ttl_ms = self.random.random_range(500..3_000);
        let command = Command::Claim(Claim {
            run_id: run.into(),
            agent_id: self.name.as_str().into(),
            claim_ttl_ms,
        });
        let (began, reply) = self.submit(&command, None).await;
        let outcome = match reply {
            Ok(Reply::Claimed(claimed)) => Ok(match claimed.claim_token {
                Some(Revision(token)) if claimed.claimed => {
                    self.claims.retain(|(other, _)| other != run);
                    self.claims.push((run.to_owned(), token));
                    self.granted("workflow_claim", &format!("workflow:{run}"), token);
                    hold::Outcome::Taken { token }
                }
                _ => hold::Outcome::Refused,
            }),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let ttl_us = self.plan.least_us(claim_ttl_ms);
        let call = hold::Call::Take { by: self.name.clone(), ttl_us };
        self.run_call(run, call, began, outcome);
    }

    async fn checkpoint(&mut self, run: &str, token: u64) {
        let output = self.unique();
        let command = Command::Checkpoint(Checkpoint {
            run_id: run.into(),
            step: self.random.random_range(0..5),
            output: Json::new(output.as_str()),
            claimant: self.claimant(token),
        });
        let (began, reply) = self.submit(&command, None).await;
        let outcome = match reply {
            Ok(Reply::Checkpointed(stored)) => Ok(done(stored.ok)),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        // Its time to live is the claim's, at least the shortest there is.
        let ttl_us = self.plan.least_us(500);
        let call = hold::Call::Keep { by: self.name.clone(), token, ttl_us };
        self.run_call(run, call, began, outcome);
    }

    async fn release_run(&mut self, run: &str, token: u64) {
        let command = Command::Release(Held {
            run_id: run.into(),
            agent_id: self.name.as_str().into(),
            claim_token: Revision(token),
        });
        let call = hold::Call::Give { by: self.name.clone(), token };
        self.move_run(run, &command, call).await;
    }

    async fn complete(&mut self, run: &str, token: u64) {
        let command = Command::Complete(Complete {
            run_id: run.into(),
            result: None,
            claimant: self.claimant(token),
        });
        let call = hold::Call::Finish { by: self.name.clone(), token };
        self.move_run(run, &command, call).await;
    }

    async fn move_run(&mut self, run: &str, command: &Command, call: hold::Call) {
        let (began, reply) = self.submit(command, None).await;
        let outcome = match reply {
            Ok(Reply::Moved(moved)) => Ok(done(moved.ok)),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        self.run_call(run, call, began, outcome);
    }

    fn claimant(&self, token: u64) -> Claimant {
        Claimant { agent_id: Some(self.name.as_str().into()), claim_token: Some(Revision(token)) }
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

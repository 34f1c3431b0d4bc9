//! Runs: created, claimed, moved on, given back and completed.

use mcp_state_sidecar::machine::command::{
    Checkpoint, Claim, Claimant, Complete, Create, HeldClaim,
};
use mcp_state_sidecar::machine::{Command, Json, Reply, Revision};
use rand::RngExt;

use super::{Worker, done};
use crate::record::{CALLS_ABOUT_ONE_MAX, Ended};
use support::checker::hold;

/// Shared at a time.
const RUNS: u64 = 3;

impl Worker {
    pub(super) async fn work_on_run(&mut self) {
        if !self.claims.is_empty() && self.rng.random_bool(0.6) {
            let at = self.rng.random_range(0..self.claims.len());
            let (run, token) = self.claims[at].clone();
            match self.rng.random_range(0..10) {
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
        if open.is_empty() || self.rng.random_bool(0.15) {
            self.create().await;
            return;
        }
        let run = open[self.rng.random_range(0..open.len())].clone();
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
            ..Default::default()
        });
        let (_, reply) = self.submit(&command, Some(name)).await;
        if let Ok(Reply::Created { run_id, .. }) = reply {
            self.record.borrow_mut().runs.entry(run_id.to_string()).or_default();
        }
    }

    async fn claim(&mut self, run: &str) {
        let claim_ttl_ms = self.rng.random_range(500..3_000);
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
        let call = hold::Call::Take { by: self.name.clone(), ttl_us, of: hold::Kind::Claim };
        self.run_call(run, call, began, outcome);
    }

    async fn checkpoint(&mut self, run: &str, token: u64) {
        let output = self.unique();
        let command = Command::Checkpoint(Checkpoint {
            run_id: run.into(),
            step: self.rng.random_range(0..5),
            output: Json::new(output.as_str()),
            claimant: self.claimant(token),
            ask: None,
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
        let command = Command::Release(HeldClaim {
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
            claimant: self.claimant(token),
            ..Complete::default()
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

    pub(super) fn claimant(&self, token: u64) -> Claimant {
        Claimant { agent_id: Some(self.name.as_str().into()), claim_token: Some(Revision(token)) }
    }
}

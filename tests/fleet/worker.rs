//! A worker: claims runs and carries them out in three steps. Now and then it vanishes
//! without a word, or falls asleep for longer than its claim lives and goes on as if nothing
//! had happened.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::orchestrator::{SCHEDULES, TREE};
use crate::shared::Shared;
use support::client::Outcome;

/// Steps of each run.
const STEPS: u64 = 3;

/// How long a claim lives, in seconds, and how long a sleeper sleeps.
const CLAIM_SECONDS: u64 = 2;
const SLEEP: Duration = Duration::from_secs(4);

/// How long a claim waits for work, in seconds.
const WAIT_SECONDS: u64 = 2;

/// Of a hundred runs, so many are left by a worker that vanishes or falls asleep.
const VANISHES: u64 = 6;
const SLEEPS: u64 = 6;

pub struct Worker {
    number: u64,
    /// How often it has vanished: whoever comes in its place has another name.
    life: u64,
    calls: usize,
    shared: Arc<Shared>,
    random: StdRng,
}

/// How a run was left.
enum Left {
    /// A run of this name is over.
    Ended(Value),
    /// Somebody else has it.
    Lost,
    Vanished,
}

impl Worker {
    pub fn new(number: u64, shared: Arc<Shared>, seed: u64) -> Worker {
        let random = StdRng::seed_from_u64(seed ^ (number << 20));
        Worker { number, life: 0, calls: number as usize, shared, random }
    }

    fn name(&self) -> String {
        format!("worker-{}-{}", self.number, self.life)
    }

    /// Works until all work is over and none is left.
    pub async fn work(mut self) {
        let names: Vec<&str> = [TREE].into_iter().chain(SCHEDULES.map(|(name, _)| name)).collect();
        loop {
            self.calls += 1;
            let claim = json!({
                "agent_id": self.name(), "names": names, "claim_ttl_seconds": CLAIM_SECONDS,
                "wait_seconds": WAIT_SECONDS,
            });
            let claimed = self.shared.client(self.calls).call("workflow_claim_next", claim).await;
            let Outcome::Answer(claimed) = claimed else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if claimed["claimed"] == json!(true) {
                self.carry_out(&claimed).await;
            } else if self.shared.over.load(Ordering::Relaxed) && self.nothing_is_left().await {
                return;
            }
        }
    }

    /// Whether all runs of trees and schedules are over.
    async fn nothing_is_left(&self) -> bool {
        let stats = self.shared.answer(self.calls, "workflow_stats", json!({})).await;
        let stats = stats["stats"].as_array().cloned().unwrap_or_default();
        let is_over = |status: &String| ["done", "failed", "cancelled"].contains(&status.as_str());
        stats.iter().all(|of_name| {
            of_name["counts"].as_object().is_some_and(|counts| counts.keys().all(is_over))
        })
    }

    async fn carry_out(&mut self, claimed: &Value) {
        let run_id = claimed["run_id"].as_str().expect("a run").to_owned();
        match self.steps(&run_id, &claimed["claim_token"]).await {
            Left::Ended(name) if name == json!(TREE) => self.shared.complete(),
            Left::Ended(_) | Left::Lost => {}
            Left::Vanished => {
                self.life += 1;
                self.shared.vanished.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn steps(&mut self, run_id: &str, token: &Value) -> Left {
        let resume = json!({"run_id": run_id});
        let resumed = self.shared.answer(self.calls, "workflow_resume", resume).await;
        let first = resumed["meta"]["next_step"].as_u64().expect("a step");
        let fate = self.random.random_range(0..100);
        let at = self.random.random_range(first..=STEPS);
        let mut is_late = false;
        for step in first..=STEPS {
            let busy = Duration::from_millis(self.random.random_range(5..40));
            tokio::time::sleep(busy).await;
            match fate {
                fate if step == at && fate < VANISHES => return Left::Vanished,
                fate if step == at && fate < VANISHES + SLEEPS => {
                    self.shared.late.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(SLEEP).await;
                    is_late = true;
                }
                _ => {}
            }
            let mut call = json!({
                "run_id": run_id, "agent_id": self.name(), "claim_token": token,
                "idempotency_key": format!("{}/{run_id}/{token}/{step}", self.name()),
            });
            // The step after the last one is the end.
            let tool = match step {
                STEPS => "workflow_complete",
                _ => {
                    call["step"] = json!(step);
                    call["output"] = json!(format!("{run_id}/{step}"));
                    "workflow_checkpoint"
                }
            };
            self.calls += 1;
            let answer = self.shared.answer(self.calls, tool, call).await;
            if answer["ok"] != json!(true) {
                self.shared.refused.fetch_add(usize::from(is_late), Ordering::Relaxed);
                return Left::Lost;
            }
        }
        Left::Ended(resumed["meta"]["name"].clone())
    }
}

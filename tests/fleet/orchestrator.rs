//! Whoever creates the work: trees of runs that depend on one another, and schedules.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::shared::Shared;
use support::checker::runs::Asked;

/// The name of the runs of trees.
pub const TREE: &str = "tree";

/// Schedules, named as their runs are, and how often each fires, in seconds.
pub const SCHEDULES: [(&str, u64); 2] = [("often", 2), ("seldom", 5)];

/// Runs of one tree.
const TREE_RUNS: usize = 10;

/// The concurrency keys, and how many runs of each may be claimed at a time.
const KEYS: usize = 4;
const LIMIT: u64 = 3;

/// No run needs so many attempts, unless they are not counted rightly.
const ATTEMPTS: u64 = 50;

pub struct Orchestrator {
    shared: Arc<Shared>,
    random: StdRng,
}

impl Orchestrator {
    pub fn new(shared: Arc<Shared>, seed: u64) -> Orchestrator {
        Orchestrator { shared, random: StdRng::seed_from_u64(seed ^ 0x7e) }
    }

    pub async fn create(mut self, runs: usize) {
        for (name, seconds) in SCHEDULES {
            let set = json!({
                "name": name, "every_seconds": seconds, "overlap": "queue",
                "template": {"name": name, "max_attempts": ATTEMPTS},
            });
            self.shared.answer(0, "schedule_set", set).await;
        }
        let mut tree: Vec<String> = Vec::new();
        for number in 0..runs {
            if number % TREE_RUNS == 0 {
                tree.clear();
            }
            let run_id = self.create_run(number, &tree).await;
            tree.push(run_id);
        }
    }

    async fn create_run(&mut self, number: usize, tree: &[String]) -> String {
        let mut depends_on: Vec<String> = Vec::new();
        for _ in 0..self.random.random_range(0..3) {
            // The root is the parent, and waits for nobody and nobody for it.
            if let Some(other) = tree.get(self.random.random_range(1..=TREE_RUNS))
                && !depends_on.contains(other)
            {
                depends_on.push(other.clone());
            }
        }
        let key = self.random.random_range(0..2 * KEYS);
        let concurrency = (key < KEYS).then(|| (format!("key-{key}"), LIMIT));
        let asked = Asked { max_attempts: ATTEMPTS, depends_on, concurrency };
        let mut create = json!({
            "name": TREE, "input": number, "max_attempts": ATTEMPTS, "retry": {"backoff_seconds": 1},
            "depends_on": asked.depends_on, "idempotency_key": format!("create-{number}"),
        });
        if let Some(root) = tree.first() {
            create["parent_run_id"] = json!(root);
        }
        if let Some((key, limit)) = &asked.concurrency {
            create["concurrency"] = json!({"key": key, "limit": limit});
        }
        let created = self.shared.answer(number, "workflow_create", create).await;
        let run_id = created["run_id"].as_str().expect("a run").to_owned();
        let mut all = self.shared.asked.lock().expect("no panic");
        let all: &mut BTreeMap<String, Asked> = &mut all;
        all.insert(run_id.clone(), asked);
        run_id
    }
}

/// Ends the schedules. Their runs are left to the workers.
pub async fn end_schedules(shared: &Shared) {
    for (name, _) in SCHEDULES {
        shared.answer(0, "schedule_set", json!({"name": name, "delete": true})).await;
    }
}

//! Agents: what a fleet does all day, on whichever node comes next.
//!
//! Every value written is unique, so that a stale or invented answer shows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::checker::runs::Asked;
use crate::client::{Client, Outcome};
use crate::record::{Call, Record};

/// Keys that all agents write, so that they meet.
const SHARED_KEYS: u64 = 12;

/// Resources that all agents lease.
const RESOURCES: u64 = 4;

/// Calls of all agents until they turn to other keys and leases.
const CALLS_AN_EPOCH: u64 = 2_000;

/// Runs that an agent claims in one burst.
const BURST: usize = 5;

/// What all agents share.
#[derive(Default)]
pub struct Fleet {
    pub record: Record,
    /// What runs were asked to be.
    pub asked: Mutex<BTreeMap<String, Asked>>,
    pub over: AtomicBool,
    /// Claims that are under way right now.
    pub claiming: AtomicUsize,
    /// Calls that an agent finished.
    pub finished: AtomicU64,
    /// Those of them that were answered.
    pub answered: AtomicU64,
}

impl Fleet {
    /// Calls that were answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

/// One agent.
pub struct Agent {
    name: String,
    clients: Vec<Client>,
    fleet: Arc<Fleet>,
    random: StdRng,
    written: u64,
    /// The run that it created last.
    last_run: Option<String>,
}

impl Agent {
    pub fn new(number: u64, ports: &[u16], fleet: Arc<Fleet>, seed: u64) -> Agent {
        let clients = ports.iter().map(|port| Client::new(*port)).collect();
        Agent::of(number, clients, fleet, seed)
    }

    /// An agent that calls these nodes.
    pub fn of(number: u64, clients: Vec<Client>, fleet: Arc<Fleet>, seed: u64) -> Agent {
        Agent {
            name: format!("agent-{number}"),
            clients,
            fleet,
            random: StdRng::seed_from_u64(seed ^ (number << 32)),
            written: 0,
            last_run: None,
        }
    }

    /// Works until the fleet's day is over.
    pub async fn work(mut self) {
        while !self.fleet.over.load(Ordering::Relaxed) {
            match self.random.random_range(0..10) {
                0..4 => self.claim_burst().await,
                4..6 => self.write_keys().await,
                6..8 => self.compare_and_set().await,
                8..10 => self.hold_lease().await,
                never => unreachable!("{never}"),
            }
        }
    }

    /// Creates a run, races for the open ones, and works on what it won.
    async fn claim_burst(&mut self) {
        let name = self.unique();
        // Asked again under the same key after a doubt: created once.
        let waits = self.random.random_bool(0.3);
        let depends_on: Vec<String> = self.last_run.iter().filter(|_| waits).cloned().collect();
        let create = json!({
            "name": name, "idempotency_key": name,
            "depends_on": depends_on, "on_dependency_failure": "continue",
        });
        let mut created = self.call("workflow_create", create.clone()).await;
        if let Outcome::Unknown = created {
            created = self.call("workflow_create", create).await;
        }
        if let Outcome::Answer(created) = created {
            let run_id = created["run_id"].as_str().expect("a run").to_owned();
            let asked = Asked { depends_on, ..Asked::default() };
            self.fleet.asked.lock().expect("no panic").insert(run_id.clone(), asked);
            self.last_run = Some(run_id);
        }
        let open = json!({"status": "created", "limit": BURST});
        let Some(found) = self.answer("workflow_discover", open).await else { return };
        let runs = found["runs"].as_array().cloned().unwrap_or_default();
        for run in runs {
            let run_id = run["run_id"].as_str().unwrap().to_owned();
            self.fleet.claiming.fetch_add(1, Ordering::SeqCst);
            let claim = json!({"run_id": run_id, "agent_id": self.name});
            let claimed = self.answer("workflow_claim", claim).await;
            self.fleet.claiming.fetch_sub(1, Ordering::SeqCst);
            if let Some(claimed) = claimed
                && claimed["claimed"] == json!(true)
            {
                self.carry_out(&run_id, &claimed["claim_token"]).await;
            }
        }
    }

    async fn carry_out(&mut self, run_id: &str, token: &Value) {
        for step in 1..=2 {
            let checkpoint = json!({
                "run_id": run_id, "step": step, "output": self.unique(),
                "agent_id": self.name, "claim_token": token,
            });
            self.call("workflow_checkpoint", checkpoint).await;
        }
        if self.random.random_bool(0.7) {
            let done = json!({"run_id": run_id, "agent_id": self.name, "claim_token": token});
            self.call("workflow_complete", done).await;
        }
    }

    async fn write_keys(&mut self) {
        let key = self.shared_key();
        let value = self.unique();
        let set = json!({
            "key": key, "value": value, "agent_id": self.name, "idempotency_key": value,
        });
        // Asked again after a doubt, at whichever node: carried out once.
        if let Outcome::Unknown = self.call("state_set", set.clone()).await {
            self.call("state_set", set).await;
        }
        self.call("state_get", json!({"key": key})).await;
        self.call("state_get", json!({"key": key, "consistency": "local"})).await;
        let own = self.unique();
        let set = json!({"key": format!("own/{own}"), "value": own, "agent_id": self.name});
        self.call("state_set", set).await;
    }

    async fn compare_and_set(&mut self) {
        let key = self.shared_key();
        let Some(got) = self.answer("state_get", json!({"key": key})).await else { return };
        let revision = got["revision"].as_u64().unwrap_or(0);
        let set = json!({
            "key": key, "value": self.unique(),
            "agent_id": self.name, "if_revision": revision,
        });
        self.call("state_set", set).await;
    }

    async fn hold_lease(&mut self) {
        let number = self.random.random_range(0..RESOURCES);
        let resource = format!("resource-{number}/{}", self.epoch());
        let acquire = json!({"resource_id": resource, "holder_id": self.name, "ttl_seconds": 2});
        let Some(lease) = self.answer("lease_acquire", acquire).await else { return };
        if lease["acquired"] == json!(true) && self.random.random_bool(0.8) {
            let release = json!({
                "resource_id": resource, "holder_id": self.name,
                "fencing_token": lease["fencing_token"],
            });
            self.call("lease_release", release).await;
        }
    }

    fn shared_key(&mut self) -> String {
        let number = self.random.random_range(0..SHARED_KEYS);
        format!("shared/{number}/{}", self.epoch())
    }

    /// What is shared is replaced now and then, for all at about the same time:
    /// what happened to one key or lease stays short enough to be judged.
    fn epoch(&self) -> u64 {
        self.fleet.finished.load(Ordering::Relaxed) / CALLS_AN_EPOCH
    }

    fn unique(&mut self) -> String {
        self.written += 1;
        format!("{}/{}", self.name, self.written)
    }

    async fn answer(&mut self, tool: &'static str, arguments: Value) -> Option<Value> {
        match self.call(tool, arguments).await {
            Outcome::Answer(value) => Some(value),
            Outcome::Unavailable | Outcome::Unknown => None,
        }
    }

    /// One call on a node drawn by chance, written down.
    async fn call(&mut self, tool: &'static str, arguments: Value) -> Outcome {
        let client = &self.clients[self.random.random_range(0..self.clients.len())];
        let began = Instant::now();
        let outcome = client.call(tool, arguments.clone()).await;
        let call = Call {
            agent: self.name.clone(),
            tool,
            arguments,
            began,
            ended: Instant::now(),
            outcome: outcome.clone(),
        };
        self.fleet.record.add(call);
        self.fleet.finished.fetch_add(1, Ordering::Relaxed);
        let answered = matches!(outcome, Outcome::Answer(_));
        self.fleet.answered.fetch_add(u64::from(answered), Ordering::Relaxed);
        outcome
    }
}

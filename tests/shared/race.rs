//! The race: agents on all sidecars claim the same runs, take the same leases,
//! and count the same counters up, each only if nobody was faster. `SEED` sets
//! the order in which each goes about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use support::chain;
use support::client::{Client, Outcome};

/// Agents, spread over the sidecars.
const AGENTS: usize = 16;

/// Runs, each to be claimed by one agent.
const RUNS: usize = 500;

/// Increments of all agents together.
const INCREMENTS: usize = 10_000;

/// Few enough that agents meet at them, and enough that they get on.
const COUNTERS: usize = 8;

/// Of what only one can have.
const RESOURCES: usize = 3;

/// Runs that an agent tries to claim for each lease that it tries to take.
const CLAIMS_BY_LEASE: usize = 5;

/// Entries of the history that are fetched at a time.
const PAGE: usize = 10_000;

/// What was granted to anyone.
#[derive(Default)]
struct Grants {
    /// Run by run: who has it, by which token.
    runs: Mutex<BTreeMap<String, (String, u64)>>,
    /// The tokens of each resource, in the order in which it was held.
    leases: Mutex<BTreeMap<String, Vec<u64>>>,
}

pub async fn run(test: &str, ports: &[u16]) {
    let seed: u64 = std::env::var("SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("{test}: SEED={seed}");
    let run_ids = create_runs(ports).await;
    let grants = Arc::new(Grants::default());
    let agents = (0..AGENTS).map(|number| {
        let agent = Agent {
            name: format!("agent-{number}"),
            client: Client::new(ports[number % ports.len()]),
            random: StdRng::seed_from_u64(seed ^ ((number as u64) << 32)),
            grants: grants.clone(),
        };
        tokio::spawn(agent.race(run_ids.clone()))
    });
    for agent in agents.collect::<Vec<_>>() {
        agent.await.unwrap();
    }
    check(ports, &grants).await;
}

async fn create_runs(ports: &[u16]) -> Vec<String> {
    let clients: Vec<Client> = ports.iter().map(|port| Client::new(*port)).collect();
    let mut run_ids = Vec::new();
    for number in 0..RUNS {
        let client = &clients[number % clients.len()];
        let run = answer(client, "workflow_create", json!({"name": format!("run {number}")})).await;
        run_ids.push(run["run_id"].as_str().unwrap().to_owned());
    }
    run_ids
}

/// The answer that must come: nothing here is a reason for a fault.
async fn answer(client: &Client, tool: &str, arguments: Value) -> Value {
    match client.call(tool, arguments.clone()).await {
        Outcome::Answer(answer) => answer,
        fault @ (Outcome::Unavailable | Outcome::Unknown) => {
            panic!("{tool} {arguments}: {fault:?}")
        }
    }
}

struct Agent {
    name: String,
    client: Client,
    random: StdRng,
    grants: Arc<Grants>,
}

impl Agent {
    async fn race(mut self, mut run_ids: Vec<String>) {
        run_ids.shuffle(&mut self.random);
        for (number, run_id) in run_ids.iter().enumerate() {
            let claim = json!({"run_id": run_id, "agent_id": self.name});
            self.claim("workflow_claim", claim).await;
            if number % CLAIMS_BY_LEASE == 0 {
                self.claim("workflow_claim_next", json!({"agent_id": self.name})).await;
                self.lease().await;
            }
        }
        for _ in 0..INCREMENTS / AGENTS {
            self.increment().await;
        }
    }

    async fn claim(&self, tool: &str, arguments: Value) {
        let claimed = answer(&self.client, tool, arguments).await;
        if claimed["claimed"] != json!(true) {
            return;
        }
        assert_eq!(claimed["agent_id"], json!(self.name), "{claimed}");
        let token = claimed["claim_token"].as_u64().expect("a token");
        let run_id = claimed["run_id"].as_str().expect("a run").to_owned();
        let grant = (self.name.clone(), token);
        let before = self.grants.runs.lock().unwrap().insert(run_id, grant.clone());
        // Asked again, the one who has it keeps it.
        assert!(before.as_ref().is_none_or(|before| *before == grant), "{before:?}, {grant:?}");
    }

    /// Takes a lease and gives it back; what it notes in between, it notes alone.
    async fn lease(&mut self) {
        let resource_id = format!("resource-{}", self.random.random_range(0..RESOURCES));
        let acquire =
            json!({"resource_id": resource_id, "holder_id": self.name, "ttl_seconds": 600});
        let lease = answer(&self.client, "lease_acquire", acquire).await;
        if lease["acquired"] != json!(true) {
            return;
        }
        let token = lease["fencing_token"].as_u64().expect("a token");
        self.grants.leases.lock().unwrap().entry(resource_id.clone()).or_default().push(token);
        let release = json!({
            "resource_id": resource_id, "holder_id": self.name, "fencing_token": token,
        });
        let released = answer(&self.client, "lease_release", release).await;
        assert_eq!(released["released"], json!(true), "{released}");
    }

    /// Counts one counter up, once, however often others are faster.
    async fn increment(&mut self) {
        let key = format!("counter-{}", self.random.random_range(0..COUNTERS));
        loop {
            let got = answer(&self.client, "state_get", json!({"key": key})).await;
            let count = got["value"].as_u64().unwrap_or(0);
            let set = json!({
                "key": key, "value": count + 1,
                "if_revision": got["revision"].as_u64().unwrap_or(0),
            });
            if answer(&self.client, "state_set", set).await["ok"] == json!(true) {
                return;
            }
        }
    }
}

/// What every sidecar now says, and the history that led there.
async fn check(ports: &[u16], grants: &Grants) {
    let runs = grants.runs.lock().unwrap().clone();
    assert_eq!(runs.len(), RUNS, "runs were not claimed");
    let winners: BTreeSet<&String> = runs.values().map(|(agent, _)| agent).collect();
    assert!(winners.len() > 1, "there was no race");
    for (resource_id, tokens) in &*grants.leases.lock().unwrap() {
        assert!(tokens.is_sorted_by(|a, b| a < b), "tokens of {resource_id} fell: {tokens:?}");
    }
    let mut heads = BTreeSet::new();
    for port in ports {
        let client = Client::new(*port);
        let mut counted = 0;
        for number in 0..COUNTERS {
            let key = format!("counter-{number}");
            let got = answer(&client, "state_get", json!({"key": key})).await;
            counted += got["value"].as_u64().expect("a count");
        }
        assert_eq!(counted, INCREMENTS as u64, "increments were lost");
        let history = history(&client).await;
        heads.insert((history.len(), chain::verify(&history)));
        explains_claims(&history, &runs);
    }
    assert_eq!(heads.len(), 1, "sidecars tell of different histories: {heads:?}");
    println!("{} events, one chain", heads.first().expect("there is one").0);
}

async fn history(client: &Client) -> BTreeMap<u64, Value> {
    let mut events = BTreeMap::new();
    let mut before = Value::Null;
    loop {
        let asked = json!({"n": PAGE, "before_id": before});
        let page = answer(client, "history_log", asked).await;
        let entries = page["entries"].as_array().expect("entries").clone();
        events.extend(entries.into_iter().map(|e| (e["id"].as_u64().expect("an id"), e)));
        match &page["next_before_id"] {
            Value::Null => return events,
            next => before = next.clone(),
        }
    }
}

/// Each run was granted once, by the token that its claimant was given.
fn explains_claims(history: &BTreeMap<u64, Value>, runs: &BTreeMap<String, (String, u64)>) {
    let claims = history.values().filter(|event| event["action"] == json!("workflow_claim"));
    let mut granted = BTreeMap::new();
    for event in claims {
        let subject = event["key"].as_str().expect("a subject");
        let run_id = subject.strip_prefix("workflow:").expect("a run").to_owned();
        let agent = event["agent_id"].as_str().expect("an agent").to_owned();
        let grant = (agent, event["id"].as_u64().expect("an id"));
        let before = granted.insert(run_id, grant);
        assert_eq!(before, None, "granted twice: {event}");
    }
    assert!(granted == *runs, "callers were told of other claims than there were");
}

//! The common calls need one round trip to read and one more to commit, however large
//! the state is.

use std::collections::BTreeMap;

use mcp_state_sidecar::codec;
use mcp_state_sidecar::machine::command::{Acquire, ClaimNext, Create, Idempotency, Set};
use mcp_state_sidecar::machine::filter::{ClaimFilter, RunFilter};
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::{Command, Json, Question, Reply};
use mcp_state_sidecar::store::redis::RedisStore;
use mcp_state_sidecar::store::{Consistency, Request, Store};

use crate::common::{open, soon};
use crate::large::calls;
use support::redis_server::{self, RedisServer};

/// Each is done so often.
const TIMES: u64 = 50;

/// The listener looks once a second, and a turn may be handed on.
const OTHERS: u64 = 10;

fn create(n: u64, delay_ms: Option<u64>) -> Command {
    Command::Create(Create {
        name: format!("name-{}", n % 2).into(),
        tags: BTreeMap::from([("team".into(), format!("{}", n % 3).into())]),
        input: None,
        priority: 0,
        delay_ms,
        max_attempts: 1,
        parent_run_id: None,
        ..Default::default()
    })
}

fn claim_next(name: Option<&str>, tags: &[(&str, &str)]) -> Command {
    let tags = tags.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Command::ClaimNext(ClaimNext {
        agent_id: "agent".into(),
        names: name.into_iter().map(Into::into).collect(),
        tags: tags.collect(),
        claim_ttl_ms: 60_000,
        ..Default::default()
    })
}

fn set(n: u64) -> Command {
    Command::Set(Set {
        key: format!("key-{n}").into(),
        value: Json::new(n.to_string()),
        ttl_ms: Some(60_000),
        agent_id: None,
        if_revision: None,
        fence: None,
    })
}

async fn submit(store: &RedisStore, n: u64, command: Command) -> Reply {
    let digest = codec::digest(&command);
    let idempotency = n
        .is_multiple_of(2)
        .then(|| Idempotency { key: rand::random::<u64>().to_string().into(), digest });
    let random = rand::random();
    let request = Request { command, idempotency, actor: None, random, attempt: false };
    store.submit(request, soon()).await.expect("a write")
}

/// Round trips for one, on the whole; asserts that there are no more than `most`.
async fn costs<F: Future>(
    server: &RedisServer,
    what: &str,
    most: u64,
    mut one: impl FnMut(u64) -> F,
) {
    let trips = || calls(server, "evalsha") + calls(server, "eval");
    one(0).await;
    let before = trips();
    for n in 1..=TIMES {
        one(n).await;
    }
    let trips = trips() - before;
    assert!(trips <= most * TIMES + OTHERS, "{what}: {trips} round trips for {TIMES}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_common_takes_one_to_read_and_one_to_commit() {
    if !redis_server::is_installed("round trips") {
        return;
    }
    let server = &RedisServer::start();
    let store = &open(server, "sidecar").await;
    // What waits for tomorrow is nobody's business today.
    let creating = (0..200).map(|n| submit(store, n, create(n, Some(86_400_000))));
    futures::future::join_all(creating).await;
    costs(server, "set", 2, |n| submit(store, n, set(n))).await;
    costs(server, "create", 2, |n| submit(store, n, create(n, None))).await;
    costs(server, "claim", 2, |n| submit(store, n, claim_next(Some("name-0"), &[]))).await;
    costs(server, "claim by tag", 2, |n| {
        submit(store, n, claim_next(Some("name-1"), &[("team", "1")]))
    })
    .await;
    costs(server, "claim of nothing", 1, |n| submit(store, n, claim_next(Some("none"), &[]))).await;
    costs(server, "acquire", 2, |n| {
        let (resource_id, holder_id) = (format!("lease-{n}").into(), "agent".into());
        submit(
            store,
            n,
            Command::Acquire(Acquire {
                resource_id,
                holder_id,
                ttl_ms: 60_000,
                ..Default::default()
            }),
        )
    })
    .await;
    let page = Page { rows: 20, bytes: 65_536 };
    let tagged = || RunFilter {
        tags: BTreeMap::from([("team".into(), "1".into())]),
        claimable: Some(true),
        ..RunFilter::default()
    };
    type Asked = fn(Page, RunFilter) -> Question;
    let questions: [(&str, Asked); 8] = [
        ("get", |_, _| Question::Key { key: "key-1".into() }),
        ("lease", |_, _| Question::Lease { resource_id: "lease-1".into() }),
        ("no run", |_, _| Question::Run { run_id: "none".into() }),
        ("list", |page, _| Question::Keys { scan: Scan::default(), page }),
        ("leases", |page, _| Question::Leases { scan: Scan::default(), page }),
        ("runs", |page, filter| Question::Runs { filter, before: None, page }),
        ("candidate", |_, _| Question::Candidate { filter: ClaimFilter::default(), after: None }),
        ("counts", |_, _| Question::Counts),
    ];
    for (what, question) in questions {
        costs(server, what, 1, |_| {
            let question = question(page, tagged());
            let asked = store.ask(question, Consistency::Linearizable, soon());
            async { asked.await.expect("an answer") }
        })
        .await;
    }
}

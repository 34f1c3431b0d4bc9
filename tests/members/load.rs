//! A load on a cluster whose members change: writers that ask the next node
//! where one cannot serve them, as a sensible client does, and count as failed
//! what no node did within the call's time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_state_sidecar::machine::{Question, Reply};
use mcp_state_sidecar::store::raft::RaftStore;
use mcp_state_sidecar::store::{Consistency, Store, StoreError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use support::raft_calls::{get, named, set};

const WRITERS: u64 = 4;
/// The time of one call, as the service gives it.
const CALL: Duration = Duration::from_secs(10);
/// One node is given this long before the next is asked.
const TURN: Duration = Duration::from_secs(2);

/// The load, while it runs.
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
}

struct Shared {
    nodes: Mutex<Vec<Arc<RaftStore>>>,
    over: AtomicBool,
    done: AtomicU64,
    failed: Mutex<Vec<String>>,
}

impl Load {
    /// Begins to write and read on `nodes`.
    pub fn start(nodes: Vec<Arc<RaftStore>>) -> Load {
        let shared = Arc::new(Shared {
            nodes: Mutex::new(nodes),
            over: AtomicBool::new(false),
            done: AtomicU64::new(0),
            failed: Mutex::default(),
        });
        let writers = (0..WRITERS).map(|id| tokio::spawn(write(id, shared.clone()))).collect();
        Load { shared, writers }
    }

    /// From now on these are the nodes.
    pub fn turn_to(&self, nodes: Vec<Arc<RaftStore>>) {
        *self.shared.nodes.lock().unwrap() = nodes;
    }

    /// Waits until a good many more calls were served.
    pub async fn goes_on(&self) {
        let goal = self.shared.done.load(Ordering::SeqCst) + 100;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.shared.done.load(Ordering::SeqCst) < goal {
            assert!(Instant::now() < deadline, "the load stands still");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it: every call was served, and every write is there on `node`.
    pub async fn end(self, node: &RaftStore) -> u64 {
        self.shared.over.store(true, Ordering::SeqCst);
        let mut written = Vec::new();
        for (id, writer) in (0..).zip(self.writers) {
            writer.await.unwrap();
            written.push(id);
        }
        let failed = self.shared.failed.lock().unwrap().clone();
        assert!(failed.is_empty(), "{} calls failed: {failed:?}", failed.len());
        let done = self.shared.done.load(Ordering::SeqCst);
        for id in written {
            let last = get(node, &format!("last/{id}")).await.unwrap();
            let last: u64 = last.parse().unwrap();
            for n in (0..=last).step_by(7).chain([last]) {
                let there = get(node, &format!("own/{id}/{n}")).await;
                assert_eq!(there, Some(n.to_string()), "an acknowledged write is gone");
            }
        }
        done
    }
}

async fn write(id: u64, shared: Arc<Shared>) {
    for n in 0_u64.. {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let key = format!("own/{id}/{n}");
        let requests = [set(&key, &n.to_string()), set(&format!("last/{id}"), &n.to_string())];
        for (part, request) in requests.into_iter().enumerate() {
            let request = named(&format!("{id}/{n}/{part}"), 0, request);
            let written = served(&shared, id + n, |node, until| {
                let request = request.clone();
                async move { node.submit(request, until).await.map(Some) }
            });
            if let Some(reply) = written.await {
                assert!(matches!(reply, Some(Reply::Set(set)) if set.ok), "{key}");
            }
        }
        let read = served(&shared, id + n + 1, |node, until| {
            let question = Question::Key { key: key.as_str().into() };
            async move { node.ask(question, Consistency::Linearizable, until).await }
        });
        read.await;
    }
}

/// What some node answers within the time of a call.
async fn served<T, F>(
    shared: &Shared,
    turn: u64,
    call: impl Fn(Arc<RaftStore>, Instant) -> F,
) -> Option<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = Instant::now() + CALL;
    let mut why = String::new();
    for at in turn.. {
        let node = {
            let nodes = shared.nodes.lock().unwrap();
            nodes[at as usize % nodes.len()].clone()
        };
        let until = deadline.min(Instant::now() + TURN);
        match call(node, until).await {
            Ok(answer) => {
                shared.done.fetch_add(1, Ordering::SeqCst);
                return Some(answer);
            }
            // The same again is safe: each write has a name.
            Err(error) => why = error.to_string(),
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    shared.failed.lock().unwrap().push(why);
    None
}

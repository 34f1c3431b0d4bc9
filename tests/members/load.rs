//! A load on a cluster whose members change. Its writers try the next node when one
//! cannot serve them, as a sensible client does. A call fails if no node serves it
//! in its time.

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
/// The time of one call, as the service sets it.
const CALL: Duration = Duration::from_secs(10);
/// How long one node may take before the next is tried.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

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

    /// Uses these nodes from now on.
    pub fn use_nodes(&self, nodes: Vec<Arc<RaftStore>>) {
        *self.shared.nodes.lock().unwrap() = nodes;
    }

    /// Waits until 100 more calls were served.
    pub async fn wait_for_progress(&self) {
        let goal = self.shared.done.load(Ordering::SeqCst) + 100;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.shared.done.load(Ordering::SeqCst) < goal {
            assert!(Instant::now() < deadline, "no calls are served any more");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the load, and checks that every call was served and that `node` has every
    /// write. Returns the number of calls.
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
                let value = get(node, &format!("own/{id}/{n}")).await;
                assert_eq!(value, Some(n.to_string()), "an acknowledged write is lost");
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

/// The answer of the first node that serves the call in its time.
async fn served<T, F>(
    shared: &Shared,
    first: u64,
    call: impl Fn(Arc<RaftStore>, Instant) -> F,
) -> Option<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = Instant::now() + CALL;
    let mut why = String::new();
    for at in first.. {
        let node = {
            let nodes = shared.nodes.lock().unwrap();
            nodes[at as usize % nodes.len()].clone()
        };
        let until = deadline.min(Instant::now() + NODE_TIMEOUT);
        match call(node, until).await {
            Ok(answer) => {
                shared.done.fetch_add(1, Ordering::SeqCst);
                return Some(answer);
            }
            // Trying again is safe, because each write has an idempotency key.
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

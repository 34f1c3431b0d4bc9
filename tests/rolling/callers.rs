//! Callers that behave like sensible clients: if a node is down or says that nothing
//! was done, they try the next one. Any other error is a failed call, and so is a
//! call that no node serves within ten seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcp_state_sidecar::proto::sidecar::sidecar_client::SidecarClient;
use mcp_state_sidecar::proto::sidecar::{AskRequest, SubmitRequest};
use mcp_state_sidecar::proto::state::{self, answer, command, question};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use support::client::{Client, Outcome};

const AGENTS: usize = 6;
const PROGRAMS: usize = 3;

/// How long one call is tried.
const CALL: Duration = Duration::from_secs(10);

/// The pause before the first node is tried again.
const ROUND_PAUSE: Duration = Duration::from_millis(20);

/// A load that serves no call for this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The agents and programs that call the nodes.
pub struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<Duration>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    served: AtomicU64,
}

impl Load {
    /// Begins to call the nodes on these ports.
    pub fn start(mcp: &[u16], grpc: &[u16]) -> Load {
        let shared = Arc::new(Shared::default());
        let mut callers = Vec::new();
        for number in 0..AGENTS {
            let clients = mcp.iter().map(|port| Client::new(*port)).collect();
            let agent = Agent { clients, at: number % mcp.len() };
            callers.push(tokio::spawn(agent.work(number, shared.clone())));
        }
        for number in 0..PROGRAMS {
            let clients = grpc.iter().map(|port| SidecarClient::new(channel(*port))).collect();
            let program = Program { clients, at: number % grpc.len() };
            callers.push(tokio::spawn(program.work(number, shared.clone())));
        }
        Load { shared, callers }
    }

    /// Waits until that many more calls were served.
    pub async fn serves(&self, calls: u64) {
        let goal = self.shared.served.load(Ordering::Relaxed) + calls;
        let deadline = Instant::now() + PATIENCE;
        while self.shared.served.load(Ordering::Relaxed) < goal {
            assert!(!self.callers.iter().any(JoinHandle::is_finished), "a call has failed");
            assert!(Instant::now() < deadline, "no calls are served any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the load. Returns how many calls were served, and how long the longest
    /// took.
    pub async fn end(self) -> (u64, Duration) {
        self.shared.over.store(true, Ordering::Relaxed);
        let mut longest = Duration::ZERO;
        for caller in self.callers {
            longest = longest.max(caller.await.expect("the failed call was printed above"));
        }
        (self.shared.served.load(Ordering::Relaxed), longest)
    }
}

impl Shared {
    /// Counts a call that was served, and returns how long it took.
    fn count_served(&self, began: Instant) -> Duration {
        self.served.fetch_add(1, Ordering::Relaxed);
        began.elapsed()
    }
}

/// An agent over MCP. It tries another node only if this one cannot have received
/// the call.
struct Agent {
    clients: Vec<Client>,
    at: usize,
}

impl Agent {
    async fn work(mut self, number: usize, shared: Arc<Shared>) -> Duration {
        let mut longest = Duration::ZERO;
        for n in 0.. {
            if shared.over.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("agent/{number}/{}", n % 10);
            let began = Instant::now();
            let set = self.call("state_set", json!({"key": key, "value": n})).await;
            assert_eq!(set["ok"], json!(true), "{set}");
            longest = longest.max(shared.count_served(began));
            let began = Instant::now();
            let got = self.call("state_get", json!({"key": key})).await;
            assert_eq!(got["value"], json!(n), "an acknowledged write is lost");
            longest = longest.max(shared.count_served(began));
        }
        longest
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let deadline = Instant::now() + CALL;
        while Instant::now() < deadline {
            for _ in 0..self.clients.len() {
                let client = &self.clients[self.at];
                if client.is_connected().await {
                    match client.call(tool, arguments.clone()).await {
                        Outcome::Answer(answer) => return answer,
                        outcome @ (Outcome::Unavailable | Outcome::Unknown) => {
                            panic!("{tool} {arguments} failed: {outcome:?}")
                        }
                    }
                }
                self.at = (self.at + 1) % self.clients.len();
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
        panic!("{tool} {arguments} failed: no node serves it");
    }
}

/// A program over gRPC. It repeats a call that a node did not serve under the same
/// idempotency key.
struct Program {
    clients: Vec<SidecarClient<Channel>>,
    at: usize,
}

impl Program {
    async fn work(mut self, number: usize, shared: Arc<Shared>) -> Duration {
        let mut longest = Duration::ZERO;
        for n in 0.. {
            if shared.over.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("program/{number}/{}", n % 10);
            let began = Instant::now();
            self.set(&key, n).await;
            longest = longest.max(shared.count_served(began));
            let began = Instant::now();
            let got = self.get(&key).await;
            assert_eq!(got, Some(n.to_string()), "an acknowledged write is lost");
            longest = longest.max(shared.count_served(began));
        }
        longest
    }

    async fn set(&mut self, key: &str, n: u64) {
        let set = state::Set { key: key.to_owned(), value: n.to_string(), ..Default::default() };
        let command = state::Command { command: Some(command::Command::Set(set)) };
        let request = SubmitRequest {
            command: Some(command),
            idempotency_key: Some(format!("{key}/{n}")),
            ..Default::default()
        };
        let deadline = Instant::now() + CALL;
        while let Err(status) = self.clients[self.at].submit(request.clone()).await {
            self.move_on(status, deadline).await;
        }
    }

    async fn get(&mut self, key: &str) -> Option<String> {
        let asked = question::Question::Key(state::KeyQuestion { key: key.to_owned() });
        let question = Some(state::Question { question: Some(asked) });
        let request = AskRequest { question, ..Default::default() };
        let deadline = Instant::now() + CALL;
        let reply = loop {
            match self.clients[self.at].ask(request.clone()).await {
                Ok(reply) => break reply,
                Err(status) => self.move_on(status, deadline).await,
            }
        };
        match reply.into_inner().answer.and_then(|answer| answer.answer) {
            Some(answer::Answer::Key(answer)) => answer.row.map(|row| row.value),
            other => panic!("{other:?}"),
        }
    }

    /// Moves on to the next node, if this one did nothing.
    async fn move_on(&mut self, status: Status, deadline: Instant) {
        assert!(status.code() == Code::Unavailable && Instant::now() < deadline, "{status}");
        self.at = (self.at + 1) % self.clients.len();
        if self.at == 0 {
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }
}

fn channel(port: u16) -> Channel {
    let uri = format!("http://127.0.0.1:{port}");
    Endpoint::from_shared(uri).expect("an address").connect_lazy()
}

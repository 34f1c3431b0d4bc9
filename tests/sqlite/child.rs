//! Other processes: this test program, started again with a role to play.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command as Program, Stdio};

use mcp_state_sidecar::machine::Reply;
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::sqlite::{Options, SqliteStore};

use crate::common::{acquire, claim_next, get, open, set, set_if, submit};
use crate::{full, migration};

const PART: &str = "SQLITE_TEST_PART";
const FILE: &str = "SQLITE_TEST_FILE";
const NAME: &str = "SQLITE_TEST_NAME";

/// Increments that each racing process makes.
pub const INCREMENTS: u64 = 100;

/// Writers at a time in a process that is under load.
const LOAD_WRITERS: u64 = 8;

/// A process that plays `part` on `file`.
pub fn program(part: &str, file: &Path, name: &str) -> Program {
    let mut program = Program::new(std::env::current_exe().expect("our own path"));
    dress(&mut program, part, file, name);
    program.args(ARGUMENTS);
    program
}

/// What makes this program play a part when it is run with [`ARGUMENTS`].
pub fn dress(program: &mut Program, part: &str, file: &Path, name: &str) {
    program.env(PART, part).env(FILE, file).env(NAME, name);
    program.stdin(Stdio::null()).stdout(Stdio::piped());
}

pub const ARGUMENTS: [&str; 4] = ["child::part", "--exact", "--ignored", "--nocapture"];

/// A child that does not outlive its test, whose output it would keep open.
pub struct Mortal(Child);

impl Mortal {
    /// SIGKILL.
    pub fn kill(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it is ours");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("it is ours").is_some()
    }

    /// Waits for its end; says whether it was a good one.
    pub fn succeeds(&mut self) -> bool {
        self.0.wait().expect("it is ours").success()
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts it and gives the lines that it says.
pub fn start(mut program: Program) -> (Mortal, impl Iterator<Item = String>) {
    let mut child = program.spawn().expect("the child starts");
    let stdout: ChildStdout = child.stdout.take().expect("a pipe");
    // The test harness talks too, and begins its lines elsewhere.
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let said = lines.filter_map(|line| line.split_once("SAID ").map(|(_, said)| said.to_owned()));
    (Mortal(child), said)
}

/// One line to the parent, whole, before anything else happens.
pub fn say(words: impl std::fmt::Display) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "SAID {words}").and_then(|()| stdout.flush()).expect("the parent listens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by other tests as a process of its own"]
async fn part() {
    let Ok(part) = std::env::var(PART) else { return };
    let file = std::path::PathBuf::from(std::env::var(FILE).expect("a file"));
    let name = std::env::var(NAME).expect("a name");
    match part.as_str() {
        "load" => load(&file, &name).await,
        "race" => race(&file, &name).await,
        "echo" => echo(&file).await,
        "open" => match SqliteStore::open(
            &file,
            Options::default(),
            mcp_state_sidecar::store::clock::system(),
        ) {
            Ok(_) => say("opened"),
            Err(error) => say(error),
        },
        "fill" => full::fill(&file).await,
        "squeeze" => migration::squeeze(&file),
        other => panic!("no such part: {other}"),
    }
}

/// Writes without end and says what was acknowledged.
async fn load(file: &Path, name: &str) {
    let store = std::sync::Arc::new(open(file));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..LOAD_WRITERS {
        let (store, name) = (store.clone(), name.to_owned());
        writers.spawn(async move {
            for n in 0u64.. {
                let key = format!("{name}-{writer}-{n}");
                let newest = format!("{name}-{writer}");
                submit(&store, set(&key, n)).await.expect("a write");
                say(format_args!("{key} {n}"));
                submit(&store, set(&newest, n)).await.expect("a write");
                say(format_args!("{newest} {n}"));
            }
        });
    }
    writers.join_all().await;
}

/// Increments one counter, claims all runs, and fights for a lease.
async fn race(file: &Path, name: &str) {
    let store = open(file);
    let mut done = 0;
    while done < INCREMENTS {
        let (value, revision) = get(&store, "counter").await;
        let value: u64 = value.map_or(0, |value| value.parse().expect("a number"));
        match submit(&store, set_if("counter", value + 1, revision)).await {
            Ok(Reply::Set(written)) if written.ok => done += 1,
            Ok(Reply::Set(_)) => {}
            other => say(format_args!("fault {other:?}")),
        }
        match submit(&store, claim_next(name)).await {
            Ok(Reply::Claimed(claimed)) => {
                if let (Some(run_id), Some(token)) = (claimed.run_id, claimed.claim_token) {
                    say(format_args!("run {run_id} {token}"));
                }
            }
            other => say(format_args!("fault {other:?}")),
        }
        lease(&store, name).await;
    }
    store.close().await;
    say("done");
}

async fn lease(store: &SqliteStore, name: &str) {
    use mcp_state_sidecar::machine::Command;
    use mcp_state_sidecar::machine::command::ReleaseLease;

    let token = match submit(store, acquire("lease", name)).await {
        Ok(Reply::Acquired(acquired)) => match acquired.fencing_token {
            Some(token) if acquired.acquired => token,
            Some(_) | None => return,
        },
        other => return say(format_args!("fault {other:?}")),
    };
    say(format_args!("lease {token}"));
    let release = Command::ReleaseLease(ReleaseLease {
        resource_id: "lease".into(),
        holder_id: name.into(),
        fencing_token: Some(token),
    });
    match submit(store, release).await {
        Ok(Reply::LeaseReleased { released: true, .. }) => {}
        other => say(format_args!("fault {other:?}")),
    }
}

/// Answers each change of `ping` with the same value of `pong`.
async fn echo(file: &Path) {
    let store = open(file);
    let mut revision = store.revision();
    let mut heard = None;
    say("listening");
    loop {
        let (ping, _) = get(&store, "ping").await;
        if ping != heard
            && let Some(ping) = ping
        {
            submit(&store, set("pong", &ping)).await.expect("a write");
            heard = Some(ping);
        }
        revision.changed().await.expect("the store lives");
    }
}

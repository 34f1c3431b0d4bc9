//! A Redis of a test's own: a `redis-server` on a free port of loopback, with a
//! folder of its own, that can be killed, stopped, started again and told to
//! misbehave. It never touches another one, and ends with its test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::{Client, Connection, FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server that does not answer by then does not work.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A connection that is refused may be a server that has not begun to listen.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Other tests look for ports too: one that was free may be taken by then.
const PORTS_TRIED: usize = 10;

/// A port that nobody listens on.
const NOBODY: &str = "1";

/// The settings of a server that must lose nothing that it acknowledged.
pub const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// One server, running or not.
pub struct RedisServer {
    dir: TempDir,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
    prefixes: AtomicU64,
}

/// Whether tests that need Redis can run; says so where they cannot.
pub fn is_installed(test: &str) -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("{test}: did not run, since there is no redis-server on this machine");
    }
    found
}

impl RedisServer {
    /// A server that keeps nothing beyond its life.
    pub fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// A server with more settings, as its command line takes them.
    pub fn start_with(settings: &[&str]) -> RedisServer {
        RedisServer::start_in(tempfile::tempdir().expect("a folder"), settings)
    }

    /// A server whose files lie in `dir`.
    pub fn start_in(dir: TempDir, settings: &[&str]) -> RedisServer {
        let settings = settings.iter().map(|word| (*word).to_owned()).collect();
        let prefixes = AtomicU64::new(0);
        let mut server = RedisServer { dir, port: 0, settings, process: None, prefixes };
        for _ in 0..PORTS_TRIED {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("redis-server does not start; its log ends:\n{}", server.last_lines());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// As `REDIS_URL` takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A prefix that nobody else has on this server, so that tests can share it.
    pub fn prefix(&self) -> String {
        format!("test{}:", self.prefixes.fetch_add(1, Ordering::Relaxed))
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a server that runs");
        process.kill().expect("it is ours");
        process.wait().expect("it is ours");
    }

    /// Starts it again, on the same port and files.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let deadline = Instant::now() + READY_WITHIN;
        // The port may linger with connections of the one before.
        while !self.try_start() {
            let log = self.last_lines();
            assert!(Instant::now() < deadline, "it does not start again; its log ends:\n{log}");
        }
    }

    /// SIGSTOP: it is there, but it says nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Changes a setting while it runs.
    pub fn set(&self, name: &str, value: &str) {
        self.ask::<()>(&["CONFIG", "SET", name, value]);
    }

    /// Makes it a replica, as a failover does with the primary that was; of
    /// nobody who would send it other data. It refuses writes.
    pub fn demote(&self) {
        self.ask::<()>(&["REPLICAOF", "127.0.0.1", NOBODY]);
    }

    /// Makes it a primary again.
    pub fn promote(&self) {
        self.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Asks one thing, over a connection of its own.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// As [`RedisServer::ask`].
    ///
    /// # Errors
    /// It is not there, or refuses.
    pub fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.connect()?)
    }

    /// Every key that there is on it.
    pub fn keys(&self) -> Vec<String> {
        self.ask(&["KEYS", "*"])
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = Client::open(self.own_url())?.get_connection_with_timeout(READY_WITHIN)?;
        connection.set_read_timeout(Some(READY_WITHIN))?;
        Ok(connection)
    }

    /// With the password, if it was started with one.
    fn own_url(&self) -> String {
        let password = self.settings.iter().skip_while(|word| *word != "--requirepass").nth(1);
        match password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => self.url(),
        }
    }

    /// Whether it runs and answers. A taken port makes it end at once.
    fn try_start(&mut self) -> bool {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("redis.log"))
            .expect("a log");
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--daemonize", "no", "--dir"])
            .arg(self.dir.path())
            .args(&self.settings)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let process = self.process.insert(child);
        let pid = process.id();
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if self.has_ended() {
                self.process = None;
                return false;
            }
            // Another's server may have the port: only our own counts.
            if self.own_pid() == Some(pid) {
                return true;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        panic!("redis-server does not answer; its log ends:\n{}", self.last_lines());
    }

    fn has_ended(&mut self) -> bool {
        let process = self.process.as_mut().expect("started a moment ago");
        process.try_wait().expect("it is ours").is_some()
    }

    /// The process that answers on our port, once it has read its files.
    fn own_pid(&self) -> Option<u32> {
        self.try_ask::<()>(&["PING"]).ok()?;
        let info: String = self.try_ask(&["INFO", "server"]).ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix("process_id:"))?;
        line.trim().parse().ok()
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("a server that runs");
        kill_process(Pid::from_child(process), signal).expect("it is ours");
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("redis.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("it is bound").port()
}

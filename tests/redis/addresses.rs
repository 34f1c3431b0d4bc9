//! The ways to reach a Redis: with user, password and database, over a Unix socket,
//! over TLS, and through Sentinels that name another primary when the first one dies.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use mcp_state_sidecar::machine::Reply;
use mcp_state_sidecar::store::redis::{Options, RedisClock, RedisStore};
use mcp_state_sidecar::store::{Store, StoreError};
use tokio::time::Instant;

use crate::common::{get, set, soon};
use support::redis_server::{self, RedisServer};

/// Sentinels notice, agree and promote within some seconds.
const FAIL_OVER: Duration = Duration::from_secs(60);

async fn opened(url: String) -> RedisStore {
    let options = Options { url, ..Options::default() };
    RedisStore::open(options, RedisClock::Server).await.expect("a server of our own")
}

async fn writes_and_reads(store: &RedisStore) {
    let written = set(store, "k", 1, soon()).await;
    assert!(matches!(&written, Ok(Reply::Set(written)) if written.ok), "{written:?}");
    assert_eq!(get(store, "k", soon()).await.unwrap(), Some(1));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_a_database_and_a_socket() {
    if !redis_server::is_installed("users and sockets") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let user = ["--user", "agent", "on", ">pass%word", "~*", "&*", "+@all"];
    let socket_settings = ["--unixsocket", socket.to_str().unwrap()];
    let server = RedisServer::start_with(&[&user[..], &socket_settings].concat());
    let store = opened(format!("redis://agent:pass%25word@127.0.0.1:{}/3", server.port())).await;
    writes_and_reads(&store).await;
    assert_eq!(server.keys(), [""; 0], "it is in another database");
    let store = opened(format!("redis+unix://{}?db=3", socket.display())).await;
    assert_eq!(get(&store, "k", soon()).await.unwrap(), Some(1));
    writes_and_reads(&store).await;
}

/// An authority and a server's certificate from it; none without openssl.
fn certificates(dir: &Path) -> bool {
    let run = |words: &[&str]| {
        let ran = Command::new("openssl").args(words).current_dir(dir).output();
        ran.is_ok_and(|output| output.status.success())
    };
    const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    fs::write(dir.join("ext"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        .unwrap();
    let authority = ["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=a test's"];
    let server = ["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"];
    let signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext"];
    run(&[&["req", "-x509"], &KEY[..], &authority].concat())
        && run(&[&["req"], &KEY[..], &server].concat())
        && run(&[&["x509", "-req", "-in", "server.csr", "-out", "server.crt"][..], &signed].concat())
}

/// What the program says that is to export the state behind `url`, trusting
/// `authority` alone.
fn export(url: &str, authority: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"))
        .env_clear()
        .args(["export", "-"])
        .env("STATE_BACKEND", "redis")
        .env("REDIS_URL", url)
        .env("SSL_CERT_FILE", authority)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn tls_with_a_certificate_that_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    if !redis_server::is_installed("TLS") {
        return;
    }
    if !certificates(dir.path()) {
        eprintln!("TLS: did not run, since there is no openssl on this machine");
        return;
    }
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let port = redis_server::free_port().to_string();
    let _server = RedisServer::start_with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &path("server.crt"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-ca-cert-file",
        &path("ca.crt"),
        "--tls-auth-clients",
        "no",
    ]);
    let trusted = export(&format!("rediss://localhost:{port}"), &dir.path().join("ca.crt"));
    let said = String::from_utf8_lossy(&trusted.stderr);
    assert!(trusted.status.success(), "{said}");
    let strange = tempfile::tempdir().unwrap();
    assert!(certificates(strange.path()));
    let refused = export(&format!("rediss://localhost:{port}"), &strange.path().join("ca.crt"));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("certificate"), "{said}");
}

/// One Sentinel, ended with its test.
struct Sentinel(Child);

impl Sentinel {
    fn start(dir: &Path, port: u16, primary: &RedisServer) -> Sentinel {
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nrequirepass its-own\n\
             sentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n",
            dir.display(),
            primary.port()
        );
        let file = dir.join("sentinel.conf");
        fs::write(&file, settings).unwrap();
        let child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.join("sentinel.log")).unwrap())
            .spawn()
            .unwrap();
        Sentinel(child)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_name_another_primary_and_the_store_goes_on_there() {
    if !redis_server::is_installed("Sentinels") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut primary = RedisServer::start();
    let replica = RedisServer::start();
    replica.ask::<()>(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let port = redis_server::free_port();
    let _sentinel = Sentinel::start(dir.path(), port, &primary);
    let store =
        opened(format!("redis+sentinel://127.0.0.1:{port}/main?sentinel_password=its-own")).await;
    set(&store, "before", 1, soon()).await.unwrap();
    // The copy is there: what is tried is the way, not what a failover loses.
    let deadline = Instant::now() + FAIL_OVER;
    while primary.ask::<u64>(&["WAIT", "1", "100"]) < 1 || !knows_replica(port) {
        assert!(Instant::now() < deadline, "the replica is not there");
    }
    let revision = store.health().await.revision;
    primary.kill();
    let written = set(&store, "after", 2, deadline).await;
    assert!(
        matches!(&written, Ok(Reply::Set(written)) if written.ok && written.revision > revision),
        "{written:?}"
    );
    assert_eq!(get(&store, "before", soon()).await.unwrap(), Some(1));
    assert!(replica.keys().iter().any(|key| key.ends_with(":meta")));
    let refused: Result<Reply, StoreError> = set(&store, "last", 3, soon()).await;
    assert!(refused.is_ok(), "{refused:?}");
}

/// Whether the Sentinel has found the replica, without which it has no heir.
fn knows_replica(port: u16) -> bool {
    let client = redis::Client::open(format!("redis://:its-own@127.0.0.1:{port}")).unwrap();
    let Ok(mut connection) = client.get_connection() else { return false };
    let mut asked = redis::cmd("SENTINEL");
    let known: redis::RedisResult<Vec<redis::Value>> =
        asked.arg("replicas").arg("main").query(&mut connection);
    known.is_ok_and(|known| !known.is_empty())
}

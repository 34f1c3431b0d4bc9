//! `https://`: commands call nodes through a proxy that speaks TLS, trust the authorities
//! that they are told to trust, and say what is wrong with a certificate. The folder `tls/`
//! contains the certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use support::command_line::{PROGRAM, Running, run, text};

use crate::pipe::{Pipe, serve};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/tls").join(name)
}

/// A proxy that speaks TLS on all addresses of loopback, and ends when it is dropped.
struct TlsProxy {
    port: u16,
    _runtime: Runtime,
}

impl TlsProxy {
    /// It carries everything to `port` on this machine.
    fn to(port: u16) -> TlsProxy {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificates = CertificateDer::pem_file_iter(fixture("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates.map(Result::unwrap).collect(), key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let first = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let own = first.local_addr().unwrap().port();
        let second = runtime.block_on(TcpListener::bind(("127.0.0.2", own))).unwrap();
        for listener in [first, second] {
            runtime.spawn(accept(listener, acceptor.clone(), port));
        }
        TlsProxy { port: own, _runtime: runtime }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.port)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, port: u16) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust the certificate, or does not speak TLS, goes.
            let Ok(mut inner) = acceptor.accept(stream).await else { return };
            let Ok(mut outer) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let _ = copy_bidirectional(&mut inner, &mut outer).await;
        });
    }
}

struct Stage {
    dir: tempfile::TempDir,
    _node: Running,
    port: u16,
    grpc_port: u16,
}

impl Stage {
    fn new() -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let grpc_port = free.local_addr().unwrap().port();
        drop(free);
        let addr = format!("127.0.0.1:{grpc_port}");
        let env = [("STATE_BACKEND", "memory"), ("SIDECAR_GRPC_ADDR", addr.as_str())];
        let (node, port) = serve(&PROGRAM, dir.path(), &env, &["serve"]);
        Stage { dir, _node: node, port, grpc_port }
    }

    /// The exit code of a command, and what it wrote to standard error.
    fn run(&self, env: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String) {
        let output = run(self.dir.path(), env, args);
        let errors = text(&output.stderr);
        assert!(errors.trim_end().lines().count() <= 1, "{args:?}: {errors}");
        (output.status.code(), errors)
    }
}

#[test]
fn a_certificate_is_trusted_if_its_authority_is() {
    let stage = Stage::new();
    let proxy = TlsProxy::to(stage.port);
    let (url, ca) = (proxy.url("localhost"), fixture("ca.pem").display().to_string());
    let call = ["call", "sidecar_health", "--node", url.as_str()];
    let (code, line) = stage.run(&[], &[&call[..], &["--ca-file", &ca]].concat());
    assert_eq!(code, Some(0), "{line}");
    // The system's own authorities can be replaced as for OpenSSL.
    for name in ["SIDECAR_CA_FILE", "SSL_CERT_FILE"] {
        let (code, line) = stage.run(&[(name, &ca)], &call);
        assert_eq!(code, Some(0), "{name}: {line}");
    }
    let mut pipe = Pipe::start(stage.dir.path(), &["connect", &url, "--ca-file", &ca]);
    pipe.initialize();
    assert_eq!(pipe.call("state_set", json!({"key": "k", "value": 1}))["ok"], true);
    assert_eq!(pipe.hang_up(), Some(0));
}

#[test]
fn a_certificate_that_is_not_trusted_is_refused_with_the_reason() {
    let stage = Stage::new();
    let proxy = TlsProxy::to(stage.port);
    let ca = fixture("ca.pem").display().to_string();
    // Another certificate, so that some authority is trusted on every machine.
    let other = fixture("server.pem").display().to_string();
    let untrusted = "its certificate is not trusted, because the issuer is unknown; name a file \
                     with the certificate of its authority with --ca-file";
    let call = |url: &str, ca: &str| {
        stage.run(&[], &["call", "sidecar_health", "--node", url, "--ca-file", ca])
    };
    let url = proxy.url("localhost");
    let (code, line) = call(&url, &other);
    assert_eq!(code, Some(1), "{line}");
    assert!(line.contains(&format!("{url}/mcp: {untrusted}")), "{line}");
    let mut pipe = Pipe::start(stage.dir.path(), &["connect", &url, "--ca-file", &other]);
    let answer = pipe.answer("ping", json!({}));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(untrusted), "{answer}");
    assert_eq!(pipe.hang_up(), Some(0));
    // The authority is trusted, and the name is another one.
    let (code, line) = call(&proxy.url("127.0.0.2"), &ca);
    assert_eq!(code, Some(1), "{line}");
    assert!(line.contains("its certificate is refused: ") && line.contains("127.0.0.2"), "{line}");
}

#[test]
fn tls_and_plain_http_are_not_confused() {
    let stage = Stage::new();
    let proxy = TlsProxy::to(stage.port);
    let ca = fixture("ca.pem").display().to_string();
    let plain = format!("https://127.0.0.1:{}", stage.port);
    let args = ["call", "sidecar_health", "--node", &plain, "--ca-file", &ca];
    let (code, line) = stage.run(&[], &args);
    assert_eq!(code, Some(1), "{line}");
    assert!(line.contains("the server does not speak TLS there; try http://"), "{line}");
    let tls = format!("127.0.0.1:{}", proxy.port);
    let (code, line) = stage.run(&[], &["call", "sidecar_health", "--node", &tls]);
    assert_eq!(code, Some(1), "{line}");
    assert!(line.contains("another protocol") && line.contains("https://"), "{line}");
}

#[test]
fn grpc_goes_over_tls_too() {
    let stage = Stage::new();
    let proxy = TlsProxy::to(stage.grpc_port);
    let (url, ca) = (proxy.url("localhost"), fixture("ca.pem").display().to_string());
    let other = fixture("server.pem").display().to_string();
    let export = ["export", "--node", url.as_str(), "--ca-file"];
    let (code, line) = stage.run(&[], &[&export[..], &[&ca]].concat());
    assert_eq!(code, Some(0), "{line}");
    let (code, line) = stage.run(&[], &[&export[..], &[&other]].concat());
    assert_eq!(code, Some(1), "{line}");
    assert!(line.contains(&url) && line.contains("its certificate is not trusted"), "{line}");
    let status = ["cluster", "status", "--node", &url, "--ca-file", &ca];
    let (_, line) = stage.run(&[], &status);
    assert!(line.contains("is not the node of a cluster"), "{line}");
}

#[test]
fn a_file_of_authorities_must_contain_some() {
    let stage = Stage::new();
    for (file, part) in [
        ("/nowhere/ca.pem", "No such file"),
        (fixture("README.md").to_str().unwrap(), "contains no certificate in the PEM format"),
    ] {
        let args = ["call", "sidecar_health", "--node", "https://localhost:1", "--ca-file", file];
        let (code, line) = stage.run(&[], &args);
        assert_eq!(code, Some(2), "{line}");
        assert!(line.contains("--ca-file: got") && line.contains(part), "{line}");
        let plain = format!("127.0.0.1:{}", stage.port);
        let args = ["call", "sidecar_health", "--node", &plain, "--ca-file", file];
        assert_eq!(stage.run(&[], &args).0, Some(0), "without TLS it is not read");
    }
}

//! A state that a program before this one left does not say how large it is.

use bytes::Bytes;
use mcp_state_sidecar::codec::{StateRecord, decode_state_record, encode_state_record};
use mcp_state_sidecar::machine::Meta;
use mcp_state_sidecar::store::Store;

use crate::common::{open, set, soon};
use crate::server::{self, RedisServer};

const META: &str = "{sidecar}:meta";

/// What lies there as an older program wrote it: a size of 0 is left out.
fn forget_size(server: &RedisServer) {
    let state: Vec<u8> = server.ask(&["HGET", META, "state"]);
    let Ok(StateRecord::Meta(meta)) = decode_state_record(&Bytes::from(state)) else {
        panic!("the position is there")
    };
    let state = encode_state_record(&StateRecord::Meta(Meta { state_bytes: 0, ..meta }));
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let written: Result<(), _> =
        redis::cmd("HSET").arg(META).arg("state").arg(&state[..]).query(&mut connection);
    written.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_state_is_counted_when_it_is_opened() {
    if !server::is_installed("counted") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "sidecar").await;
    for n in 0..50 {
        set(&store, &format!("key-{n}"), n, soon()).await.unwrap();
    }
    let before = store.health().await;
    store.close().await;
    assert!(before.state_bytes > 50 * "key-0".len() as u64, "{before:?}");
    forget_size(&server);
    let store = open(&server, "sidecar").await;
    // Whoever opens it next finds it counted.
    let other = open(&server, "sidecar").await;
    let after = other.health().await;
    assert_eq!((after.state_bytes, after.chain), (before.state_bytes, before.chain));
    set(&store, "one more", 1, soon()).await.unwrap();
    let more = store.health().await.state_bytes - after.state_bytes;
    assert_eq!(more, mcp_state_sidecar::machine::size::ROW_BYTES + "one more".len() as u64 + 1);
    store.close().await;
    other.close().await;
}

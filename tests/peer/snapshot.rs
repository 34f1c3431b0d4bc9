//! Snapshots between nodes are installed completely or not at all.

use std::fs;

use bytes::Bytes;
use futures::stream;
use mcp_state_sidecar::proto::peer::peer_client::PeerClient;
use mcp_state_sidecar::proto::peer::snapshot_part::Part;
use mcp_state_sidecar::proto::peer::{SnapshotHead, SnapshotPart, SnapshotPiece};
use mcp_state_sidecar::proto::record;
use mcp_state_sidecar::store::raft::rpc::{PeerCredentials, PeerIdentity};
use openraft::async_runtime::WatchReceiver;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tonic::Code;

use crate::cluster::{CLUSTER, Place, SECRET, cluster, last_index, leader, within, write};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_node_gets_the_snapshot() {
    const ITEMS: usize = 20;
    const ITEM_BYTES: usize = 1024 * 1024;
    let places = cluster::<3>().await;
    let first = &places[leader(&places).await];
    for n in 0..ITEMS {
        write(first, vec![n as u8; ITEM_BYTES]).await;
    }
    let last = last_index(first).unwrap();
    first.raft().trigger().snapshot().await.unwrap();
    let taken = async || {
        let snapshot = first.raft().metrics().borrow_watched().snapshot;
        (snapshot?.index >= last).then_some(())
    };
    within(taken).await;
    first.raft().trigger().purge_log(last).await.unwrap();
    within(async || {
        let purged = first.raft().metrics().borrow_watched().purged;
        (purged?.index >= last).then_some(())
    })
    .await;

    let mut empty = Place::new(4);
    empty.start().await;
    let began = Instant::now();
    first.raft().add_learner(4, empty.peer(), true).await.unwrap();
    within(async || (empty.machine.count() == ITEMS).then_some(())).await;
    eprintln!("20 MB installed in {:?}", began.elapsed());
    assert_eq!(empty.machine.items(), first.machine.items());
    assert_eq!(files(&empty), ["current.snapshot"]);
}

fn files(place: &Place) -> Vec<String> {
    let names = fs::read_dir(&place.machine.folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Sends a snapshot to an empty node, as node 9 of term 5 would, after `damage` has
/// changed its parts.
async fn sent(damage: impl FnOnce(&mut Vec<Part>)) -> (Result<(), Code>, Place) {
    let mut place = Place::new(1);
    place.start().await;
    let content = b"\0\0\0\x05first\0\0\0\x06second";
    let (one, two) = content.split_at(9);
    let piece = |offset: usize, data: &'static [u8]| {
        let data = Bytes::from_static(data);
        Part::Piece(SnapshotPiece { offset: offset as u64, crc32c: crc32c::crc32c(&data), data })
    };
    let id = Some(record::LogId { term: 5, index: 7 });
    let head = SnapshotHead {
        vote: Some(record::Vote { term: 5, node: 9, committed: true }),
        last: id,
        membership: Some(record::Membership {
            configs: vec![record::NodeSet { nodes: vec![9] }],
            members: vec![record::Member { id: 9, ..Default::default() }],
        }),
        membership_at: id,
        bytes: content.len() as u64,
        sha256: Sha256::digest(content).to_vec().into(),
    };
    let mut parts = vec![Part::Head(head), piece(0, one), piece(one.len(), two)];
    damage(&mut parts);
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", place.addr));
    let channel = channel.unwrap().connect_lazy();
    let identity = PeerIdentity::new(CLUSTER, 9, Some(SECRET)).unwrap();
    let mut client =
        PeerClient::with_interceptor(channel, PeerCredentials::new(&identity, Some(1)));
    let parts = parts.into_iter().map(|part| SnapshotPart { part: Some(part) });
    let reply = client.install_snapshot(stream::iter(parts)).await;
    (reply.map(drop).map_err(|status| status.code()), place)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_snapshot_is_installed() {
    let (result, place) = sent(|_| {}).await;
    assert_eq!(result, Ok(()));
    assert_eq!(place.machine.items(), ["first", "second"]);
    assert_eq!(files(&place), ["current.snapshot"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot_is_refused_and_leaves_nothing() {
    type Damage = fn(&mut Vec<Part>);
    let cases: [(&str, Damage, Code); 5] = [
        ("crc", |parts| piece(parts, |p| p.crc32c ^= 1), Code::DataLoss),
        (
            "byte",
            |parts| piece(parts, |p| p.data = Bytes::from_static(b"\0\0\0\x06sEcond")),
            Code::DataLoss,
        ),
        ("offset", |parts| piece(parts, |p| p.offset += 1), Code::InvalidArgument),
        ("end", |parts| drop(parts.pop()), Code::DataLoss),
        (
            "digest",
            |parts| {
                let data = Bytes::from_static(b"\0\0\0\x06sEcond");
                piece(parts, |p| p.crc32c = crc32c::crc32c(b"\0\0\0\x06sEcond"));
                if let Some(Part::Piece(p)) = parts.last_mut() {
                    p.data = data;
                }
            },
            Code::DataLoss,
        ),
    ];
    for (what, damage, code) in cases {
        let (result, place) = sent(damage).await;
        assert_eq!(result, Err(code), "{what}");
        assert_eq!(place.machine.count(), 0, "{what}");
        within(async || files(&place).is_empty().then_some(())).await;
    }
}

fn piece(parts: &mut [Part], change: fn(&mut SnapshotPiece)) {
    if let Some(Part::Piece(piece)) = parts.last_mut() {
        change(piece);
    }
}

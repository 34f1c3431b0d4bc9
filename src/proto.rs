//! Messages generated from `proto/`. Their meaning is documented there.

/// What the log and the network carry: `proto/record.proto`.
pub mod record {
    tonic::include_proto!("sidecar.record.v1");
}

/// How nodes of one cluster talk to each other: `proto/peer.proto`.
pub mod peer {
    tonic::include_proto!("sidecar.peer.v1");
}

//! Messages generated from `proto/`. Their meaning is documented there.
//!
//! The modules follow the packages, because generated code refers from one to
//! the other by path.

/// What the log and the network carry: `proto/record.proto`.
pub mod record {
    pub use v1::*;

    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("sidecar.record.v1");
    }
}

/// Commands, replies, rows, questions: `proto/state.proto`.
pub mod state {
    pub use v1::*;

    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("sidecar.state.v1");
    }
}

/// How nodes of one cluster talk to each other: `proto/peer.proto`.
pub mod peer {
    pub use v1::*;

    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("sidecar.peer.v1");
    }
}

/// The public API: `proto/sidecar.proto`, with its client and server.
pub mod sidecar {
    tonic::include_proto!("sidecar.v1");
}

pub mod strict;

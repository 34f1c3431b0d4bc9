//! Messages generated from `proto/`. Their meaning is documented there.

/// What the log and the network carry: `proto/record.proto`.
pub mod record {
    tonic::include_proto!("sidecar.record.v1");
}

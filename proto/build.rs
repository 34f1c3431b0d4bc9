//! Compiles `proto/*.proto` without a system `protoc`.

use std::error::Error;

/// Packages that others import come first; each is generated once.
const RECORD: &str = "proto/record.proto";
const PEER: &str = "proto/peer.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    // Payloads are shared between the log, its cache and the network.
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(protox::compile([RECORD], ["proto"])?)?;
    tonic_prost_build::configure()
        .bytes(".")
        .extern_path(".sidecar.record.v1", "crate::proto::record")
        .compile_fds(protox::compile([PEER], ["proto"])?)?;
    Ok(())
}

//! Compiles `proto/*.proto` without a system `protoc`.

use std::error::Error;

const SOURCES: &[&str] = &["proto/record.proto", "proto/state.proto", "proto/peer.proto"];

/// The public API, which is read strictly and so has a codec of its own.
const API: &[&str] = &["proto/sidecar.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(SOURCES, ["proto"])?;
    // Payloads are shared between the log, its cache and the network.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    tonic_prost_build::configure()
        .bytes(".")
        .extern_path(".sidecar.state.v1", "crate::proto::state")
        .codec_path("crate::proto::strict::StrictCodec")
        .compile_fds(protox::compile(API, ["proto"])?)?;
    Ok(())
}

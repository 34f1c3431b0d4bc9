//! Compiles `proto/*.proto` without a system `protoc`.

use std::error::Error;

const SOURCES: &[&str] = &["proto/record.proto", "proto/state.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(SOURCES, ["proto"])?;
    // Payloads are shared between the log, its cache and the network.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}

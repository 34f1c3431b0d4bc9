//! The program `mcp-state-sidecar`; [`mcp_state_sidecar::cli`] does everything.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mcp_state_sidecar::cli::main(std::env::args_os())
}

//! `serve` under the name that the reference gives its HTTP server.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mcp_state_sidecar::cli::http_main(std::env::args_os())
}

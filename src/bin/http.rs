//! The program `mcp-state-sidecar-http`, which does what `serve` does. The Python reference
//! has an HTTP server of this name.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mcp_state_sidecar::cli::http_main(std::env::args_os())
}

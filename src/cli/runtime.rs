//! How a command runs its asynchronous work.

use std::process::ExitCode;

use tokio::runtime::Builder;

use super::failure::CommandFailure;

/// Runs a command for which one thread is enough.
pub fn block_on(
    command: impl Future<Output = Result<ExitCode, CommandFailure>>,
) -> Result<ExitCode, CommandFailure> {
    run(Builder::new_current_thread(), command)
}

/// Runs a node, which uses all cores.
pub fn block_on_threads(
    node: impl Future<Output = Result<ExitCode, CommandFailure>>,
) -> Result<ExitCode, CommandFailure> {
    run(Builder::new_multi_thread(), node)
}

/// Has memory come in small pages from now on. In huge ones, a node without any state takes
/// 45 MB more than it has touched.
pub fn refuse_huge_pages() {
    // Where they cannot be refused, it takes more.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn run(
    mut builder: Builder,
    work: impl Future<Output = Result<ExitCode, CommandFailure>>,
) -> Result<ExitCode, CommandFailure> {
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| CommandFailure::run(format!("no runtime: {error}")))?;
    let result = runtime.block_on(work);
    // A read of standard input may still be under way, and must not hold up the exit.
    runtime.shutdown_background();
    result
}

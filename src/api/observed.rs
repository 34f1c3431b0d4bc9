//! What happens around every call, whichever protocol it comes by: it is
//! counted, and a panic in it is contained.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;

use crate::observe;
use crate::service::ServiceError;

/// Runs `call` and counts it under the name `tool`. A panic becomes an error of
/// this call alone, so that it does not end others on the same connection.
pub(super) async fn observed<T>(
    tool: &'static str,
    call: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    let began = Instant::now();
    let result = AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(tool, "a call panicked");
        Err(ServiceError::internal("internal error; the server's log has more"))
    });
    let outcome = result.as_ref().map_or_else(|error| error.code.as_str(), |_| "ok");
    observe::call(tool, outcome, began.elapsed());
    result
}

//! What the server says about itself before anything is called.

use std::sync::LazyLock;

use rmcp::model::{Icon, Implementation, ServerCapabilities, ServerConfig};

/// What an agent is told before it calls anything.
pub const INSTRUCTIONS: &str = "Durable state shared by all agents: keys, workflows, leases, \
sessions, and the history of every change.

To have work done by any of several agents:
1. create: workflow_create registers the work and gives a run_id; put what is needed into input.
2. discover: workflow_discover(claimable: true) finds work, or workflow_claim_next finds and claims \
the best in one step (wait_seconds waits for some).
3. claim: workflow_claim takes a run; exactly one agent wins. Keep its claim_token and show it in \
every later call on the run.
4. checkpoint: workflow_checkpoint after each step, before the next one begins. ok: false means \
that another agent has taken over: stop. In long steps call workflow_heartbeat.
5. resume: right after claiming call workflow_resume. If last_step is above 0, a predecessor got \
that far: go on from there, do not start again.
End with workflow_complete, or workflow_fail to have it tried again.

To keep others away from something: lease_acquire, work, lease_renew in time, lease_release. Pass \
the lease's token as fence to writes, so that a write made after losing the lease is refused.
To change a key only if nobody else has: state_get, then state_set with if_revision.
To wait for a change: state_wait, not a loop of state_get.
At the start of a conversation: session_restore; before its end: session_save.

Errors carry a code. unavailable: nothing was written, try again. outcome_unknown: repeat the call \
with the same idempotency_key. So give writes that must not happen twice an idempotency_key.";

/// A stack of three layers, small enough to send along. It is a URI, so it holds no spaces.
const ICON: &str = "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%20viewBox='0%20\
0%2024%2024'%20fill='none'%20stroke='%23476'%20stroke-width='2'%20stroke-linejoin='round'%3E%3C\
path%20d='M12%203%203%208l9%205%209-5zM3%2012l9%205%209-5M3%2016l9%205%209-5'/%3E%3C/svg%3E";

/// What clients of the newest revision are told. Those of older ones are told less, as far
/// as the server cannot send them messages by itself.
pub(super) fn server_config() -> ServerConfig {
    static CONFIG: LazyLock<ServerConfig> = LazyLock::new(|| {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_prompts()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tools()
            .build();
        let icon = Icon::new(ICON).with_mime_type("image/svg+xml").with_sizes(vec!["any".into()]);
        let server = Implementation::new("mcp-state-sidecar", env!("CARGO_PKG_VERSION"))
            .with_title("MCP State Sidecar")
            .with_description(env!("CARGO_PKG_DESCRIPTION"))
            .with_icons(vec![icon]);
        ServerConfig::new(capabilities).with_server_info(server).with_instructions(INSTRUCTIONS)
    });
    CONFIG.clone()
}

//! What the server says about itself before anything is called.

use std::sync::LazyLock;

use super::tools::Toolset;
use rmcp::model::{Icon, Implementation, ServerCapabilities, ServerConfig};

/// What an agent is told before it calls anything, paragraph by paragraph.
const INSTRUCTIONS: [Paragraph; 5] = [
    Paragraph::of(&[&[
        "Durable state shared by all agents: keys, workflows, leases, sessions, and \
        the history of every change.",
    ]]),
    Paragraph {
        heading: "To have work done by any of several agents:",
        steps: &[
            &["create: workflow_create registers the work and gives a run_id; put what is needed \
                into input."],
            &[
                "discover: workflow_discover(claimable: true) finds work, or workflow_claim_next \
                    finds and claims the best in one step (wait_seconds waits for some).",
                "discover: workflow_discover(claimable: true) finds work.",
                "discover: workflow_claim_next finds and claims the best work in one step \
                    (wait_seconds waits for some).",
            ],
            &["claim: workflow_claim takes a run; exactly one agent wins. Keep its claim_token \
                and show it in every later call on the run."],
            &[
                "checkpoint: workflow_checkpoint after each step, before the next one begins. \
                    ok: false means that another agent has taken over: stop. In long steps call \
                    workflow_heartbeat.",
                "checkpoint: workflow_checkpoint after each step, before the next one begins. \
                    ok: false means that another agent has taken over: stop.",
                "keep: workflow_heartbeat keeps a claim. ok: false means that another agent has \
                    taken over: stop.",
            ],
            &["resume: right after claiming call workflow_resume. If last_step is above 0, a \
                predecessor got that far: go on from there, do not start again."],
        ],
        lines: &[&[
            "End with workflow_complete, or workflow_fail to have it tried again.",
            "End with workflow_complete.",
        ]],
    },
    Paragraph::of(&[
        &["To keep others away from something: lease_acquire, work, lease_renew in time, \
            lease_release. Pass the lease's token as fence to writes, so that a write made after \
            losing the lease is refused."],
        &["To change a key only if nobody else has: state_get, then state_set with if_revision."],
        &["To wait for a change: state_wait, not a loop of state_get."],
        &["To wait for work that others do: workflow_wait, not a loop of workflow_status."],
        &["At the start of a conversation: session_restore; before its end: session_save."],
    ]),
    Paragraph::of(&[&["Errors carry a code. unavailable: nothing was written, try again. \
        outcome_unknown: repeat the call with the same idempotency_key. So give writes that must \
        not happen twice an idempotency_key."]]),
    Paragraph::of(&[&["A value that is too large for an answer is shown as {head, bytes}; \
        values: 'full' gives all of it."]]),
];

/// A part of the instructions. Each sentence is a list of wordings: an agent is told the
/// first one that names none but its tools, or nothing.
struct Paragraph {
    /// Stands before the steps.
    heading: &'static str,
    /// Numbered.
    steps: &'static [&'static [&'static str]],
    lines: &'static [&'static [&'static str]],
}

impl Paragraph {
    const fn of(lines: &'static [&'static [&'static str]]) -> Paragraph {
        Paragraph { heading: "", steps: &[], lines }
    }

    /// The paragraph for an agent with these tools; empty if nothing in it concerns it.
    fn text(&self, toolset: Toolset) -> String {
        let wording = |wordings: &&[&'static str]| {
            wordings.iter().copied().find(|text| toolset.lacks_of(text).is_none())
        };
        let steps: Vec<String> = self
            .steps
            .iter()
            .filter_map(wording)
            .enumerate()
            .map(|(at, step)| format!("{}. {step}", at + 1))
            .collect();
        let heading = (!steps.is_empty()).then(|| self.heading.to_owned());
        let lines = self.lines.iter().filter_map(wording).map(str::to_owned);
        heading.into_iter().chain(steps).chain(lines).collect::<Vec<_>>().join("\n")
    }
}

/// What an agent with these tools is told before it calls anything.
pub(super) fn instructions(toolset: Toolset) -> String {
    let paragraphs = INSTRUCTIONS.iter().map(|paragraph| paragraph.text(toolset));
    paragraphs.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// A stack of three layers, small enough to send along. It is a URI, so it holds no spaces.
const ICON: &str = "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%20viewBox='0%20\
0%2024%2024'%20fill='none'%20stroke='%23476'%20stroke-width='2'%20stroke-linejoin='round'%3E%3C\
path%20d='M12%203%203%208l9%205%209-5zM3%2012l9%205%209-5M3%2016l9%205%209-5'/%3E%3C/svg%3E";

/// What clients of the newest revision are told. Those of older ones are told less, as far
/// as the server cannot send them messages by itself.
pub(super) fn server_config(toolset: Toolset) -> ServerConfig {
    static CONFIG: LazyLock<ServerConfig> = LazyLock::new(|| {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_prompts()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tasks()
            .build();
        let icon = Icon::new(ICON).with_mime_type("image/svg+xml").with_sizes(vec!["any".into()]);
        let server = Implementation::new("mcp-state-sidecar", env!("CARGO_PKG_VERSION"))
            .with_title("MCP State Sidecar")
            .with_description(env!("CARGO_PKG_DESCRIPTION"))
            .with_icons(vec![icon]);
        ServerConfig::new(capabilities).with_server_info(server)
    });
    CONFIG.clone().with_instructions(instructions(toolset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_told_of_its_own_tools_alone() {
        for (name, said, unsaid) in [
            ("default", "5. resume:", "sidecar_reset"),
            ("worker", "1. discover:", "workflow_create"),
            ("orchestrator", "1. create:", "workflow_checkpoint"),
            ("reference", "4. checkpoint:", "workflow_heartbeat"),
            ("state_get", "Errors carry a code", "To have work done"),
        ] {
            let toolset: Toolset = name.parse().unwrap();
            let text = instructions(toolset);
            assert!(text.contains(said) && !text.contains(unsaid), "{name}: {text}");
            assert_eq!(toolset.lacks_of(&text), None, "{name}: {text}");
        }
        // The wording that comes first is that for all tools.
        let all = instructions(Toolset::all());
        for paragraph in &INSTRUCTIONS {
            for wordings in paragraph.steps.iter().chain(paragraph.lines) {
                assert!(all.contains(wordings[0]), "{}", wordings[0]);
            }
        }
    }
}

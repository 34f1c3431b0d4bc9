//! The list of all tools.

use std::sync::LazyLock;

use super::field::{self, CONSISTENCY};
use super::tool::Tool;
use super::{admin, claim, ended, history, kv, lease, run, schedule, session, stats, wait};

/// All tools, grouped by noun.
pub fn all() -> &'static [Tool] {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
        let groups = [
            kv::tools(),
            run::tools(),
            claim::tools(),
            ended::tools(),
            wait::tools(),
            lease::tools(),
            session::tools(),
            schedule::tools(),
            stats::tools(),
            history::tools(),
            admin::tools(),
        ];
        groups.into_iter().flatten().map(with_age).collect()
    });
    &TOOLS
}

/// The tool of this name.
pub fn find(name: &str) -> Option<&'static Tool> {
    all().iter().find(|tool| tool.name == name)
}

/// Adds the age of the state to the results of a tool that may read a local
/// copy of it.
fn with_age(mut tool: Tool) -> Tool {
    if tool.takes.iter().any(|field| field.name == CONSISTENCY) {
        tool.gives.push(field::age());
    }
    tool
}

//! The URI templates, as data: what each is for, and how its variables are completed.

use rmcp::model::ResourceTemplate;

use super::completion::CompletionSource;
use super::lookup::JSON;
use crate::api::mcp::tools::Toolset;

/// One URI template, as clients see it.
pub(in crate::api::mcp) struct Template {
    pub(in crate::api::mcp) uri: &'static str,
    /// The tool that gives the same.
    tool: &'static str,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// Its variables, and where their values come from.
    pub(in crate::api::mcp) variables: &'static [(&'static str, CompletionSource)],
}

/// Every template.
const TEMPLATES: &[Template] = &[
    Template {
        uri: "state://kv/{key}",
        tool: "state_get",
        name: "kv",
        title: "A key",
        description: "The value and the revision of a key.",
        variables: &[("key", CompletionSource::Keys)],
    },
    Template {
        uri: "state://run/{run_id}",
        tool: "workflow_status",
        name: "run",
        title: "A workflow run",
        description: "Where a run is, who works on it, its input, and its result or error.",
        variables: &[("run_id", CompletionSource::RunIds)],
    },
    Template {
        uri: "state://lease/{id}",
        tool: "lease_list",
        name: "lease",
        title: "A lease",
        description: "Who holds a resource, until when, and with which fencing token.",
        variables: &[("id", CompletionSource::Leases)],
    },
    Template {
        uri: "state://session/{id}",
        tool: "session_restore",
        name: "session",
        title: "A session",
        description: "The context that an agent has saved.",
        variables: &[("id", CompletionSource::Sessions)],
    },
    Template {
        uri: "state://history{?key,action,agent_id,n,before_id}",
        tool: "history_log",
        name: "history",
        title: "The history",
        description: "What has changed, newest first: n entries (10 unless given), only those of \
            a key, an action or an agent, and before an entry.",
        variables: &[
            ("key", CompletionSource::Keys),
            ("action", CompletionSource::Actions),
            ("agent_id", CompletionSource::Nothing),
            ("n", CompletionSource::Nothing),
            ("before_id", CompletionSource::Nothing),
        ],
    },
];

/// The templates whose resources a client with these tools can read.
pub(in crate::api::mcp) fn offered(toolset: Toolset) -> impl Iterator<Item = &'static Template> {
    TEMPLATES.iter().filter(move |template| toolset.find(template.tool).is_some())
}

/// The same in the protocol's form.
pub(in crate::api::mcp) fn rmcp_templates(toolset: Toolset) -> Vec<ResourceTemplate> {
    let rmcp_template = |template: &Template| {
        ResourceTemplate::new(template.uri, template.name)
            .with_title(template.title)
            .with_description(template.description)
            .with_mime_type(JSON)
    };
    offered(toolset).map(rmcp_template).collect()
}

#[cfg(test)]
mod tests {
    use super::super::uri::{HISTORY_VARIABLES, ResourceUri};
    use super::*;

    #[test]
    fn each_template_expands_to_a_uri_that_is_understood() {
        for template in TEMPLATES {
            let (start, variables) = template.uri.split_once('{').expect("variables");
            let names: Vec<&str> = template.variables.iter().map(|(name, _)| *name).collect();
            let list = variables.trim_end_matches('}');
            let uri = match list.strip_prefix('?') {
                Some(list) => {
                    assert_eq!(list.split(',').collect::<Vec<_>>(), names, "{}", template.uri);
                    assert_eq!(names, HISTORY_VARIABLES);
                    format!("{start}?{}", names.map_pairs())
                }
                None => {
                    assert_eq!([list], *names, "{}", template.uri);
                    format!("{start}x")
                }
            };
            let parsed = ResourceUri::parse(&uri);
            let parsed = parsed.unwrap_or_else(|why| panic!("{}: {why}", template.uri));
            assert_eq!(parsed.tool(), template.tool, "{}", template.uri);
        }
    }

    trait MapPairs {
        fn map_pairs(&self) -> String;
    }

    impl MapPairs for Vec<&str> {
        fn map_pairs(&self) -> String {
            self.iter().map(|name| format!("{name}=1")).collect::<Vec<_>>().join("&")
        }
    }
}

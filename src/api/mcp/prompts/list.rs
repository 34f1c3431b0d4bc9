//! The table of prompts.

use rmcp::ErrorData;

use super::prompt::{Phrases, Prompt, PromptField};
use crate::api::mcp::resources::CompletionSource;
use crate::api::mcp::tools::{Toolset, shortened};
use crate::nearest::nearest;

const AGENT: PromptField = PromptField {
    name: "agent_id",
    help: "The agent's own name, the same in every call.",
    phrases: Phrases::Required,
    source: CompletionSource::Nothing,
};

/// Every prompt.
const PROMPTS: &[Prompt] = &[
    Prompt {
        name: "worker",
        title: "Work on what others have registered",
        description: "The worker's loop: claim a run, go on where its predecessor stopped, store \
            each step, finish, and take the next.",
        arguments: &[
            AGENT,
            PromptField {
                name: "workflow",
                help: "Only workflows of this name.",
                phrases: Phrases::Optional { given: ", name: {}", left_out: "" },
                source: CompletionSource::RunNames,
            },
        ],
        text: include_str!("worker.md"),
    },
    Prompt {
        name: "orchestrator",
        title: "Divide work among agents",
        description: "The orchestrator's loop: divide a goal into runs that workers claim, follow \
            them, and put the results together.",
        arguments: &[
            AGENT,
            PromptField {
                name: "goal",
                help: "What is to be achieved.",
                phrases: Phrases::Required,
                source: CompletionSource::Nothing,
            },
            PromptField {
                name: "workflow",
                help: "The name that the parts get, by which workers find them.",
                phrases: Phrases::Optional {
                    given: "Name every part {}.",
                    left_out: "Choose one short name for all parts of one kind.",
                },
                source: CompletionSource::RunNames,
            },
        ],
        text: include_str!("orchestrator.md"),
    },
    Prompt {
        name: "resume",
        title: "Go on after a crash",
        description: "Find out what you were doing before a crash, a restart or a full context \
            window, and go on without doing anything twice.",
        arguments: &[
            AGENT,
            PromptField {
                name: "session_id",
                help: "The session that was saved before; the agent's name if left out.",
                phrases: Phrases::Optional {
                    given: "session_restore(session_id: {})",
                    left_out: "session_restore(session_id: your own name); if nothing is found \
                        there, session_list shows what has been saved",
                },
                source: CompletionSource::Sessions,
            },
            PromptField {
                name: "run_id",
                help: "The run that was being worked on.",
                phrases: Phrases::Optional {
                    given: "The run is {}.",
                    left_out: "The session's context names your run. If it does not: \
                        workflow_discover(status: \"running\") and workflow_discover(status: \
                        \"claimed\") list the runs under way with the agent of each; yours has \
                        your name.",
                },
                source: CompletionSource::RunIds,
            },
        ],
        text: include_str!("resume.md"),
    },
    Prompt {
        name: "handover",
        title: "Hand over to another agent",
        description: "Stop so that a successor goes on at once, and loses nothing.",
        arguments: &[
            AGENT,
            PromptField {
                name: "session_id",
                help: "Under which name the context is saved; the agent's name if left out.",
                phrases: Phrases::Optional { given: "{}", left_out: "your own name" },
                source: CompletionSource::Sessions,
            },
            PromptField {
                name: "run_id",
                help: "The run that is being worked on.",
                phrases: Phrases::Optional {
                    given: "You hold the run {}.",
                    left_out: "If you hold a run, you have its run_id and its claim_token from \
                        claiming it.",
                },
                source: CompletionSource::RunIds,
            },
        ],
        text: include_str!("handover.md"),
    },
];

/// The prompts that an agent with these tools can follow.
pub(in crate::api::mcp) fn offered(toolset: Toolset) -> impl Iterator<Item = &'static Prompt> {
    PROMPTS.iter().filter(move |prompt| prompt.fits(toolset))
}

/// The prompt of this name, if it is offered.
pub(in crate::api::mcp) fn find(
    name: &str,
    toolset: Toolset,
) -> Result<&'static Prompt, ErrorData> {
    if let Some(prompt) = PROMPTS.iter().find(|prompt| prompt.name == name) {
        return match prompt.missing_tool(toolset) {
            None => Ok(prompt),
            Some(tool) => {
                let why = format!("prompt '{name}' needs {tool}, which is not offered here");
                Err(ErrorData::invalid_params(why, None))
            }
        };
    }
    let names: Vec<&str> = offered(toolset).map(|prompt| prompt.name).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None if names.is_empty() => "there are none for the tools offered here".into(),
        None => format!("there are {}", names.join(", ")),
    };
    Err(ErrorData::invalid_params(format!("Unknown prompt: '{}'; {hint}", shortened(name)), None))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::api::mcp::tools;

    fn text(prompt: &Prompt, given: Map<String, Value>) -> String {
        let result = prompt.get(given).expect(prompt.name);
        serde_json::to_value(&result.messages[0]).unwrap()["content"]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn every_place_is_filled_in_whatever_is_given() {
        for prompt in PROMPTS {
            let value = |field: &PromptField| (field.name.into(), "{agent_id} \"x\"\n".into());
            let all = prompt.arguments.iter().map(value).collect();
            let required =
                prompt.arguments.iter().filter(|field| {
                    prompt.rmcp_prompt().arguments.unwrap().iter().any(|argument| {
                        argument.name == field.name && argument.required == Some(true)
                    })
                });
            for (given, is_quoted) in [(all, true), (required.map(value).collect(), false)] {
                let text = text(prompt, given);
                for field in prompt.arguments {
                    for place in [format!("{{{}}}", field.name), format!("{{{}?}}", field.name)] {
                        assert!(!text.contains(&place), "{}: {place} in {text}", prompt.name);
                    }
                }
                assert!(!is_quoted || text.contains(r#"\"x\"\n""#), "{text}");
            }
        }
    }

    /// The named toolsets with which a client is offered the prompt.
    fn offering(prompt: &'static Prompt) -> Vec<Toolset> {
        let sets = ["default", "all", "reference", "worker", "orchestrator"];
        let sets = sets.map(|name| name.parse::<Toolset>().unwrap());
        sets.into_iter().filter(|set| offered(*set).any(|one| one.name == prompt.name)).collect()
    }

    #[test]
    fn each_toolset_has_the_prompts_of_its_work() {
        let names = |set: &str| -> Vec<&str> {
            offered(set.parse().unwrap()).map(|prompt| prompt.name).collect()
        };
        assert_eq!(names("default"), ["worker", "orchestrator", "resume", "handover"]);
        assert_eq!(names("worker"), ["worker", "handover"]);
        assert_eq!(names("orchestrator"), ["orchestrator"]);
        assert_eq!(names("state_get"), [""; 0]);
        let why = find("orchestrator", "worker".parse().unwrap()).err().unwrap().message;
        assert!(why.contains("needs workflow_create"), "{why}");
    }

    #[test]
    fn each_call_in_a_text_is_one_that_the_tools_take() {
        let mut calls = 0;
        for prompt in PROMPTS {
            let value = |field: &PromptField| (field.name.into(), "v".into());
            let text = text(prompt, prompt.arguments.iter().map(value).collect());
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            for (at, _) in text.match_indices('(') {
                let start = text[..at].rfind(|c| !is_name(c)).map_or(0, |end| end + 1);
                let name = &text[start..at];
                if !name.contains('_') {
                    continue;
                }
                let tool = tools::find(name).unwrap_or_else(|| panic!("{}: {name}", prompt.name));
                for toolset in offering(prompt) {
                    assert!(toolset.find(name).is_some(), "{}: {name}: {toolset}", prompt.name);
                }
                let end = text[at..].find(')').map_or(text.len(), |end| at + end);
                let parts = text[at + 1..end].split(", ").filter_map(|part| part.split_once(": "));
                // The members of an object stand in quotes.
                for (argument, _) in parts.filter(|(name, _)| !name.starts_with('"')) {
                    let known = tool.takes.iter().any(|field| field.name == argument);
                    assert!(known, "{}: {name} takes no {argument}", prompt.name);
                }
                calls += 1;
            }
        }
        assert!(calls > 20, "only {calls} calls were found");
    }
}

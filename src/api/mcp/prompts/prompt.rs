//! What a prompt is, and filling in its arguments.

use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, Prompt as RmcpPrompt, PromptArgument, PromptMessage, Role};
use serde_json::{Map, Value};

use crate::api::mcp::resources::CompletionSource;
use crate::api::mcp::tools::{Toolset, push_string, shortened};
use crate::nearest::nearest;

/// The longest argument, in bytes: the longest name that a tool takes.
const ARGUMENT_BYTES_MAX: usize = 4096;

/// One prompt, as clients see it, and its text.
pub(in crate::api::mcp) struct Prompt {
    pub(in crate::api::mcp) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(in crate::api::mcp) arguments: &'static [PromptField],
    /// `{name}` stands for the argument as a JSON string. `{name?}` stands for what the
    /// argument's field says about it.
    pub(super) text: &'static str,
}

/// One argument of a prompt.
pub(in crate::api::mcp) struct PromptField {
    pub(in crate::api::mcp) name: &'static str,
    pub(super) help: &'static str,
    /// What `{name?}` stands for. An argument that may be left out has both texts.
    pub(super) phrases: Phrases,
    /// Where values for it come from.
    pub(in crate::api::mcp) source: CompletionSource,
}

/// What a prompt says about an argument.
pub(super) enum Phrases {
    Required,
    Optional {
        /// `{}` stands for the argument as a JSON string.
        given: &'static str,
        left_out: &'static str,
    },
}

impl Prompt {
    /// Whether these tools are all that the agent is told to call.
    pub(super) fn fits(&self, toolset: Toolset) -> bool {
        self.missing_tool(toolset).is_none()
    }

    /// A tool that the agent is told to call and that is not among these.
    pub(super) fn missing_tool(&self, toolset: Toolset) -> Option<&'static str> {
        let phrases = self.arguments.iter().flat_map(|field| match field.phrases {
            Phrases::Required => [""; 2],
            Phrases::Optional { given, left_out } => [given, left_out],
        });
        std::iter::once(self.text).chain(phrases).find_map(|text| toolset.lacks_of(text))
    }

    /// The prompt in the protocol's form.
    pub(in crate::api::mcp) fn rmcp_prompt(&self) -> RmcpPrompt {
        let argument = |field: &PromptField| {
            PromptArgument::new(field.name)
                .with_description(field.help)
                .with_required(field.is_required())
        };
        let arguments = self.arguments.iter().map(argument).collect();
        RmcpPrompt::new(self.name, Some(self.description), Some(arguments)).with_title(self.title)
    }

    /// The message, with the arguments filled in.
    pub(in crate::api::mcp) fn get(
        &self,
        mut given: Map<String, Value>,
    ) -> Result<GetPromptResult, ErrorData> {
        let mut text = self.text.trim_end().to_owned();
        for field in self.arguments {
            let value = match given.remove(field.name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) if text.is_empty() => None,
                Some(Value::String(text)) if text.len() <= ARGUMENT_BYTES_MAX => Some(text),
                Some(Value::String(_)) => {
                    let why = format!("takes up to {ARGUMENT_BYTES_MAX} bytes");
                    return Err(self.wrong(field.name, &why));
                }
                Some(_) => return Err(self.wrong(field.name, "must be a string")),
            };
            text = field.fill_in(&text, value.as_deref()).ok_or_else(|| self.missing(field))?;
        }
        if let Some((unknown, _)) = given.iter().next() {
            return Err(self.unknown(unknown));
        }
        let message = PromptMessage::new_text(Role::User, text);
        Ok(GetPromptResult::new(vec![message]).with_description(self.description))
    }

    fn wrong(&self, argument: &str, why: &str) -> ErrorData {
        ErrorData::invalid_params(format!("prompt '{}': {argument} {why}", self.name), None)
    }

    fn missing(&self, field: &PromptField) -> ErrorData {
        self.wrong(field.name, &format!("is required: {}", field.help))
    }

    /// An error about an argument that the prompt does not have.
    pub(in crate::api::mcp) fn unknown(&self, argument: &str) -> ErrorData {
        let names = self.arguments.iter().map(|field| field.name);
        let hint = match nearest(argument, names.clone()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("it takes {}", names.collect::<Vec<_>>().join(", ")),
        };
        let (name, argument) = (self.name, shortened(argument));
        ErrorData::invalid_params(
            format!("prompt '{name}' has no argument '{argument}'; {hint}"),
            None,
        )
    }
}

impl PromptField {
    fn is_required(&self) -> bool {
        match self.phrases {
            Phrases::Required => true,
            Phrases::Optional { .. } => false,
        }
    }

    /// `None` if a required argument is missing.
    fn fill_in(&self, text: &str, value: Option<&str>) -> Option<String> {
        let quoted = value.map(|value| {
            let mut quoted = String::new();
            push_string(&mut quoted, value);
            // A value must not look like the place of the next argument.
            quoted.replace('{', "\\u007b")
        });
        let (place, phrase_place) = (format!("{{{}}}", self.name), format!("{{{}?}}", self.name));
        Some(match (&self.phrases, quoted) {
            (Phrases::Required, quoted) => text.replace(&place, &quoted?),
            (Phrases::Optional { given, .. }, Some(quoted)) => {
                text.replace(&phrase_place, &given.replace("{}", &quoted)).replace(&place, &quoted)
            }
            (Phrases::Optional { left_out, .. }, None) => text.replace(&phrase_place, left_out),
        })
    }
}

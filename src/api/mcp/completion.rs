//! What a completion is about: a variable of a URI template, or an argument of a prompt.

use rmcp::ErrorData;
use rmcp::model::Reference;

use super::prompts::{self, PROMPTS};
use super::resources::{CompletionSource, TEMPLATES};
use super::tools::shortened;
use crate::nearest::nearest;

/// Where the values of the argument come from.
pub(super) fn source(reference: &Reference, argument: &str) -> Result<CompletionSource, ErrorData> {
    match reference {
        Reference::Prompt(about) => {
            let prompt = prompts::find(&about.name).ok_or_else(|| unknown_prompt(&about.name))?;
            let field = prompt.arguments.iter().find(|field| field.name == argument);
            field.map(|field| field.source).ok_or_else(|| prompt.unknown(argument))
        }
        Reference::Resource(about) => {
            let template = TEMPLATES.iter().find(|template| template.uri == about.uri);
            let template = template.ok_or_else(|| unknown_template(&about.uri))?;
            let found = template.variables.iter().find(|(name, _)| *name == argument);
            found.map(|(_, source)| *source).ok_or_else(|| {
                let (uri, argument) = (template.uri, shortened(argument));
                let names: Vec<&str> = template.variables.iter().map(|(name, _)| *name).collect();
                let why = format!("{uri} has no '{argument}'; it takes {}", names.join(", "));
                ErrorData::invalid_params(why, None)
            })
        }
        _ => Err(ErrorData::invalid_params("ref must be a ref/prompt or a ref/resource", None)),
    }
}

/// The error for a prompt that does not exist.
pub(super) fn unknown_prompt(name: &str) -> ErrorData {
    let names = PROMPTS.iter().map(|prompt| prompt.name);
    let hint = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
    };
    ErrorData::invalid_params(format!("Unknown prompt: '{}'; {hint}", shortened(name)), None)
}

fn unknown_template(uri: &str) -> ErrorData {
    let uris: Vec<&str> = TEMPLATES.iter().map(|template| template.uri).collect();
    let uri = shortened(uri);
    let why = format!("Unknown URI template: '{uri}'; there are {}", uris.join(", "));
    ErrorData::invalid_params(why, None)
}

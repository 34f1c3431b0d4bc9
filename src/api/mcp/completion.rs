//! What a completion is about: a variable of a URI template, or an argument of a prompt.

use rmcp::ErrorData;
use rmcp::model::Reference;

use super::prompts;
use super::resources::{CompletionSource, offered_templates};
use super::tools::{Toolset, shortened};

/// Where the values of the argument come from.
pub(super) fn source(
    reference: &Reference,
    argument: &str,
    toolset: Toolset,
) -> Result<CompletionSource, ErrorData> {
    match reference {
        Reference::Prompt(about) => {
            let prompt = prompts::find(&about.name, toolset)?;
            let field = prompt.arguments.iter().find(|field| field.name == argument);
            field.map(|field| field.source).ok_or_else(|| prompt.unknown(argument))
        }
        Reference::Resource(about) => {
            let template = offered_templates(toolset).find(|template| template.uri == about.uri);
            let template = template.ok_or_else(|| unknown_template(&about.uri, toolset))?;
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

fn unknown_template(uri: &str, toolset: Toolset) -> ErrorData {
    let uris: Vec<&str> = offered_templates(toolset).map(|template| template.uri).collect();
    let uri = shortened(uri);
    let why = format!("Unknown URI template: '{uri}'; there are {}", uris.join(", "));
    ErrorData::invalid_params(why, None)
}

//! Resources: the same state as the tools show, by URI. They are read, listed and
//! completed by calling the tools, so both say the same and obey the same rules; a client
//! that may not call a tool is offered nothing that the tool would give.
//!
//! Read in this order:
//!
//! | File | Holds |
//! |---|---|
//! | `uri` | [`ResourceUri`]: the URI of a resource, written and read |
//! | `templates` | the table of URI templates and their variables |
//! | `lookup` | calling a tool and reading what it gave |
//! | `read` | the contents of one resource |
//! | `list` | what there is, page by page |
//! | `completion` | values for the variables of templates and the arguments of prompts |

mod completion;
mod list;
mod lookup;
mod read;
mod templates;
mod uri;

pub(super) use completion::{CompletionSource, complete};
pub(super) use list::list;
pub(super) use lookup::ResourceReader;
pub(super) use read::read;
pub(super) use templates::{offered as offered_templates, rmcp_templates};
pub(super) use uri::ResourceUri;

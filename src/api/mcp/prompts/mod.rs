//! Prompts: what an agent is told to do, for the work that this server is for. A prompt
//! is a row of a table and a text with places for its arguments.
//!
//! Read in this order:
//!
//! | File | Holds |
//! |---|---|
//! | `prompt` | what a [`Prompt`] is, and filling in its arguments |
//! | `list` | the table of prompts, and finding one by its name |
//! | `worker.md`, `orchestrator.md`, `resume.md`, `handover.md` | the texts |

mod list;
mod prompt;

pub(super) use list::{find, offered};
pub(super) use prompt::Prompt;

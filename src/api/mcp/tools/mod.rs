//! The tools: what each takes, gives and does, free of any protocol. The rmcp
//! handler, the fast path and the story runner all call [`call`].
//!
//! Read in this order:
//!
//! | File | Holds |
//! |---|---|
//! | `tool` | what a [`Tool`] is, and [`call`] |
//! | `field` | [`Field`]: one argument or result, with its schema and its help |
//! | `arguments` | converting the JSON of the arguments |
//! | `call` | one call on its way to the service |
//! | `result`, `json_object`, `page` | what a call gives, and how much of a list |
//! | `kv`, `run`, `claim`, `ended`, `wait`, `lease`, `session`, `schedule`, `stats`, `history`, `admin` | the tools, one file for each noun or verb |
//! | `list` | all tools, and finding one by its name |
//! | `toolset` | which of the tools a client is offered |
//!
//! A tool is a table of fields and a function. The table gives the schemas that
//! clients see, the refusal of unknown and missing arguments, and the names
//! that errors use, so these cannot disagree. The function builds a command or
//! a question. It is written by hand: a derive from the machine's types would
//! hide that the two differ on purpose, in units, in defaults and in names that
//! agents understand.

mod admin;
mod approval;
mod arguments;
mod call;
mod claim;
mod ended;
mod field;
mod history;
mod json_object;
mod kv;
mod lease;
mod list;
mod page;
mod result;
mod run;
mod schedule;
mod session;
mod stats;
mod tool;
mod toolset;
mod wait;

pub(super) use arguments::shortened;
pub(super) use claim::DECIDE;
pub use field::Field;
pub(super) use json_object::push_string;
pub use list::{all, find};
pub use result::ToolResult;
pub use tool::{Tool, ToolAccess, call};
pub use toolset::{HEADER as TOOLSET_HEADER, NotOffered, Toolset, UnknownTools};
pub(super) use wait::{AwaitedRuns, WAIT};

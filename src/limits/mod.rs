//! Limits: what an argument may be. Every command and every question is
//! checked here once, below all protocols, when the service admits it. Only
//! what can be judged without looking at the state is judged here; the rest is
//! up to the rules.
//!
//! Read in this order:
//!
//! | File | Holds |
//! |---|---|
//! | `bounds` | the bounds themselves, and [`Limits`], those that an operator may set |
//! | `error` | [`ArgumentError`]: which argument is wrong, and why |
//! | `value` | the checks of single values: names, numbers, JSON |
//! | `command` | the arguments of each command |
//! | `question` | the arguments of each question |
//!
//! A protocol converts types and fills in defaults, and nothing else: it
//! refuses an argument that is missing or that its types cannot hold. An
//! [`ArgumentError`] names the argument as `proto/state.proto` does, so a
//! protocol whose names or units differ can translate it.
//!
//! The checks are plain functions rather than a derive or a table. The bound
//! of a field depends on its meaning and not on its type, so a table would
//! repeat every field of every command with one more notation to learn, while
//! `command` reads like the list that it is, and the compiler refuses to build
//! it when a command is missing.

mod bounds;
mod command;
mod error;
mod question;
mod value;

pub use bounds::*;
pub use command::check_names;
pub use error::{ArgumentError, ArgumentErrorKind};
pub use question::{check_filter, check_question};
pub use value::depth;

//! The machine: every rule of the service as pure functions, written once.
//!
//! `decide` takes an ordered command and a [`view::View`] of the state and
//! returns what to answer and what to change; `answer` reads. Nothing in
//! here does I/O, reads a clock, draws a random number, awaits, or lets the
//! order of a hash table show, so two replicas that decide the same commands
//! in the same order hold the same bytes.

pub mod answer;
pub mod change;
pub mod command;
mod command_kind;
pub mod decide;
pub(crate) mod describe;
pub(crate) mod draft;
pub mod event;
pub mod footprint;
pub mod index;
pub mod invariant;
pub mod lookup;
pub mod query;
pub(crate) mod remembered;
pub mod reply;
pub mod row;
mod rules;
pub mod size;
pub mod value;
pub mod view;

pub use answer::{answer, answer_history};
pub use change::{Change, Decision};
pub use command::{Command, Envelope, Rules};
pub use command_kind::CommandKind;
pub use decide::decide;
pub use event::{Action, Chain, Event};
pub use footprint::{Footprint, footprint};
pub use query::{Answer, Question};
pub use reply::{Refusal, RefusalCode, Reply};
pub use row::{Meta, Row, RowId};
pub use value::{ClusterMs, Json, Revision, Text, WallMs};
pub use view::{HistoryView, View};

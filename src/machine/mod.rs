//! The machine: every rule of the service as pure functions, written once.
//!
//! `decide` takes an ordered command and a [`view::View`] of the state and
//! returns what to answer and what to change; `answer` reads. Nothing in
//! here does I/O, reads a clock, draws a random number, awaits, or lets the
//! order of a hash table show, so two replicas that decide the same commands
//! in the same order hold the same bytes. The machine imports no other module.
//!
//! In reading order:
//!
//! | files | hold |
//! |---|---|
//! | `value`, `timetable`, `command`, `reply`, `query` | what callers say and are told |
//! | `status`, `stored_steps`, `run_group`, `row`, `row_id`, `group_counts`, `meta`, `size` | what a state consists of |
//! | `event`, `subject`, `describe` | the history |
//! | `filter`, `page`, `entry`, `index`, `search`, `view` | how a state is read |
//! | `passing` | what time does to a run |
//! | `lookup`, `answer` | reads |
//! | `change`, `draft`, `rules`, `remembered`, `decide` | writes |
//! | `footprint` | what a command or a question reads first |
//! | `invariant` | what always holds, for tests |
//! | `hex`, `random` | hexadecimal digits, SplitMix64 |

pub mod answer;
pub mod change;
pub mod command;
mod command_kind;
pub mod decide;
pub mod dependency_failure;
pub(crate) mod describe;
pub(crate) mod draft;
pub mod entry;
pub mod event;
pub mod filter;
pub mod footprint;
pub mod group_counts;
pub mod hex;
pub mod index;
pub mod invariant;
pub mod lookup;
pub mod meta;
pub mod page;
pub mod passing;
pub mod query;
pub mod random;
pub(crate) mod remembered;
pub mod reply;
pub mod row;
pub mod row_id;
mod rules;
pub mod run_group;
pub mod search;
pub mod size;
pub mod status;
pub mod stored_steps;
pub(crate) mod subject;
pub mod timetable;
pub mod value;
pub mod view;

pub use answer::{answer, answer_history};
pub use change::{Change, Decision};
pub use command::{Command, Envelope, Rules};
pub use command_kind::CommandKind;
pub use decide::decide;
pub use event::{Action, Chain, Event};
pub use footprint::{Footprint, footprint};
pub use meta::Meta;
pub use query::{Answer, Question};
pub use reply::{Refusal, RefusalCode, Reply};
pub use row::Row;
pub use row_id::RowId;
pub use value::{ClusterMs, Json, Revision, Text, WallMs};
pub use view::{HistoryView, View};

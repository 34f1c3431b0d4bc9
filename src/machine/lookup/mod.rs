//! Look-ups: what rules and questions find, as code over rows and searches. Each
//! is written once, for all stores, and looks at a bounded number of rows.
//!
//! Reading order:
//!
//! | file | looks up |
//! |---|---|
//! | `stored` | single rows, and the rows that a search finds, as they are stored |
//! | `cancelled` | runs as everybody sees them: cancelled where an ancestor is |
//! | `claim` | the best run to claim |
//! | `list` | pages of runs, names and steps |
//! | `due` | what the passing of time calls for, and counts |

mod cancelled;
mod claim;
mod due;
mod list;
mod stored;

pub use cancelled::{CancelledTrees, DEPTH_MAX, cancellation, children, dependents, run};
pub use claim::{DUE_MAX, candidate, due_runs};
pub use due::{
    Due, DueSchedule, UNCOUNTED_MAX, counts, due, due_rows, next_deadline, oldest_request,
};
pub use list::{names, runs, steps};
pub use stored::{group, key, lease, schedule, session, stored_run};

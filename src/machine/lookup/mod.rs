//! Look-ups: what rules and questions find, as code over rows and searches. Each
//! is written once, for all stores, and looks at a bounded number of rows.
//!
//! Reading order:
//!
//! | file | looks up |
//! |---|---|
//! | `stored` | single rows, and the rows that a search finds, as they are stored |
//! | `cancelled` | runs as everybody sees them: cancelled where an ancestor is |
//! | `concurrency` | whether a run's concurrency key has room for it |
//! | `pauses` | names whose runs are paused, and where a claim looks for runs |
//! | `claim` | the best run to claim |
//! | `sharing` | who holds a unique key, and the place of a run with a fair key |
//! | `list` | pages of runs, names and steps |
//! | `due` | what the passing of time calls for, and counts |

mod cancelled;
mod claim;
mod concurrency;
mod due;
mod list;
mod pauses;
mod sharing;
mod stored;

pub use cancelled::{CancelledTrees, DEPTH_MAX, cancellation, children, dependents, run};
pub use claim::{candidate, due_runs};
pub use concurrency::lapsed_of_key;
pub use due::{
    Due, DueSchedule, UNCOUNTED_MAX, counts, due, due_rows, next_deadline, oldest_request,
};
pub use list::{names, runs, steps};
pub use pauses::{OpenSearch, PAUSES_MAX, pause, pauses};
pub use sharing::{HOLDERS_MAX, fair_place, unique_holders};
pub use stored::{DUE_MAX, key, lease, schedule, session, stored_run};

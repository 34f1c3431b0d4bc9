//! The conversion: the same data at the same moment always gives the same state.
//!
//! | file | holds |
//! |---|---|
//! | `facts` | what must have happened, put in order and then written down event by event |
//! | `run` | the shortest story that leads to a run as it was found |
//! | `builder` | the rows and the history, counted and chained while they grow |

mod builder;
mod facts;
mod run;

pub use facts::convert;

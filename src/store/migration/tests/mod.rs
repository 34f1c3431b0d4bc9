//! What every conversion must preserve.
//!
//! | file | holds |
//! |---|---|
//! | `examples` | the data that the tests are made of |
//! | `properties` | checks of any conversion: nothing is lost, the state is valid, and the history explains it |
//! | `cases` | data as the reference leaves it, and unusual data |
//! | `random` | random data |

mod cases;
mod examples;
mod properties;
mod random;

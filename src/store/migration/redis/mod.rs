//! The reference's data in a Redis.
//!
//! | file | holds |
//! |---|---|
//! | `items` | what the reference stores under one key |
//! | `scan` | finding and reading its keys (`read.lua`) |
//! | `migrate` | the conversion when the Redis store is opened |

mod items;
pub(in crate::store) mod migrate;
mod scan;
#[cfg(test)]
mod tests;

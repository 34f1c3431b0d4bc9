//! The reference's data in a Redis.
//!
//! | file | holds |
//! |---|---|
//! | `items` | what the reference stores under one key |
//! | `scan` | finding its keys in a Redis |
//! | `move_in` | converting them when the store is opened |

pub mod items;
pub(in crate::store) mod move_in;
pub(in crate::store) mod scan;

//! The checker: did what clients saw happen in some one order, each call at an
//! instant between its beginning and its end? Used on simulated nodes and on
//! real processes alike; times are microseconds of whatever clock they share.
//!
//! - [`search`] looks for such an order, one key, run or resource at a time.
//! - [`key`] and [`hold`] say what a key, and what a lease or a claim, may do.
//! - [`events`] holds the clients' answers against the cluster's own history, and [`runs`]
//!   what runs were asked to be.
//!
//! A call without an outcome may have happened once, at any time after it began,
//! or never. Values that are written are unique, or stale reads would not show.

pub mod events;
pub mod hold;
pub mod key;
pub mod runs;
pub mod search;

pub use search::{Operation, Violation, check};

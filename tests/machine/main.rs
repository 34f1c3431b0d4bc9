//! The machine by itself: every rule as a story, and thousands of random
//! commands after each of which all invariants are checked, the number of rows
//! and entries that it looks at is bounded, and the tables are compared with a plain scan.

mod allocated;
mod approvals;
mod attempts;
mod batches;
mod claims;
mod commands;
mod concurrency;
mod counted;
mod crowds;
mod dependencies;
mod fleet;
mod footprints;
mod history;
mod invariants;
mod keys;
mod leases;
mod naive;
mod odd;
mod pauses;
mod quota;
mod random;
mod remembered;
mod rng;
mod runs;
mod schedules;
mod stats;
mod steps;
mod tables;
mod tokens;
mod world;

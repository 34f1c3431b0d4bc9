//! The machine by itself: every rule as a story, and thousands of random
//! commands after each of which all invariants are checked, the number of rows
//! and entries that it looks at is bounded, and the tables are compared with a plain scan.

#[path = "machine/allocated.rs"]
mod allocated;
#[path = "machine/claims.rs"]
mod claims;
#[path = "machine/commands.rs"]
mod commands;
#[path = "machine/counted.rs"]
mod counted;
#[path = "machine/crowds.rs"]
mod crowds;
#[path = "machine/fleet.rs"]
mod fleet;
#[path = "machine/footprints.rs"]
mod footprints;
#[path = "machine/history.rs"]
mod history;
#[path = "machine/invariants.rs"]
mod invariants;
#[path = "machine/keys.rs"]
mod keys;
#[path = "machine/leases.rs"]
mod leases;
#[path = "machine/naive.rs"]
mod naive;
#[path = "machine/odd.rs"]
mod odd;
#[path = "machine/quota.rs"]
mod quota;
#[path = "machine/random.rs"]
mod random;
#[path = "machine/remembered.rs"]
mod remembered;
#[path = "machine/rng.rs"]
mod rng;
#[path = "machine/runs.rs"]
mod runs;
#[path = "machine/steps.rs"]
mod steps;
#[path = "machine/tables.rs"]
mod tables;
#[path = "machine/tokens.rs"]
mod tokens;
#[path = "machine/world.rs"]
mod world;

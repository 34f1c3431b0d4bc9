//! The Redis store and what may happen to its Redis: it dies under load and
//! comes back, freezes, fills up, is demoted, forgets its scripts; and which
//! servers are refused at the start. Each test has a server of its own.

mod brought_up;
mod clock;
mod common;
mod cut;
mod exported;
mod foreign;
mod gone;
mod heavy;
mod load;
mod moved_in;
mod noticed;
mod odd;
mod reached;
mod refused;
mod restarted;
mod taken_in;
mod trips;

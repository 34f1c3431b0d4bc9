//! The Redis store and what may happen to its Redis: it dies under load and comes back,
//! freezes, fills up, is demoted, or forgets its scripts; and which servers are refused
//! when the store opens. Each test has a server of its own.

mod addresses;
mod clock;
mod common;
mod export;
mod export_reconnect;
mod foreign;
mod import;
mod interference;
mod large;
mod load;
mod migration;
mod notification;
mod refused;
mod restarted;
mod round_trips;
mod unavailable;
mod upgrade;

//! A majority that is lost for good: one survivor's folder becomes a SQLite
//! file, and that a new cluster; with real processes, and with what may go
//! wrong on the way.

mod attacks;
#[allow(dead_code, reason = "chaos uses more of it")]
#[path = "../chaos/client.rs"]
mod client;
mod corrupt;
mod earlier;
mod exports;
mod programs;
#[path = "../support/recorded.rs"]
mod recorded;
mod runbook;
mod seeds;
mod survivor;

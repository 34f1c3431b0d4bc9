//! A majority that is lost for good: one survivor's folder becomes a SQLite
//! file, and that a new cluster; with real processes, and with what may go
//! wrong on the way.

mod attacks;
mod corrupt;
mod earlier;
mod exports;
mod programs;
mod runbook;
mod seeds;
mod survivor;

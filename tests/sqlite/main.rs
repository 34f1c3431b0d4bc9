//! The SQLite store in several processes: what survives a kill, what processes
//! that share a file see of one another, and which files are refused.

mod batch;
mod child;
mod common;
mod crash;
mod files;
mod full;
mod load;
mod migration;
mod processes;
mod upgrade;

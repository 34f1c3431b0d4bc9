//! The SQLite store as processes meet it: what survives a kill, what several
//! processes on one file see of one another, which files are refused.

mod batch;
mod brought_up;
mod child;
mod common;
mod crash;
mod files;
mod full;
mod load;
mod moving_in;
mod processes;

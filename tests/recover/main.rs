//! Recovery after a majority is lost for good: the folder of a survivor becomes a
//! SQLite file, and this a new cluster. The tests run real processes, and attack
//! each step.

mod attacks;
mod corrupt;
mod earlier;
mod exports;
mod programs;
mod runbook;
mod seeds;
mod survivor;

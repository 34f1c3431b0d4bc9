//! The log on a healthy disk and on a damaged one: openraft's suite, a killed
//! process, torn records, flipped bits, lost files.

mod support;

#[path = "storage/damage.rs"]
mod damage;
#[path = "storage/files.rs"]
mod files;
#[path = "storage/kill.rs"]
mod kill;
#[path = "storage/reads.rs"]
mod reads;
#[path = "storage/suite.rs"]
mod suite;
#[path = "storage/torn.rs"]
mod torn;

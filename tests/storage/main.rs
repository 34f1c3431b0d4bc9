//! The log on a healthy disk and on a damaged one: openraft's suite, a killed
//! process, torn records, flipped bits, lost files.

mod damage;
mod files;
mod kill;
mod reads;
mod suite;
mod torn;

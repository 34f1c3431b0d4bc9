//! The checker itself: that it passes what a correct system does, and fails on
//! each kind of fault that it is there for.

#[path = "../check/mod.rs"]
mod check;
mod drawn;
mod faults;

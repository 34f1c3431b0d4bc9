//! The checker itself: that it passes what a correct system does, and fails on
//! each kind of fault that it is there for.

mod drawn;
mod faults;
mod runs;

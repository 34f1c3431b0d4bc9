//! Members of a running cluster: added, removed, replaced, under load, and
//! every change that would do harm refused.

mod change;
mod expelled;
mod load;
mod refused;

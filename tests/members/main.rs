//! Members of a running cluster are added, removed and replaced under load, and
//! every harmful change is refused.

mod change;
mod expelled;
mod load;
mod refused;

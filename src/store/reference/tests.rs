//! What a conversion gives.

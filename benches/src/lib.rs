//! What the benches and the load driver share: the mix of signals that the budgets speak of, and requests of a size.

pub mod mix;

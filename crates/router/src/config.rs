//! The v0.3 document as written: typed sections, every key known.

pub mod decisions;
pub mod projections;
pub mod signals;

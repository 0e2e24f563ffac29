//! Adapters of the router's ports on real databases. What is kept there outlives a process and is
//! shared by replicas.
//!
//! A store that is away never stops a request: every access has a time limit, and after a failure
//! the store is left alone for a moment, so that not every request waits for it. Callers get an
//! error, go on with what they know, and say so.

pub mod records;
pub mod redis;
pub mod shared;

mod connection;
mod tls;

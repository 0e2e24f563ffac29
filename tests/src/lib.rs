//! The harness of the suites: real Envoy, Merit and sample model backends as children on free
//! loopback ports, and a client that sees what real clients see (trailers, event timing, cut
//! connections).

pub mod browser;
pub mod client;
pub mod envoy;
pub mod gateway;
pub mod listener;
pub mod merit;
pub mod policy;
pub mod ports;
pub mod process;
pub mod prompt;
pub mod python;
pub mod redis;
pub mod skipped;
pub mod standin;
pub mod upstream;

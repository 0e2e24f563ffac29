//! The suite on a real Envoy: what the protocol promises is proved with the proxy itself, sample
//! backends and real clients.
//!
//! Needs Envoy (`cargo xtask setup`) and the `merit` binary (`cargo build -p server`); see
//! [`tests::envoy::binary`] and [`tests::merit::binary`]. Each test starts its own processes on
//! free ports, so all may run at once.

mod load;
mod stage;

mod attach;
mod bodies;
mod boundaries;
mod chain;
mod clients;
mod config_map;
mod early_end;
mod endpoints;
mod escalation;
mod failure;
mod fallback;
mod gateway_shaped;
mod headers;
mod modes;
mod pool;
mod reload;
mod replicas;
mod responses;
mod sdk;
mod sessions;
mod streaming;
mod translation;

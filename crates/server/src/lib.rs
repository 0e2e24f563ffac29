//! The process around the router: listeners, reload, shutdown, admin API, telemetry and the `merit`
//! command.
//!
//! In reading order: [`app`] builds everything and runs it; [`engine`] is where the routing domain
//! plugs in; the other modules know nothing of routing.

pub mod admin;
pub mod app;
pub mod check;
pub mod cli;
pub mod engine;
mod exchange;
pub mod explain;
pub mod export;
pub mod health;
pub mod http_listener;
pub mod listener;
mod looper;
pub mod metrics;
pub mod migrate;
pub mod models;
pub mod newest;
pub mod output;
pub mod paced;
mod pools;
pub mod probe;
pub mod probes;
mod recording;
pub mod reload;
mod remote;
mod scrape;
mod shared;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod train;
pub mod trust;

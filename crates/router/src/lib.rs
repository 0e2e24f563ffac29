//! The domain: document, signals, projections, decisions, selection, plugins, plan. Knows neither Envoy nor ONNX nor a
//! database.

pub mod config;
pub mod decision;
pub mod declared;
pub mod explain;
pub mod projection;
pub mod report;
pub mod selection;
pub mod signals;
pub mod used;

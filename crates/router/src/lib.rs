//! The domain: document, signals, projections, decisions, selection, plugins, plan. Knows neither Envoy nor ONNX nor a
//! database.

pub mod config;
pub mod report;
pub mod signals;

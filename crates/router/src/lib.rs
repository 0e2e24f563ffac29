//! The domain: document, signals, projections, decisions, selection, plugins, plan. Knows neither
//! Envoy nor ONNX nor a database.
//!
//! Start at [`pipeline`]: the request's way. [`generation`] is what a reload swaps; [`config`] is
//! the document as written.

pub mod pipeline;
pub mod stages;

pub mod generation;
pub mod names;
pub mod recipe;

pub mod config;

pub mod boundary;

pub mod algorithms;
pub mod escalation;
pub mod models;
pub mod plan;
pub mod plugins;
pub mod reasoning;
pub mod response;

pub mod evaluation;
pub mod explain;

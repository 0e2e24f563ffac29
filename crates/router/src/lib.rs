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

pub mod catalog;
pub mod family;
pub mod report;
pub mod rules;
pub mod scope;
pub mod signals;
pub mod wanted;

pub mod decision;
pub mod declared;
pub mod projection;
pub mod used;

pub mod boundary;
pub mod candidate;
pub mod capability;
pub mod card;
pub mod conversation;
pub mod credential;
pub mod eligible;
pub mod forecast;
pub mod learning;
pub mod objects;
pub mod pool;
pub mod served;
pub mod session;

pub mod dispatch;
pub mod shared_state;

pub mod algorithms;
pub mod escalation;
pub mod models;
pub mod plan;
pub mod plugins;
pub mod reasoning;
pub mod response;
pub mod selection;

pub mod evaluation;
pub mod explain;

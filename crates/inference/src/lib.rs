//! What the router may ask of a model, and when it runs.
//!
//! ```text
//! questions (text, what) → windows → cache → queue → one encoder run a window → heads → answers
//! ```
//!
//! The router asks through [`ask::Ask`] and finds models through [`catalog::Catalog`]; it sees
//! handles, never sessions. What runs a graph stands behind the backend's trait, in another crate.

pub mod ask;
pub mod backend;
pub mod cache;
pub mod card;
pub mod catalog;
mod composed;
pub mod engine;
#[cfg(any(test, feature = "fakes"))]
pub mod fake;
pub mod handle;
pub mod head;
pub mod heads;
pub mod knowledge_bases;
pub mod language;
pub mod legible;
pub mod library;
pub mod model;
pub mod prototypes;
pub mod recognizers;
pub mod settings;
pub mod spans;
pub mod static_embedding;
pub mod store;
pub mod token_head;
pub mod tokenizer;
pub mod vector;
pub mod window;

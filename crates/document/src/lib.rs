//! A configuration document as text: read strictly along a schema, with every problem at its line and
//! column. Knows no section of any document.
//!
//! ```text
//! text → tree (lines, anchors) → read along the Schema (variables, types, unknown keys) → value
//!      → brought to one spelling → T
//! ```
//!
//! [`load`] does this and reports every fault of form at once. Later steps, which read the typed document,
//! report to [`Findings`] by paths, and [`joined`] gives each problem its place.

mod draft;
mod environment;
mod loading;
mod problem;
mod reader;
mod redact;
mod respelling;
mod scalar;
mod schema;
mod secret;
mod tree;

pub use draft::{Draft, Part, Unedited};
pub use environment::escaped;
pub use loading::{Loaded, MOST_BYTES, Places, joined, load};
pub use problem::{Findings, Problem, Severity, has_errors, suggestion};
pub use redact::{hash, redact, shown};
pub use respelling::{Moved, Respelled};
pub use scalar::yaml_text;
pub use schema::{Refused, Schema, pattern, tags};
pub use secret::HiddenText;
pub use tree::push_key;

#[cfg(test)]
mod tests;

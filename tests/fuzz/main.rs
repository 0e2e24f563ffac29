//! Fuzz targets on stable Rust: proptest mutates the structure of seeds, for a bounded time.
//!
//! `cargo xtask fuzz` runs them. A new target is a module with a function `fuzz`, and one test here;
//! the test's name is the target's.

mod document;
mod edits;
mod json;
mod run;
mod sse;
mod text;
mod translations;
mod views;

/// How a failure of [`run`] is run again.
const AGAIN: &str = "cargo xtask fuzz";

#[test]
fn json_views() -> anyhow::Result<()> {
    views::fuzz("json_views")
}

#[test]
fn json_edits() -> anyhow::Result<()> {
    edits::fuzz("json_edits")
}

#[test]
fn json_translations() -> anyhow::Result<()> {
    translations::fuzz("json_translations")
}

#[test]
fn sse_reader() -> anyhow::Result<()> {
    sse::fuzz("sse_reader")
}

#[test]
fn document_reader() -> anyhow::Result<()> {
    document::fuzz("document_reader")
}

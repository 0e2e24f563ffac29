//! The suite without Envoy: the whole process behind a fake Envoy, and the examples.

mod examples;
mod exchanges;
mod redis;
mod sessions;

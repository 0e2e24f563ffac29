//! ONNX Runtime behind the backend of `inference`: the library, execution providers, sessions,
//! tensors.

pub mod runtime;
mod session;
mod weights;

pub use runtime::{Provider, Runtime, RuntimeSettings, StartError};

#[cfg(test)]
mod tests;

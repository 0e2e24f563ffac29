//! The engine without a runtime.

//! What the benches, the load driver and the evaluation share: policies, requests of a size, and
//! the installed models.

pub mod agent;
pub mod candidates;
pub mod mix;
pub mod models;
pub mod prompts;
pub mod stages;

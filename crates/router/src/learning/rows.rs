//! What is known of a model from outcomes and answers.

/// Outcomes that were reported of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// It fitted.
    pub good: u64,
    /// It was too weak.
    pub under: u64,
    /// It was stronger than needed.
    pub over: u64,
    /// It failed.
    pub failed: u64,
}

//! A decision with eight candidates that differ in quality, price and size, for any algorithm.

use crate::mix;
use anyhow::Result;
use router::generation::Generation;
use std::fmt::Write as _;

/// Candidates of the decision.
pub const COUNT: usize = 8;

/// Algorithms that need neither a model nor an artifact, with a name for each.
pub const ALGORITHMS: [(&str, &str); 5] = [
    ("multi_factor", "{type: multi_factor}"),
    (
        "multi_factor, energy",
        "{type: multi_factor, multi_factor: {weights: {quality: 1, cost: 1, energy: 1}}}",
    ),
    (
        "latency_aware",
        "{type: latency_aware, latency_aware: {tpot_percentile: 90, ttft_percentile: 95}}",
    ),
    ("weighted", "{type: weighted}"),
    ("hybrid", "{type: hybrid}"),
];

/// A policy of one decision with this algorithm, built.
///
/// # Errors
/// The policy is refused.
pub fn generation(algorithm: &str) -> Result<Generation> {
    let (mut models, mut cards, mut refs) = (String::new(), String::new(), String::new());
    for number in 1..=COUNT {
        writeln!(
            models,
            "    - {{name: m{number}, pricing: {{prompt_per_1m: {number}, completion_per_1m: {number}}}}}"
        )?;
        writeln!(
            cards,
            "    - {{name: m{number}, quality_score: 0.{number}, param_size: {number}B}}"
        )?;
        write!(refs, "{{model: m{number}}}, ")?;
    }
    mix::build(&format!(
        "version: v0.3\nproviders:\n  defaults: {{default_model: m1}}\n  models:\n{models}routing:\n  modelCards:\n{cards}  decisions:\n    - {{name: d, modelRefs: [{refs}], algorithm: {algorithm}}}\n"
    ))
}

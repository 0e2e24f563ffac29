//! Which of a decision's candidates may serve a request, and who dropped the others.

use crate::providers::wires::Untranslatable;
use std::sync::Arc;

/// The candidates that are left, and why the others are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Eligible {
    kept: Vec<usize>,
    dropped: Vec<Dropped>,
}

/// A model that may not serve the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The model, as the policy names it.
    pub model: Arc<str>,
    /// What forbids it.
    pub by: Barrier,
}

/// What stands between a request and a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Barrier {
    /// A boundary of this name.
    Boundary(Arc<str>),
    /// The request, tokens, does not fit into the context window, tokens.
    ContextWindow {
        /// Tokens that the request needs.
        needed: u64,
        /// Tokens that the model takes.
        window: u64,
    },
    /// The model lacks this ability: `tools`, `vision`, `reasoning`, …
    Ability(&'static str),
    /// The model's card names abilities, and not this one: `image_input`, `file_input`, …
    Capability(&'static str),
    /// The answer that the request may ask for, tokens, is longer than the model's, tokens.
    OutputLimit {
        /// Tokens that the answer may have.
        needed: u64,
        /// Tokens that the model writes at most.
        limit: u64,
    },
    /// The model's card does not tell its limits, and the policy wants them known.
    UnknownLimits,
    /// The candidates lack different things.
    Mixed,
    /// Fewer models can serve the request than the decision needs.
    TooFew {
        /// How many can.
        left: usize,
        /// How many are needed.
        least: usize,
    },
    /// The model kept failing and is rested.
    Resting,
    /// The model's backend speaks another wire, and the request cannot be translated.
    Wire(Untranslatable),
}

impl std::fmt::Display for Barrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boundary(name) => write!(f, "boundary:{name}"),
            Self::ContextWindow { needed, window } => write!(f, "context_window:{needed}>{window}"),
            Self::Ability(ability) => write!(f, "ability:{ability}"),
            Self::Capability(word) => write!(f, "capability:{word}"),
            Self::OutputLimit { needed, limit } => write!(f, "max_output_tokens:{needed}>{limit}"),
            Self::UnknownLimits => f.write_str("unknown_limits"),
            Self::Mixed => f.write_str("candidate_requirements"),
            Self::TooFew { left, least } => write!(f, "minimum_candidates:{left}<{least}"),
            Self::Resting => f.write_str("resting"),
            Self::Wire(why) => write!(f, "wire:{}", why.as_str()),
        }
    }
}

impl Eligible {
    /// All of `count` candidates.
    #[must_use]
    pub fn all(count: usize) -> Self {
        Self {
            kept: (0..count).collect(),
            dropped: Vec::new(),
        }
    }

    /// Indices of those that are left, in order.
    #[must_use]
    pub fn kept(&self) -> &[usize] {
        &self.kept
    }

    /// The others, in the order in which they were dropped.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// The others alone.
    #[must_use]
    pub fn into_dropped(self) -> Vec<Dropped> {
        self.dropped
    }

    /// Drops candidates for which `barrier` names one. `name` names a candidate.
    pub fn drop_where(
        &mut self,
        name: impl Fn(usize) -> Arc<str>,
        barrier: impl Fn(usize) -> Option<Barrier>,
    ) {
        let dropped = &mut self.dropped;
        self.kept.retain(|&index| match barrier(index) {
            None => true,
            Some(by) => {
                dropped.push(Dropped {
                    model: name(index),
                    by,
                });
                false
            }
        });
    }
}

//! A decision's candidate: what the document says of it, and the state of its pool.

use crate::card::{Card, ModelDescriptions};
use crate::pool::{ModelPool, Pool};
use crate::providers::reasoning::DISABLED;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A decision's candidate, ready for use.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// As written.
    pub model_ref: ModelRef,
    /// What is known of the model beforehand.
    pub card: Arc<Card>,
    /// The state of its pool now.
    pub pool: Arc<ModelPool>,
}

impl Candidate {
    /// Builds a candidate as written, with its model's card and pool.
    #[must_use]
    pub fn new(model_ref: ModelRef, models: &dyn ModelDescriptions, pool: &Pool) -> Self {
        let card = Arc::new(Card::of(model_ref.model.trim(), models));
        let pool = pool.model(model_ref.model.trim());
        Self {
            model_ref,
            card,
            pool,
        }
    }

    /// Builds a candidate without a card or a pool.
    #[must_use]
    pub fn unknown(model_ref: ModelRef) -> Self {
        let card = Arc::new(Card {
            name: model_ref.model.trim().into(),
            ..Card::default()
        });
        Self {
            model_ref,
            card,
            pool: Arc::default(),
        }
    }
}

/// A candidate model of a decision.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelRef {
    /// Name of a model card.
    pub model: String,
    /// Adapter; becomes the upstream model.
    pub lora_name: String,
    /// Relative weight.
    pub weight: Option<f64>,
    /// Switch the model's reasoning mode on or off.
    pub use_reasoning: Option<bool>,
    /// Effort when reasoning is on.
    pub reasoning_effort: String,
    /// Free text.
    pub reasoning_description: String,
    /// Mode of a model whose reasoning has modes; must agree with `use_reasoning`.
    #[schemars(extend("enum" = ["enabled", "disabled", "adaptive"]))]
    pub reasoning_mode: String,
}

impl ModelRef {
    /// Returns whether the model is to reason, by either of the two keys that say so; `None` leaves
    /// it to the caller.
    #[must_use]
    pub fn reasons(&self) -> Option<bool> {
        let mode = self.reasoning_mode.trim();
        let by_mode = (!mode.is_empty()).then(|| mode != DISABLED);
        self.use_reasoning.or(by_mode)
    }
}

/// Returns a candidate's name upstream: its adapter if it has one.
#[must_use]
pub fn upstream_name(model_ref: &ModelRef) -> &str {
    if model_ref.lora_name.is_empty() {
        &model_ref.model
    } else {
        &model_ref.lora_name
    }
}

//! `decisions[].algorithm`: how one of a decision's candidates is chosen, or several are run. The
//! table of all algorithms.
//!
//! An algorithm's own file under `selection/`, or under `escalation/` where it runs several models,
//! holds its parameters as the document writes them, their checks, the build step and what it does.
//! All that other parts ask of every algorithm is drawn from the table.

mod table;

use crate::escalation::{self, Looper, SeveralModels};
use schemars::JsonSchema;
use selection::algorithms::method::{Building, Checking, DecisionInput, Method, Need};
use selection::algorithms::router_dc::{RouterDc, RouterDcConfig};
use selection::algorithms::r#static::Static;
use selection::algorithms::{self, Selector};
use selection::candidate::{Candidate, ModelRef, upstream_name};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use table::written;
pub use table::{AlgorithmType, Models, OneModel, SeveralModelsType};

table::algorithms! {
    // Algorithms that choose one model.
    algorithms::r#static::Static,
    algorithms::weighted::Weighted,
    algorithms::router_dc::RouterDc {
        /// Parameters of `router_dc`.
        router_dc
    },
    algorithms::latency_aware::LatencyAware {
        /// Parameters of `latency_aware`.
        latency_aware
    },
    algorithms::multi_factor::MultiFactor {
        /// Parameters of `multi_factor`.
        multi_factor
    },
    algorithms::hybrid::Hybrid {
        /// Parameters of `hybrid`.
        hybrid
    },
    algorithms::automix::Automix {
        /// Parameters of `automix`. Only `cost_quality_tradeoff` is read here; the rest is read
        /// from `global.router.model_selection.automix`.
        automix
    },
    algorithms::prompt::Prompt {
        /// Parameters of `prompt`.
        prompt
    },
    algorithms::knn::Knn,
    algorithms::kmeans::KMeans,
    algorithms::svm::Svm,
    algorithms::mlp::Mlp,

    ;

    // Algorithms that run several models.
    escalation::confidence::Confidence {
        /// Parameters of `confidence`.
        confidence
    },
    escalation::ratings::Ratings {
        /// Parameters of `ratings`.
        ratings
    },
    escalation::remom::Remom {
        /// Parameters of `remom`.
        remom
    },
    escalation::fusion::Fusion {
        /// Parameters of `fusion`.
        fusion
    },
    escalation::workflows::Workflows {
        /// Parameters of `workflows`.
        workflows
    },
}

/// Returns the algorithm of a name; surrounding space does not count.
#[must_use]
pub fn named(name: &str) -> Option<&'static AlgorithmType> {
    ALGORITHMS
        .iter()
        .find(|algorithm| algorithm.name == name.trim())
}

/// Returns the single-choice method of an `algorithm.type`: multi-model, unknown and missing types
/// select statically.
#[must_use]
pub fn method(name: &str) -> &'static str {
    named(name)
        .filter(|algorithm| algorithm.one_model().is_some())
        .map_or(Static::NAME, |algorithm| algorithm.name)
}

/// Returns the names of all algorithms, for the schema.
fn names() -> Vec<&'static str> {
    ALGORITHMS.iter().map(|algorithm| algorithm.name).collect()
}

/// Returns the first of a recipe's decisions whose block sets the parameters of `router_dc`, with
/// that block. Items are the decisions' names and algorithms.
pub fn first_router_dc<'a>(
    mut algorithms: impl Iterator<Item = (&'a str, &'a Algorithm)>,
) -> Option<(&'a str, &'a RouterDcConfig)> {
    algorithms.find_map(|(decision, algorithm)| {
        let block = algorithm.router_dc.as_ref();
        let block = block.filter(|_| algorithm.name() == RouterDc::NAME)?;
        Some((decision, block))
    })
}

impl Algorithm {
    /// Returns the type, `static` if the document writes no type.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.kind.as_str() {
            "" => Static::NAME,
            kind => kind,
        }
    }

    /// Returns what is known of the algorithm; `None` for a name that is no algorithm's.
    #[must_use]
    pub fn entry(&self) -> Option<&'static AlgorithmType> {
        named(self.name())
    }

    /// Tells whether the algorithm can be asked. For one of several models that is not run the first
    /// candidate stands in, which checks warn of.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.entry().is_some_and(|entry| match &entry.models {
            Models::One(one_model) => one_model.is_built,
            Models::Several(_) => true,
        })
    }

    /// Tells whether the algorithm runs several models instead of choosing one.
    #[must_use]
    pub fn is_looper(&self) -> bool {
        self.entry()
            .is_some_and(|entry| entry.several_models().is_some())
    }

    /// Reports what is wrong with the algorithm of a decision.
    pub fn check(&self, checking: &mut Checking<'_>) {
        for entry in ALGORITHMS {
            if (entry.is_written)(self) && entry.name != self.name() {
                let path = checking.at(entry.name);
                let message = format!("is not read: the algorithm is `{}`", self.name());
                checking.findings.warn(path, message);
            }
            (entry.check_block)(self, checking);
        }
        if let Some(entry) = self.entry() {
            (entry.check)(self, checking);
        }

        if let Some(least) = self.minimum_candidates {
            let different = |candidate: &ModelRef| upstream_name(candidate).trim().to_owned();
            let listed: HashSet<String> = checking.model_refs.iter().map(different).collect();
            let listed = listed.len();
            let path = checking.at("minimum_candidates");
            if least == 0 {
                checking.findings.error(path, "at least 1");
            } else if listed > 0 && least as usize > listed {
                let message = format!("the decision lists {listed} different candidates");
                checking.findings.error(path, message);
            }
        }

        let has_choice = checking.model_refs.len() != 1;
        if !has_choice && !self.is_looper() && self.name() != Static::NAME {
            let message = format!(
                "`{}` has nothing to choose: there is one candidate",
                self.name()
            );
            checking.findings.note(checking.path, message);
        }
    }

    /// Returns the parameters that rest on a measurement.
    #[must_use]
    pub fn measures(&self) -> Vec<Need> {
        let one_model = self.entry().and_then(AlgorithmType::one_model);
        one_model.map_or_else(Vec::new, |one_model| (one_model.measures)(self))
    }

    /// Returns how much price counts in a request of the decision: what its `automix` block says,
    /// else its `hybrid` block, else a half.
    #[must_use]
    pub fn cost_weight(&self) -> f64 {
        let automix = self
            .automix
            .as_ref()
            .map(|block| block.cost_quality_tradeoff);
        let hybrid = self.hybrid.as_ref().map(|block| block.cost_weight);
        let given = [automix, hybrid]
            .into_iter()
            .flatten()
            .find(|weight| *weight > 0.0 && weight.is_finite());
        given.unwrap_or(0.5)
    }

    /// Builds the selector of a decision; `None` if it is not available, or has nothing to choose.
    pub fn build(
        &self,
        decision: &DecisionInput<'_>,
        building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        if decision.candidates.len() < 2 {
            return None;
        }
        let one_model = named(method(&self.kind))?.one_model()?;
        (one_model.build)(self, decision, building)
    }

    /// Builds what runs several models, if the algorithm does.
    #[must_use]
    pub fn looper(&self, candidates: &[Candidate]) -> Option<Looper> {
        let several = named(&self.kind)?.several_models()?;
        Some((several.build)(self, candidates))
    }

    /// Returns the model that writes the final answer of several; empty if the block names no such
    /// model.
    #[must_use]
    pub fn final_model(&self) -> &str {
        let several = named(&self.kind).and_then(AlgorithmType::several_models);
        several.map_or("", |several| (several.final_model)(self).trim())
    }
}

#[cfg(test)]
mod tests;

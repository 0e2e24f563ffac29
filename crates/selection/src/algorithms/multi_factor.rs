//! `multi_factor`: quality, latency, price, load and energy, weighed against each other below
//! ceilings.
//!
//! ```yaml
//! decisions:
//!   - name: chat
//!     modelRefs: [{ model: small }, { model: large }]
//!     algorithm:
//!       type: multi_factor
//!       multi_factor:
//!         weights: { quality: 0.5, cost: 0.3, energy: 0.2 }   # latency, load: 0
//!         slo: { max_ttft_ms: 800, max_inflight: 64 }
//!         on_no_candidates: cheapest
//! ```
//!
//! Each term is a place between the worst (0) and the best (1) of the candidates below the
//! ceilings; a candidate whose number is not known counts as the worst. `energy` is Merit's
//! own: the joules that the request is predicted to take. Without it scores are those of the other
//! four terms, to the last bit.

use super::method::{Building, Checking, DecisionInput, Measured, Method, Need};
use super::ranking::{Range, highest};
use super::{Candidate, Choice, SelectionError, SelectionInput, Selector};
use crate::card::Tokens;
use crate::forecast::Forecaster;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Percentile of latency where none, or none of 1 to 100, is configured.
const PERCENTILE: u32 = 95;
/// Terms of the sum, in its order: quality, latency, cost, load, energy.
const TERMS: usize = 5;

/// Weighted sum of quality, latency, price and load under ceilings.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MultiFactor")]
pub struct MultiFactorConfig {
    /// Weights; omitted means 0.25 each.
    pub weights: Option<FactorWeights>,
    /// Ceilings that exclude candidates.
    pub slo: Option<Slo>,
    /// Percentile of latency; 0 means 95.
    pub latency_percentile: u32,
    /// What happens when the ceilings exclude everyone.
    #[schemars(extend("enum" = ["cheapest", "first", "fail"]))]
    pub on_no_candidates: String,
    /// How the terms are weighed. Known, and not run: `weights` decide.
    pub objective: Option<Objective>,
    /// Index that tells quality. Known, and not run: `quality_score` is read.
    pub quality: Option<QualityEvidence>,
    /// Tokens of an answer where the caller sets no limit. Known, and not run.
    pub expected_output_tokens: u64,
    /// Which latency counts. Known, and not run.
    #[schemars(extend("enum" = ["ttft", "tpot"]))]
    pub latency_metric: String,
}

/// How the terms of `multi_factor` are weighed.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    /// `weighted` (the default) or `lexicographic`.
    #[schemars(extend("enum" = ["weighted", "lexicographic"]))]
    pub strategy: String,
    /// Stages of `lexicographic`.
    pub priorities: Vec<FactorPriority>,
}

/// A stage of a lexicographic choice.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactorPriority {
    /// What counts.
    #[schemars(extend("enum" = ["quality", "latency", "cost", "load"]))]
    pub factor: String,
    /// Share of the best that still counts as the best.
    pub tolerance: f64,
}

/// Index that tells quality.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QualityEvidence {
    /// Id of the index.
    pub index: String,
    /// What a missing value means.
    #[schemars(extend("enum" = ["exclude", "disable_quality"]))]
    pub on_missing: String,
    /// Least share of its components.
    pub min_coverage: Option<f64>,
    /// Least value.
    pub min_score: Option<f64>,
}

/// Weights of `multi_factor`; an omitted one is 0.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactorWeights {
    /// Of the model card's `quality_score`.
    pub quality: f64,
    /// Of measured latency.
    pub latency: f64,
    /// Of the prompt price.
    pub cost: f64,
    /// Of requests in flight.
    pub load: f64,
    /// Merit's own: of the joules that the request is predicted to take.
    pub energy: f64,
}

/// Ceilings of `multi_factor`; 0 means none.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slo {
    /// Time per output token, milliseconds.
    pub max_tpot_ms: f64,
    /// Time to the first token, milliseconds.
    pub max_ttft_ms: f64,
    /// Prompt price per million tokens.
    pub max_cost_per_1m: f64,
    /// Requests in flight.
    pub max_inflight: u64,
}

/// Weighs the factors.
pub struct MultiFactor {
    weights: [f64; TERMS],
    slo: Slo,
    percentile: u32,
    on_nobody: Nobody,
    forecaster: Arc<Forecaster>,
    /// By the number of candidates below the ceilings, where all are eligible: made once, so that
    /// choosing formats nothing.
    reasons: Vec<Arc<str>>,
}

/// What is done when the ceilings exclude everyone.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Nobody {
    Cheapest,
    First,
    Fail,
}

/// The ceilings exclude everyone, and the document wants that to fail.
#[derive(Debug, thiserror::Error)]
#[error("all candidates are above the ceilings")]
struct AllExcluded;

/// What is known of a candidate at this moment.
#[derive(Debug, Clone, Copy, Default)]
struct Observed {
    index: usize,
    quality: Option<f64>,
    tpot_ms: Option<f64>,
    ttft_ms: Option<f64>,
    /// Prompt price per million tokens.
    price: Option<f64>,
    in_flight: u64,
    joules: Option<f64>,
}

impl MultiFactor {
    /// Builds the algorithm. Weights as written are made to add up to 1. `forecaster` predicts the
    /// joules of `candidates` candidates.
    #[must_use]
    pub fn new(config: &MultiFactorConfig, forecaster: Arc<Forecaster>, candidates: usize) -> Self {
        let percentile = match config.latency_percentile {
            percentile @ 1..=100 => percentile,
            _ => PERCENTILE,
        };
        let on_nobody = match config.on_no_candidates.as_str() {
            "first" => Nobody::First,
            "fail" => Nobody::Fail,
            _ => Nobody::Cheapest,
        };
        let weights = normalised(config.weights.as_ref());
        let slo = config.slo.clone().unwrap_or_default();
        let reasons = (0..=candidates)
            .map(|kept| reason(&weights, percentile, kept, candidates - kept).into());
        Self {
            weights,
            slo,
            percentile,
            on_nobody,
            forecaster,
            reasons: reasons.collect(),
        }
    }

    fn observe(&self, index: usize, candidate: &Candidate, tokens: Tokens) -> Observed {
        let [_, latency, _, _, energy] = self.weights;
        let read = |ceiling: f64| latency > 0.0 || ceiling > 0.0;
        let tpot_ms = read(self.slo.max_tpot_ms)
            .then(|| candidate.pool.tpot_ms(self.percentile))
            .flatten();
        // The time to the first token stands in for the time per token where that is unknown.
        let stands_in = latency > 0.0 && tpot_ms.is_none();
        let ttft = || candidate.pool.ttft_ms(self.percentile);
        let ttft_ms = (stands_in || self.slo.max_ttft_ms > 0.0)
            .then(ttft)
            .flatten();
        let joules = || self.forecaster.joules(index, &candidate.pool, tokens);
        Observed {
            index,
            quality: candidate.card.quality,
            tpot_ms,
            ttft_ms,
            price: candidate.card.prompt_price(),
            in_flight: candidate.pool.in_flight(),
            joules: (energy > 0.0).then(joules).flatten(),
        }
    }

    fn is_below_ceilings(&self, observed: &Observed) -> bool {
        let above = |number: Option<f64>, ceiling: f64| {
            ceiling > 0.0 && number.is_some_and(|number| number > ceiling)
        };
        let slo = &self.slo;
        !above(observed.tpot_ms, slo.max_tpot_ms)
            && !above(observed.ttft_ms, slo.max_ttft_ms)
            && !above(observed.price, slo.max_cost_per_1m)
            && (slo.max_inflight == 0 || observed.in_flight <= slo.max_inflight)
    }

    fn choose(&self, mut observed: Vec<Observed>) -> Result<Choice, SelectionError> {
        let all = observed.len();
        let cheapest = lowest_price(&observed).or(observed.first().map(|first| first.index));
        let first = observed.first().map(|first| first.index);
        observed.retain(|observed| self.is_below_ceilings(observed));
        let scores = self.score(&observed);
        let Some((candidate, score)) = highest(scores.iter().copied()) else {
            return self.nobody(first, cheapest);
        };
        let second = highest(
            scores
                .iter()
                .copied()
                .filter(|(index, _)| *index != candidate),
        );
        let confidence = match second {
            None => 1.0,
            Some(_) if score <= 0.0 => 0.5,
            Some((_, second)) => ((score - second) / score + 0.5).min(1.0),
        };
        Ok(Choice {
            candidate,
            score,
            confidence,
            reason: self.reason(observed.len(), all),
            scores,
        })
    }

    fn score(&self, observed: &[Observed]) -> Vec<(usize, f64)> {
        let mut scores: Vec<(usize, f64)> = observed
            .iter()
            .map(|observed| (observed.index, 0.0))
            .collect();
        for (term, weight) in self
            .weights
            .into_iter()
            .enumerate()
            .filter(|(_, weight)| *weight > 0.0)
        {
            let Some(range) = Range::of(observed.iter().filter_map(|observed| observed.term(term)))
            else {
                continue;
            };
            for ((_, score), observed) in scores.iter_mut().zip(observed) {
                *score += weight * observed.place(term, range);
            }
        }
        scores
    }

    fn nobody(
        &self,
        first: Option<usize>,
        cheapest: Option<usize>,
    ) -> Result<Choice, SelectionError> {
        let (candidate, policy) = match self.on_nobody {
            Nobody::Cheapest => (cheapest, "cheapest"),
            Nobody::First => (first, "first"),
            Nobody::Fail => return Err(SelectionError::Failed(Box::new(AllExcluded))),
        };
        let candidate = candidate.ok_or(SelectionError::InvalidOutput)?;
        let reason =
            format!("multi_factor no-candidate policy: all_candidates_excluded_by_slo:{policy}")
                .into();
        Ok(Choice {
            candidate,
            score: 0.0,
            confidence: 0.0,
            reason,
            scores: Vec::new(),
        })
    }

    fn reason(&self, kept: usize, all: usize) -> Arc<str> {
        match self.reasons.get(kept) {
            Some(reason) if all + 1 == self.reasons.len() => Arc::clone(reason),
            _ => reason(&self.weights, self.percentile, kept, all - kept).into(),
        }
    }
}

impl Observed {
    /// Returns the place from the worst (0) to the best (1) of the numbers that a term compares;
    /// the worst where it is missing.
    fn place(&self, term: usize, range: Range) -> f64 {
        match (self.term(term).filter(|number| number.is_finite()), term) {
            (None, _) => 0.0,
            (Some(number), 0) => range.place(number),
            (Some(number), _) => 1.0 - range.place(number),
        }
    }

    /// Returns the number that a term compares.
    fn term(&self, term: usize) -> Option<f64> {
        match term {
            0 => self.quality,
            1 => self.tpot_ms.or(self.ttft_ms),
            2 => self.price,
            3 => Some(self.in_flight as f64),
            _ => self.joules,
        }
    }
}

/// Returns the first of the lowest prices; a candidate without a price costs more than any other.
fn lowest_price(observed: &[Observed]) -> Option<usize> {
    super::ranking::lowest(observed.iter().filter_map(|it| Some((it.index, it.price?))))
        .map(|(index, _)| index)
}

/// Normalises weights. Written ones replace all defaults; below 0 counts as 0.
fn normalised(weights: Option<&FactorWeights>) -> [f64; TERMS] {
    const EVEN: [f64; TERMS] = [0.25, 0.25, 0.25, 0.25, 0.0];
    let Some(weights) = weights else { return EVEN };
    let written = [
        weights.quality,
        weights.latency,
        weights.cost,
        weights.load,
        weights.energy,
    ];
    let written = written.map(|weight| {
        if weight.is_finite() {
            weight.max(0.0)
        } else {
            0.0
        }
    });
    let sum: f64 = written.iter().sum();
    if sum > 0.0 {
        written.map(|weight| weight / sum)
    } else {
        EVEN
    }
}

fn reason(weights: &[f64; TERMS], percentile: u32, kept: usize, dropped: usize) -> String {
    let [quality, latency, cost, load, energy] = weights;
    let energy = if *energy > 0.0 {
        format!(" e={energy:.2}")
    } else {
        String::new()
    };
    format!(
        "multi_factor: weights{{q={quality:.2} l={latency:.2} c={cost:.2} L={load:.2}{energy}}} latency_p{percentile}, kept={kept}, dropped={dropped}"
    )
}

impl Method for MultiFactor {
    type Block = MultiFactorConfig;
    const NAME: &'static str = "multi_factor";
    const IS_PREVIEWED: bool = true;

    fn check_block(block: &MultiFactorConfig, checking: &mut Checking<'_>) {
        if block.latency_percentile > 100 {
            let path = checking.at("multi_factor.latency_percentile");
            let message = "is not from 1 to 100 and counts as 95";
            checking.findings.warn(path, message);
        }
        if let Some(weights) = &block.weights {
            check_weights(weights, checking);
        }
    }

    fn measures(block: Option<&MultiFactorConfig>) -> Vec<Need> {
        let weights = block.and_then(|block| block.weights.as_ref());
        let (latency, load) = weights.map_or((1.0, 1.0), |it| (it.latency, it.load));
        let slo = block
            .and_then(|block| block.slo.clone())
            .unwrap_or_default();

        let weighed = |what, figure| Need {
            is_written: weights.is_some(),
            ..Need::new("multi_factor.weights", what, figure)
        };
        let per_token = Need::new(
            "multi_factor.slo.max_tpot_ms",
            "the time per output token",
            Measured::PerToken,
        );
        let first_token = Need::new(
            "multi_factor.slo.max_ttft_ms",
            "the time to the first token",
            Measured::FirstToken,
        );
        let in_flight = Need::new(
            "multi_factor.slo.max_inflight",
            "the number of requests in flight",
            Measured::Load,
        );
        [
            (latency > 0.0, weighed("latency", Measured::Latency)),
            (
                load > 0.0,
                weighed("the number of requests in flight", Measured::Load),
            ),
            (slo.max_tpot_ms > 0.0, per_token),
            (slo.max_ttft_ms > 0.0, first_token),
            (slo.max_inflight > 0, in_flight),
        ]
        .into_iter()
        .filter_map(|(is_asked, need)| is_asked.then_some(need))
        .collect()
    }

    fn build(
        block: Option<&MultiFactorConfig>,
        decision: &DecisionInput<'_>,
        _building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        let config = block.cloned().unwrap_or_default();
        let forecaster = Arc::clone(decision.forecaster);
        Some(Box::new(Self::new(
            &config,
            forecaster,
            decision.candidates.len(),
        )))
    }
}

/// Reports weights that count as something else than what is written.
fn check_weights(weights: &FactorWeights, checking: &mut Checking<'_>) {
    let written = [
        ("quality", weights.quality),
        ("latency", weights.latency),
        ("cost", weights.cost),
        ("load", weights.load),
        ("energy", weights.energy),
    ];
    for (key, weight) in written {
        if weight < 0.0 {
            let path = checking.at(&format!("multi_factor.weights.{key}"));
            checking.findings.warn(path, "a weight below 0 counts as 0");
        }
    }
    if written.iter().all(|(_, weight)| *weight <= 0.0) {
        let path = checking.at("multi_factor.weights");
        let message = "no weight is above 0, so quality, latency, cost and load count 0.25 each";
        checking.findings.warn(path, message);
    }
}

impl Selector for MultiFactor {
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        let tokens = input.request.tokens;
        let mut observed = Vec::with_capacity(input.eligible.len());
        observed.extend(
            input
                .among()
                .map(|(index, candidate)| self.observe(index, candidate, tokens)),
        );
        self.choose(observed)
    }
}

#[cfg(test)]
mod tests;

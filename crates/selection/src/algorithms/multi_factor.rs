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
//!
//! `objective` compares the terms one after the other instead, `quality` takes quality of an index of
//! benchmarks, and with one of these or of the keys beside them price is that of the whole request:
//! prompt and answer.

mod objective;

pub use objective::{FactorPriority, Objective, QualityEvidence};

use super::method::{Building, Checking, DecisionInput, Measured, Method, Need};
use super::ranking::{Range, highest};
use super::{Candidate, Choice, SelectionError, SelectionInput, SelectionRequest, Selector};
use crate::card::Tokens;
use crate::forecast::Forecaster;
use objective::{Evidence, Stage};
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
    /// How the terms are compared; omitted means by `weights`.
    pub objective: Option<Objective>,
    /// Index that tells quality; omitted means the cards' `quality_score`.
    pub quality: Option<QualityEvidence>,
    /// Tokens of an answer where the caller sets no limit; 0 means unknown.
    pub expected_output_tokens: u64,
    /// Which latency counts; omitted means the time per token, else the time to the first.
    #[schemars(extend("enum" = ["ttft", "tpot"]))]
    pub latency_metric: String,
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
    /// Stages of a lexicographic objective; empty where weights decide.
    stages: Vec<Stage>,
    /// Quality by an index, in place of the cards'.
    evidence: Option<Evidence>,
    metric: Metric,
    /// Price is that of the whole request; `None` for the prompt's price per million tokens.
    answer: Option<u64>,
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

/// Which latency counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Metric {
    /// Time per token, else time to the first.
    #[default]
    Either,
    FirstToken,
    PerToken,
}

impl Metric {
    fn of(config: &MultiFactorConfig) -> Self {
        match config.latency_metric.trim() {
            "ttft" => Self::FirstToken,
            "tpot" => Self::PerToken,
            _ => Self::Either,
        }
    }
}

impl MultiFactorConfig {
    /// Tells whether price is that of a whole request, as v0.4 counts it.
    fn prices_requests(&self) -> bool {
        let has_latency = !self.latency_metric.trim().is_empty();
        let is_compared = self.objective.is_some() || self.quality.is_some();
        is_compared || has_latency || self.expected_output_tokens > 0
    }
}

/// What is known of a candidate at this moment.
#[derive(Debug, Clone, Copy, Default)]
struct Observed {
    index: usize,
    quality: Option<f64>,
    tpot_ms: Option<f64>,
    ttft_ms: Option<f64>,
    /// Prompt price per million tokens.
    price: Option<f64>,
    /// Price of the whole request, where that is compared.
    cost: Option<f64>,
    metric: Metric,
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
        let stages = Stage::list(config);
        let reasons = (0..=candidates)
            .map(|kept| reason(&weights, &stages, percentile, kept, candidates - kept).into());
        let reasons = reasons.collect();
        Self {
            stages,
            evidence: None,
            metric: Metric::of(config),
            answer: config
                .prices_requests()
                .then_some(config.expected_output_tokens),
            weights,
            slo,
            percentile,
            on_nobody,
            forecaster,
            reasons,
        }
    }

    /// Takes quality of what an index says of each candidate.
    fn with_evidence(self, evidence: Option<Evidence>) -> Self {
        Self { evidence, ..self }
    }

    fn observe(
        &self,
        index: usize,
        candidate: &Candidate,
        request: &SelectionRequest<'_>,
    ) -> Observed {
        let [_, latency, _, _, energy] = self.weights;
        let tokens = request.tokens;
        let is_compared = latency > 0.0 || self.stages.iter().any(|it| it.reads_latency());
        let read = |ceiling: f64| is_compared || ceiling > 0.0;
        let tpot_ms = read(self.slo.max_tpot_ms)
            .then(|| candidate.pool.tpot_ms(self.percentile))
            .flatten();
        // The time to the first token stands in for the time per token where that is unknown.
        let stands_in = is_compared && (tpot_ms.is_none() || self.metric == Metric::FirstToken);
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
            cost: self.cost(candidate, request),
            metric: self.metric,
            in_flight: candidate.pool.in_flight(),
            joules: (energy > 0.0).then(joules).flatten(),
        }
    }

    /// Returns the price of the request at a candidate; `None` where it is not compared, or where
    /// nobody knows how long the answer may be.
    fn cost(&self, candidate: &Candidate, request: &SelectionRequest<'_>) -> Option<f64> {
        let expected = self.answer?;
        let limit = Some(request.output_limit).filter(|&limit| limit > 0);
        let completion = limit.or(Some(expected).filter(|&tokens| tokens > 0))?;
        let prices = candidate.card.prices?;
        let is_priced = prices.prompt > 0.0 || prices.completion > 0.0;
        is_priced.then(|| {
            prices.cost(Tokens {
                completion,
                ..request.tokens
            })
        })
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
        if let Some(evidence) = &self.evidence {
            evidence.apply(&mut observed);
        }
        observed.retain(|observed| self.is_below_ceilings(observed));
        if !self.stages.is_empty() {
            let kept = observed.len();
            self.stages.iter().for_each(|it| it.keep(&mut observed));
            return match observed.first() {
                None => self.nobody(first, cheapest),
                Some(best) => Ok(Choice {
                    candidate: best.index,
                    score: 1.0,
                    confidence: 1.0,
                    reason: self.reason(kept, all),
                    scores: Vec::new(),
                }),
            };
        }
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
            _ => {
                let (weights, stages) = (&self.weights, &self.stages);
                reason(weights, stages, self.percentile, kept, all - kept).into()
            }
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
            1 => match self.metric {
                Metric::Either => self.tpot_ms.or(self.ttft_ms),
                Metric::FirstToken => self.ttft_ms,
                Metric::PerToken => self.tpot_ms,
            },
            2 => self.cost.or(self.price),
            3 => Some(self.in_flight as f64),
            _ => self.joules,
        }
    }
}

/// Returns the first of the lowest prices; a candidate without a price costs more than any other.
fn lowest_price(observed: &[Observed]) -> Option<usize> {
    super::ranking::lowest(
        observed
            .iter()
            .filter_map(|it| Some((it.index, it.term(2)?))),
    )
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

fn reason(
    weights: &[f64; TERMS],
    stages: &[Stage],
    percentile: u32,
    kept: usize,
    dropped: usize,
) -> String {
    if !stages.is_empty() {
        let stages = Stage::shown(stages);
        return format!(
            "multi_factor: lexicographic{{{stages}}} latency_p{percentile}, kept={kept}, dropped={dropped}"
        );
    }
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
        if let Some(objective) = &block.objective {
            objective.check(block.weights.is_some(), checking);
        }
        if let Some(quality) = &block.quality {
            quality.check(checking);
        }
    }

    fn measures(block: Option<&MultiFactorConfig>) -> Vec<Need> {
        let weights = block.and_then(|block| block.weights.as_ref());
        let (mut latency, mut load) = weights.map_or((1.0, 1.0), |it| (it.latency, it.load));
        let stages = block.map(Stage::list).unwrap_or_default();
        if !stages.is_empty() {
            let counts = |is_read: bool| if is_read { 1.0 } else { 0.0 };
            latency = counts(stages.iter().any(|it| it.reads_latency()));
            load = counts(stages.iter().any(|it| it.reads_load()));
        }
        let slo = block
            .and_then(|block| block.slo.clone())
            .unwrap_or_default();

        let place = match stages.is_empty() {
            true => "multi_factor.weights",
            false => "multi_factor.objective",
        };
        let weighed = |what, figure| Need {
            is_written: weights.is_some() || !stages.is_empty(),
            ..Need::new(place, what, figure)
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
        building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        let config = block.cloned().unwrap_or_default();
        let forecaster = Arc::clone(decision.forecaster);
        let evidence = config.quality.as_ref().map(|quality| {
            let candidates = decision.candidates.iter();
            let values =
                candidates.map(|it| building.models.index_value(&quality.index, &it.model_ref));
            Evidence::new(quality, values.collect())
        });
        let built = Self::new(&config, forecaster, decision.candidates.len());
        Some(Box::new(built.with_evidence(evidence)))
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
        let mut observed = Vec::with_capacity(input.eligible.len());
        observed.extend(
            input
                .among()
                .map(|(index, candidate)| self.observe(index, candidate, input.request)),
        );
        self.choose(observed)
    }
}

#[cfg(test)]
mod tests;

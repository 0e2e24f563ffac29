//! `latency_aware`: the candidate that has answered fastest lately.
//!
//! ```yaml
//! decisions:
//!   - name: chat
//!     modelRefs: [{ model: a }, { model: b }]
//!     algorithm:
//!       type: latency_aware
//!       latency_aware: { tpot_percentile: 90, ttft_percentile: 95 }
//! ```
//!
//! A candidate's score is the mean of its time per output token and its time to the first token,
//! each divided by the least among the candidates: 1 is the fastest at everything. A candidate
//! without a sample is left out, so it gets no requests from here as long as another one has some;
//! without any, the first candidate is taken.

use super::method::{Building, Checking, DecisionInput, Measured, Method, Need};
use super::ranking::{Range, lowest};
use super::{Candidate, Choice, SelectionError, SelectionInput, Selector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Fastest candidate by measured latency.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "LatencyAware")]
pub struct LatencyAwareConfig {
    /// Percentile of the time per output token, 1 to 100.
    pub tpot_percentile: u32,
    /// Percentile of the time to the first token, 1 to 100.
    pub ttft_percentile: u32,
    /// Free text.
    pub description: String,
}

/// Compares latencies.
#[derive(Debug)]
pub struct LatencyAware {
    tpot: Option<u32>,
    ttft: Option<u32>,
    reasons: Reasons,
}

#[derive(Debug)]
struct Reasons {
    fastest: Arc<str>,
    unknown: Arc<str>,
    unasked: Arc<str>,
}

/// A candidate's latencies, milliseconds; `None` where they are not asked for.
#[derive(Debug, Clone, Copy)]
struct Latency {
    index: usize,
    tpot: Option<f64>,
    ttft: Option<f64>,
}

impl LatencyAware {
    /// Builds the algorithm. Percentiles of 0 are omitted ones; without any the first candidate is
    /// taken.
    #[must_use]
    pub fn new(config: Option<&LatencyAwareConfig>) -> Self {
        let given = |percentile: fn(&LatencyAwareConfig) -> u32| {
            config.map(percentile).filter(|&percentile| percentile != 0)
        };
        let (tpot, ttft) = (
            given(|config| config.tpot_percentile),
            given(|config| config.ttft_percentile),
        );
        let shown = |name: &str, percentile: Option<u32>| {
            percentile.map(|number| format!(" {name}_p{number}"))
        };
        let both = [shown("tpot", tpot), shown("ttft", ttft)]
            .into_iter()
            .flatten()
            .collect::<String>();
        Self {
            tpot,
            ttft,
            reasons: Reasons {
                fastest: format!("lowest latency by{both}").into(),
                unknown: "No latency stats available; using first candidate as default".into(),
                unasked:
                    "Latency-aware percentile config missing; using first candidate as default"
                        .into(),
            },
        }
    }

    /// Returns a candidate's latencies; `None` where a wanted one is missing.
    fn observe(&self, index: usize, candidate: &Candidate) -> Option<Latency> {
        let pool = &candidate.pool;
        let tpot = self.tpot.map(|percentile| pool.tpot_ms(percentile));
        let ttft = self.ttft.map(|percentile| pool.ttft_ms(percentile));
        let usable = |time: Option<f64>| time.filter(|time| time.is_finite() && *time > 0.0);
        let known =
            |wanted: Option<Option<f64>>| wanted.map_or(Some(None), |time| usable(time).map(Some));
        Some(Latency {
            index,
            tpot: known(tpot)?,
            ttft: known(ttft)?,
        })
    }

    fn choose(&self, first: usize, known: &[Latency]) -> Choice {
        let default = |reason| Choice {
            candidate: first,
            score: 1.0,
            confidence: 0.0,
            reason,
            scores: Vec::new(),
        };
        if self.tpot.is_none() && self.ttft.is_none() {
            return default(Arc::clone(&self.reasons.unasked));
        }
        let scores = relative(known);
        let Some((candidate, score)) = lowest(scores.iter().copied()) else {
            return default(Arc::clone(&self.reasons.unknown));
        };
        let second = lowest(
            scores
                .iter()
                .copied()
                .filter(|(index, _)| *index != candidate),
        );
        let confidence = second.map_or(1.0, |(_, second)| (second - score) / second);
        Choice {
            candidate,
            score,
            confidence,
            reason: Arc::clone(&self.reasons.fastest),
            scores,
        }
    }
}

/// Returns the mean of the ratios to the least.
fn relative(known: &[Latency]) -> Vec<(usize, f64)> {
    let least = |time: fn(&Latency) -> Option<f64>| {
        Range::of(known.iter().filter_map(time)).map(|range| range.low)
    };
    let (tpot, ttft) = (least(|latency| latency.tpot), least(|latency| latency.ttft));
    let ratio = |time: Option<f64>, least: Option<f64>| Some(time? / least?);
    let score = |latency: &Latency| {
        let ratios = [ratio(latency.tpot, tpot), ratio(latency.ttft, ttft)];
        let (sum, count) = ratios
            .iter()
            .flatten()
            .fold((0.0, 0.0), |(sum, count), ratio| (sum + ratio, count + 1.0));
        (latency.index, sum / count)
    };
    known.iter().map(score).collect()
}

impl Method for LatencyAware {
    type Block = LatencyAwareConfig;
    const NAME: &'static str = "latency_aware";
    const IS_PREVIEWED: bool = true;

    fn check_block(block: &LatencyAwareConfig, checking: &mut Checking<'_>) {
        for (key, percentile) in [
            ("tpot_percentile", block.tpot_percentile),
            ("ttft_percentile", block.ttft_percentile),
        ] {
            if percentile > 100 {
                let path = checking.at(&format!("latency_aware.{key}"));
                let message = "a percentile is a number from 1 to 100";
                checking.findings.error(path, message);
            }
        }
        if block.tpot_percentile == 0 && block.ttft_percentile == 0 {
            let path = checking.at("latency_aware");
            let message = "no percentile is given, so the first candidate is taken";
            checking.findings.warn(path, message);
        }
    }

    fn measures(block: Option<&LatencyAwareConfig>) -> Vec<Need> {
        let per_token = Need::new(
            "latency_aware.tpot_percentile",
            "the time per output token",
            Measured::PerToken,
        );
        let first_token = Need::new(
            "latency_aware.ttft_percentile",
            "the time to the first token",
            Measured::FirstToken,
        );
        let asks_per_token = block.is_some_and(|block| block.tpot_percentile > 0);
        let asks_first_token = block.is_some_and(|block| block.ttft_percentile > 0);
        [
            asks_per_token.then_some(per_token),
            asks_first_token.then_some(first_token),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn build(
        block: Option<&LatencyAwareConfig>,
        _decision: &DecisionInput<'_>,
        _building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        Some(Box::new(Self::new(block)))
    }
}

impl Selector for LatencyAware {
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        let first = *input
            .eligible
            .first()
            .ok_or(SelectionError::InvalidOutput)?;
        let known: Vec<Latency> = input
            .among()
            .filter_map(|(index, candidate)| self.observe(index, candidate))
            .collect();
        Ok(self.choose(first, &known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::SelectionRequest;
    use crate::candidate::ModelRef;

    fn by(tpot_percentile: u32, ttft_percentile: u32) -> LatencyAware {
        LatencyAware::new(Some(&LatencyAwareConfig {
            tpot_percentile,
            ttft_percentile,
            ..LatencyAwareConfig::default()
        }))
    }

    #[track_caller]
    fn check(selector: &LatencyAware, known: &[(usize, f64, f64)], expected: (usize, f64, f64)) {
        let some = |asked: Option<u32>, time| asked.map(|_| time);
        let latency = |&(index, tpot, ttft)| Latency {
            index,
            tpot: some(selector.tpot, tpot),
            ttft: some(selector.ttft, ttft),
        };
        let choice = selector.choose(7, &known.iter().map(latency).collect::<Vec<_>>());
        assert_eq!(
            (choice.candidate, choice.score),
            (expected.0, expected.1),
            "{known:?}"
        );
        assert!(
            (choice.confidence - expected.2).abs() < 1e-12,
            "{}",
            choice.confidence
        );
    }

    #[test]
    fn the_lowest_mean_ratio_wins() {
        // Per token 10 and 20, first token 300 and 200: (1 + 1.5) / 2 and (2 + 1) / 2.
        check(
            &by(90, 95),
            &[(0, 10.0, 300.0), (1, 20.0, 200.0)],
            (0, 1.25, 1.0 / 6.0),
        );
        check(
            &by(0, 95),
            &[(0, 10.0, 300.0), (1, 20.0, 200.0)],
            (1, 1.0, 1.0 / 3.0),
        );
        check(&by(90, 0), &[(0, 20.0, 0.0), (2, 20.0, 0.0)], (0, 1.0, 0.0));
        check(&by(90, 0), &[(2, 20.0, 0.0)], (2, 1.0, 1.0));
    }

    #[test]
    fn without_data_the_first_candidate_is_taken() {
        check(&by(90, 95), &[], (7, 1.0, 0.0));
        check(&by(0, 0), &[(1, 1.0, 1.0)], (7, 1.0, 0.0));
        let candidates: Vec<Candidate> = ["a", "b", "c"]
            .map(|model| {
                Candidate::unknown(ModelRef {
                    model: model.into(),
                    ..ModelRef::default()
                })
            })
            .into();
        let request = SelectionRequest::default();
        let input = SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible: &[1, 2],
            request: &request,
        };
        let choice = by(90, 0).select(&input).unwrap();
        assert_eq!(
            (choice.candidate, choice.score, choice.confidence),
            (1, 1.0, 0.0)
        );
        assert_eq!(
            &*choice.reason,
            "No latency stats available; using first candidate as default"
        );
        let choice = LatencyAware::new(None).select(&input).unwrap();
        assert_eq!(
            &*choice.reason,
            "Latency-aware percentile config missing; using first candidate as default"
        );
    }
}

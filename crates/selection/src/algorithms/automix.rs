//! `automix`: the candidate of the highest value, which is quality less a share of its price.
//!
//! ```yaml
//! decisions:
//!   - name: chat
//!     modelRefs: [{ model: small }, { model: large }]
//!     algorithm: { type: automix }
//! global:
//!   router:
//!     model_selection:
//!       automix: { cost_aware_routing: true, cost_quality_tradeoff: 0.3 }   # a decision's own block is not read
//! ```
//!
//! Without `cost_aware_routing` (the default) that is the highest `quality_score`, the cheapest of
//! equals. The probability that an answer passes verification is .7 for every model at first.

use super::method::{Building, Checking, DecisionInput, Method, NO_EFFECT, warn_unread};
use super::ranking::highest;
use super::{Candidate, Choice, SelectionError, SelectionInput, Selector};
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Quality of a model whose card has none.
const QUALITY: f64 = 0.8;
/// Probability of verification at first.
const VERIFIES: f64 = 0.7;
/// Value of a model without a card.
const UNKNOWN: f64 = 0.5;

/// Cost-aware value with a verification probability.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Automix")]
pub struct AutomixConfig {
    /// Probability of verification below which escalation counts.
    pub verification_threshold: f64,
    /// Escalations.
    pub max_escalations: u32,
    /// Let price count.
    pub cost_aware_routing: bool,
    /// Weight of price against quality.
    pub cost_quality_tradeoff: f64,
    /// γ.
    pub discount_factor: f64,
    /// Verify by log probabilities.
    pub use_logprob_verification: bool,
}

impl AutomixConfig {
    /// Reports what is wrong with the block of `global.router.model_selection`.
    pub(super) fn check_process(&self, path: &str, findings: &mut Findings) {
        let parameters = [
            ("max_escalations", self.max_escalations != 0),
            ("use_logprob_verification", self.use_logprob_verification),
            ("discount_factor", self.discount_factor != 0.0),
        ];
        warn_unread(path, &parameters, NO_EFFECT, findings);

        if !self.cost_aware_routing {
            let parameters = [
                ("cost_quality_tradeoff", self.cost_quality_tradeoff != 0.0),
                ("verification_threshold", self.verification_threshold != 0.0),
            ];
            let why = "is read with `cost_aware_routing: true` only";
            warn_unread(path, &parameters, why, findings);
        }
    }
}

/// Values candidates.
#[derive(Debug)]
pub struct Automix {
    cost_aware: bool,
    tradeoff: f64,
    threshold: f64,
    /// Of the request: see [`cost_weight`](DecisionInput::cost_weight).
    cost_weight: f64,
    /// Of each candidate, whether a card or provider entry bears its name.
    known: Vec<bool>,
    reason: Arc<str>,
}

impl Automix {
    /// Builds the algorithm. `config` is the block of `global.router.model_selection`; without it
    /// every parameter is 0 or off.
    #[must_use]
    pub fn new(config: Option<&AutomixConfig>, cost_weight: f64, known: Vec<bool>) -> Self {
        let number = |of: fn(&AutomixConfig) -> f64| {
            config
                .map(of)
                .filter(|number| number.is_finite())
                .unwrap_or_default()
        };
        let cost_aware = config.is_some_and(|config| config.cost_aware_routing);
        let by = if cost_aware {
            "quality against price"
        } else {
            "quality"
        };
        Self {
            cost_aware,
            tradeoff: number(|config| config.cost_quality_tradeoff),
            threshold: number(|config| config.verification_threshold),
            cost_weight,
            known,
            reason: format!("highest value by {by}").into(),
        }
    }

    /// Builds the algorithm for a decision, also as a part of another algorithm.
    pub(super) fn of(decision: &DecisionInput<'_>, building: &Building<'_>) -> Self {
        let candidates = decision.candidates.iter();
        let known = candidates.map(|candidate| building.models.knows_model(&candidate.card.name));
        let config = building
            .process
            .and_then(|process| process.automix.as_ref());
        Self::new(config, decision.cost_weight, known.collect())
    }

    /// Returns a candidate's value; `None` if it is not considered.
    fn value(&self, index: usize, candidate: &Candidate) -> Option<f64> {
        if !self.known.get(index).copied().unwrap_or(false) {
            return (!self.cost_aware).then_some(UNKNOWN);
        }
        let quality = candidate
            .card
            .quality
            .filter(|quality| *quality <= 1.0)
            .unwrap_or(QUALITY);
        if !self.cost_aware {
            return Some(quality);
        }
        let price = candidate.card.prompt_price().unwrap_or(0.0);
        // The reward of escalating starts at 0, and with it that whole term.
        let value = (quality - price / 10.0 * self.tradeoff) / (1.0 + price * self.cost_weight);
        Some(if VERIFIES >= self.threshold {
            value * 1.1
        } else {
            value
        })
    }
}

impl Method for Automix {
    type Block = AutomixConfig;
    const NAME: &'static str = "automix";

    fn check_block(block: &AutomixConfig, checking: &mut Checking<'_>) {
        let message = if block.cost_quality_tradeoff > 0.0 {
            "only `cost_quality_tradeoff` is read here; the other parameters count in `global.router.model_selection.automix`"
        } else {
            "nothing is read here; the parameters count in `global.router.model_selection.automix`"
        };
        let path = checking.at("automix");
        checking.findings.warn(path, message);
    }

    fn build(
        _block: Option<&AutomixConfig>,
        decision: &DecisionInput<'_>,
        building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        Some(Box::new(Self::of(decision, building)))
    }
}

impl Selector for Automix {
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        let value =
            |(index, candidate): (usize, &Candidate)| Some((index, self.value(index, candidate)?));
        let scores: Vec<(usize, f64)> = input
            .among()
            .filter_map(value)
            .filter(|(_, it)| it.is_finite())
            .collect();
        let mut by_price = scores.clone();
        let price = |index: usize| {
            input
                .candidates
                .get(index)
                .and_then(|it| it.card.prompt_price())
                .unwrap_or(0.0)
        };
        by_price.sort_by(|(left, _), (right, _)| price(*left).total_cmp(&price(*right)));
        let (candidate, score) = highest(by_price).ok_or(SelectionError::InvalidOutput)?;
        Ok(Choice {
            candidate,
            score,
            confidence: VERIFIES,
            reason: Arc::clone(&self.reason),
            scores,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::SelectionRequest;
    use crate::candidate::ModelRef;
    use crate::card::{Card, Prices};

    fn candidate((quality, price): (f64, f64)) -> Candidate {
        let card = Card {
            quality: Some(quality).filter(|quality| *quality > 0.0),
            prices: Some(Prices {
                prompt: price,
                ..Prices::default()
            }),
            ..Card::default()
        };
        Candidate {
            card: Arc::new(card),
            ..Candidate::unknown(ModelRef {
                model: "m".into(),
                ..ModelRef::default()
            })
        }
    }

    #[track_caller]
    fn check(
        config: Option<&AutomixConfig>,
        models: &[(f64, f64)],
        eligible: &[usize],
        expected: (usize, f64),
    ) {
        let candidates: Vec<Candidate> = models.iter().copied().map(candidate).collect();
        let known = models.iter().map(|(quality, _)| *quality >= 0.0).collect();
        let request = SelectionRequest::default();
        let input = SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible,
            request: &request,
        };
        let choice = Automix::new(config, 0.5, known).select(&input).unwrap();
        assert_eq!(choice.candidate, expected.0, "{choice:?}");
        assert!((choice.score - expected.1).abs() < 1e-12, "{choice:?}");
        assert_eq!(choice.confidence, 0.7);
    }

    #[test]
    fn by_default_quality_decides_and_price_among_equals() {
        check(None, &[(0.9, 10.0), (0.6, 2.0)], &[0, 1], (0, 0.9));
        check(None, &[(0.9, 10.0), (0.9, 2.0)], &[0, 1], (1, 0.9));
        check(None, &[(0.6, 1.0), (0.0, 0.0)], &[0, 1], (1, 0.8));
        check(None, &[(1.5, 1.0), (0.79, 0.0)], &[0, 1], (0, 0.8));
        check(
            None,
            &[(0.9, 10.0), (0.6, 2.0), (0.7, 2.0)],
            &[1, 2],
            (2, 0.7),
        );
        // A model without a card: half.
        check(None, &[(-1.0, 0.0), (0.4, 0.0)], &[0, 1], (0, 0.5));
    }

    #[test]
    fn price_counts_only_where_the_document_says_so() {
        let config = AutomixConfig {
            cost_aware_routing: true,
            cost_quality_tradeoff: 0.3,
            ..AutomixConfig::default()
        };
        // (.9 − .3)/6·1.1 = .11 and (.6 − .06)/2·1.1 = .297.
        check(
            Some(&config),
            &[(0.9, 10.0), (0.6, 2.0)],
            &[0, 1],
            (1, 0.297),
        );
        let strict = AutomixConfig {
            verification_threshold: 0.8,
            ..config.clone()
        };
        check(
            Some(&strict),
            &[(0.9, 10.0), (0.6, 2.0)],
            &[0, 1],
            (1, 0.27),
        );
        check(
            Some(&config),
            &[(-1.0, 0.0), (0.2, 0.0)],
            &[0, 1],
            (1, 0.22),
        );
        let ignored = AutomixConfig {
            cost_quality_tradeoff: 0.9,
            ..AutomixConfig::default()
        };
        check(
            Some(&ignored),
            &[(0.9, 10.0), (0.6, 2.0)],
            &[0, 1],
            (0, 0.9),
        );
    }
}

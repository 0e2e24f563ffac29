//! `hybrid`: experience, `router_dc` and `automix` together, with a bonus for low prices and for a
//! warm prefix cache.
//!
//! ```yaml
//! decisions:
//!   - name: chat
//!     modelRefs: [{ model: small }, { model: large }]
//!     algorithm:
//!       type: hybrid
//!       hybrid: { router_dc_weight: 0.5, automix_weight: 0.3, cost_weight: 0.4 }
//! ```
//!
//! Each component's scores are spread from 0 to 1, then averaged by weight. As in the reference,
//! experience gives every candidate the same share for ever (its ratings start at 0 and its step is
//! 0), so it only dampens the others. A decision's `cost_weight` acts as its square, since it also
//! sets the request's weight of cost.

use super::affinity;
use super::automix::Automix;
use super::method::{Building, Checking, DecisionInput, Method, NO_EFFECT};
use super::ranking::{Range, highest};
use super::router_dc::RouterDc;
use super::{Candidate, Choice, SelectionError, SelectionInput, Selector};
use document::Findings;
use inference::handle::Embedder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Weights where neither decision nor process gives one.
const EXPERIENCE: f64 = 0.3;
const ROUTER_DC: f64 = 0.3;
const AUTOMIX: f64 = 0.2;
const COST: f64 = 0.2;

/// Weighted mean of experience, `router_dc` and `automix`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Hybrid")]
pub struct HybridConfig {
    /// Weight of experience; 0 means 0.3.
    pub experience_weight: f64,
    /// Weight of `router_dc`; 0 means 0.3.
    pub router_dc_weight: f64,
    /// Weight of `automix`; 0 means 0.2.
    pub automix_weight: f64,
    /// Weight of price; 0 means 0.2.
    pub cost_weight: f64,
    /// Known, without effect.
    pub quality_gap_threshold: f64,
    /// Known; scores are always normalised.
    pub normalize_scores: Option<bool>,
}

impl HybridConfig {
    /// Reports what is wrong with a block, of a decision or of the process.
    pub(super) fn check(&self, path: &str, findings: &mut Findings) {
        if self.experience_weight != 0.0 {
            let message = "experience (elo) gives every candidate the same share for ever, as in the reference: its weight only dampens the others";
            findings.warn(format!("{path}.experience_weight"), message);
        }
        if self.quality_gap_threshold != 0.0 {
            findings.warn(format!("{path}.quality_gap_threshold"), NO_EFFECT);
        }
        if self.normalize_scores == Some(false) {
            findings.warn(
                format!("{path}.normalize_scores"),
                "cannot be switched off: scores are always normalised",
            );
        }
    }
}

/// Averages the components.
pub struct Hybrid {
    weights: Weights,
    /// Of the request: see [`cost_weight`](DecisionInput::cost_weight).
    cost_weight: f64,
    router_dc: RouterDc,
    automix: Automix,
    reason: Arc<str>,
    undescribed: Arc<str>,
}

/// Weights of the components and of price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    experience: f64,
    router_dc: f64,
    automix: f64,
    cost: f64,
}

impl Weights {
    /// Merges the weights: what the decision's block gives wins over the process's; 0 gives
    /// nothing. Below 0 switches a component off.
    #[must_use]
    pub fn new(global: Option<&HybridConfig>, own: Option<&HybridConfig>) -> Self {
        let given = |of: fn(&HybridConfig) -> f64, usual: f64| {
            let numbers = [own, global].into_iter().flatten().map(of);
            numbers
                .into_iter()
                .find(|number| *number != 0.0 && number.is_finite())
                .unwrap_or(usual)
        };
        Self {
            experience: given(|config| config.experience_weight, EXPERIENCE),
            router_dc: given(|config| config.router_dc_weight, ROUTER_DC),
            automix: given(|config| config.automix_weight, AUTOMIX),
            cost: given(|config| config.cost_weight, COST),
        }
    }
}

/// What one component says.
struct Opinion {
    weight: f64,
    winner: usize,
    confidence: f64,
    scores: Vec<(usize, f64)>,
}

impl Hybrid {
    /// Builds the algorithm; `router_dc` and `automix` are made for the same candidates.
    #[must_use]
    pub fn new(weights: Weights, cost_weight: f64, router_dc: RouterDc, automix: Automix) -> Self {
        let reason = "highest mean of experience, router_dc and automix".into();
        let undescribed =
            "highest mean of experience and automix; router_dc had no vector of the user's turn"
                .into();
        Self {
            weights,
            cost_weight,
            router_dc,
            automix,
            reason,
            undescribed,
        }
    }

    fn opinions(&self, input: &SelectionInput<'_>) -> Vec<Opinion> {
        let share = 1.0 / input.eligible.len() as f64;
        let shares = || input.eligible.iter().map(|&index| (index, share)).collect();
        let even = input.eligible.first().map(|&winner| Opinion {
            weight: self.weights.experience,
            winner,
            confidence: 0.5,
            scores: shares(),
        });
        let of = |selector: &dyn Selector, weight: f64| {
            let Choice {
                candidate: winner,
                confidence,
                scores,
                ..
            } = selector.select(input).ok()?;
            Some(Opinion {
                weight,
                winner,
                confidence,
                scores,
            })
        };
        let wanted = |weight: f64| weight > 0.0;
        let router_dc = wanted(self.weights.router_dc)
            .then(|| of(&self.router_dc, self.weights.router_dc))
            .flatten();
        let automix = wanted(self.weights.automix)
            .then(|| of(&self.automix, self.weights.automix))
            .flatten();
        let all = [
            even.filter(|opinion| wanted(opinion.weight)),
            router_dc,
            automix,
        ];
        all.into_iter()
            .flatten()
            .filter(|opinion| !opinion.scores.is_empty())
            .collect()
    }

    /// Returns a factor above 1 for candidates that cost less than the dearest.
    fn bonus(&self, candidate: &Candidate, prices: Option<Range>) -> f64 {
        match (
            candidate
                .card
                .prompt_price()
                .filter(|price| price.is_finite()),
            prices,
        ) {
            (Some(price), Some(prices)) if prices.high > prices.low => {
                1.0 + (1.0 - prices.place(price)) * self.cost_weight * self.weights.cost
            }
            _ => 1.0,
        }
    }
}

/// Returns the weighted mean of the spread scores; a candidate that a component does not score gets
/// nothing from it.
fn combine(opinions: &[Opinion], eligible: &[usize]) -> Vec<(usize, f64)> {
    let total: f64 = opinions.iter().map(|opinion| opinion.weight).sum();
    let mut combined: Vec<(usize, f64)> = eligible.iter().map(|&index| (index, 0.0)).collect();
    for opinion in opinions {
        let Some(range) = Range::of(opinion.scores.iter().map(|(_, score)| *score)) else {
            continue;
        };
        for (index, sum) in &mut combined {
            let score = opinion
                .scores
                .iter()
                .find(|(other, _)| other == index)
                .map(|(_, score)| *score);
            if let Some(score) = score.filter(|score| score.is_finite()) {
                *sum += opinion.weight * range.place(score) / total;
            }
        }
    }
    combined
}

impl Method for Hybrid {
    type Block = HybridConfig;
    const NAME: &'static str = "hybrid";

    fn check_block(block: &HybridConfig, checking: &mut Checking<'_>) {
        let path = checking.at("hybrid");
        block.check(&path, checking.findings);
    }

    fn build(
        block: Option<&HybridConfig>,
        decision: &DecisionInput<'_>,
        building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        let global = building.process.and_then(|process| process.hybrid.as_ref());
        let automix = Automix::of(decision, building);
        Some(Box::new(Self::new(
            Weights::new(global, block),
            decision.cost_weight,
            RouterDc::of(decision, building),
            automix,
        )))
    }
}

impl Selector for Hybrid {
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        let opinions = self.opinions(input);
        if opinions.is_empty() {
            return Err(SelectionError::Failed("no component gave scores".into()));
        }
        let mut scores = combine(&opinions, input.eligible);
        let prices = Range::of(
            input
                .among()
                .filter_map(|(_, candidate)| candidate.card.prompt_price()),
        );
        for ((_, score), (_, candidate)) in scores.iter_mut().zip(input.among()) {
            *score *= self.bonus(candidate, prices);
        }
        affinity::adjust(&mut scores, input);
        let (candidate, score) =
            highest(scores.iter().copied()).ok_or(SelectionError::InvalidOutput)?;
        let count = opinions.len() as f64;
        let agreeing = opinions
            .iter()
            .filter(|opinion| opinion.winner == candidate)
            .count() as f64;
        let sure: f64 = opinions.iter().map(|opinion| opinion.confidence).sum();
        let blind = self.embedder().is_some() && input.request.vector.is_none();
        let reason = Arc::clone(if blind {
            &self.undescribed
        } else {
            &self.reason
        });
        Ok(Choice {
            candidate,
            score,
            confidence: f64::midpoint(agreeing / count, sure / count),
            reason,
            scores,
        })
    }

    fn embedder(&self) -> Option<&Embedder> {
        self.router_dc
            .embedder()
            .filter(|_| self.weights.router_dc > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::SelectionRequest;
    use crate::algorithms::router_dc::Parameters;
    use crate::candidate::ModelRef;
    use crate::card::{Card, Prices};
    use inference::catalog::Bare;

    fn candidate((quality, price): (f64, f64)) -> Candidate {
        let prices = Some(Prices {
            prompt: price,
            ..Prices::default()
        });
        let card = Card {
            quality: Some(quality),
            prices,
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

    fn hybrid(own: Option<&HybridConfig>, cost_weight: f64, vectors: &[&[f32]]) -> Hybrid {
        let vectors: Vec<Arc<[f32]>> = vectors.iter().map(|vector| Arc::from(*vector)).collect();
        let known = vec![true; vectors.len()];
        let router_dc = RouterDc::new(Parameters::new(None, None), Bare::encoder(), vectors);
        let weights = Weights::new(None, own);
        Hybrid::new(
            weights,
            cost_weight,
            router_dc,
            Automix::new(None, cost_weight, known),
        )
    }

    #[track_caller]
    fn check(
        hybrid: &Hybrid,
        models: &[(f64, f64)],
        candidate: usize,
        scores: &[f64],
        confidence: f64,
    ) {
        let candidates: Vec<Candidate> = models.iter().copied().map(self::candidate).collect();
        let eligible: Vec<usize> = (0..models.len()).collect();
        let request = SelectionRequest {
            vector: Some(&[1.0, 0.0]),
            ..SelectionRequest::default()
        };
        let input = SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible: &eligible,
            request: &request,
        };
        let choice = hybrid.select(&input).unwrap();
        assert_eq!(choice.candidate, candidate, "{choice:?}");
        let close = |(score, expected): (&(usize, f64), &f64)| (score.1 - expected).abs() < 1e-9;
        assert!(
            choice.scores.len() == scores.len() && choice.scores.iter().zip(scores).all(close),
            "{choice:?}"
        );
        assert!((choice.confidence - confidence).abs() < 1e-3, "{choice:?}");
    }

    #[test]
    fn cold_candidates_without_descriptions() {
        let models = [(0.9, 10.0), (0.6, 2.0)];
        check(
            &hybrid(None, 0.5, &[&[], &[]]),
            &models,
            0,
            &[0.625, 0.4125],
            0.783,
        );
        // A decision's cost weight acts as its square: 1 + .9·.9 for the cheaper one.
        let costly = HybridConfig {
            cost_weight: 0.9,
            ..HybridConfig::default()
        };
        check(
            &hybrid(Some(&costly), 0.9, &[&[], &[]]),
            &models,
            1,
            &[0.625, 0.375 * 1.81],
            0.283,
        );
        // Equal prices give no bonus.
        check(
            &hybrid(None, 0.5, &[&[], &[]]),
            &[(0.9, 2.0), (0.6, 2.0)],
            0,
            &[0.625, 0.375],
            0.783,
        );
    }

    #[test]
    fn descriptions_take_part() {
        let near: &[&[f32]] = &[&[0.1, 0.995], &[1.0, 0.0]];
        // Experience .5 each, router_dc 0 and 1, automix 1 and 0.
        check(
            &hybrid(None, 0.5, near),
            &[(0.9, 2.0), (0.6, 2.0)],
            1,
            &[0.4375, 0.5625],
            0.525,
        );
    }

    #[test]
    fn components_below_zero_are_off() {
        let models = [(0.9, 2.0), (0.6, 2.0)];
        let only = HybridConfig {
            experience_weight: -1.0,
            router_dc_weight: -1.0,
            ..HybridConfig::default()
        };
        check(
            &hybrid(Some(&only), 0.5, &[&[], &[]]),
            &models,
            0,
            &[1.0, 0.0],
            0.85,
        );
        assert!(
            hybrid(Some(&only), 0.5, &[&[1.0, 0.0], &[]])
                .embedder()
                .is_none()
        );
        let none = HybridConfig {
            automix_weight: -1.0,
            ..only
        };
        let candidates: Vec<Candidate> = models.map(self::candidate).into();
        let request = SelectionRequest::default();
        let input = SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible: &[0, 1],
            request: &request,
        };
        assert!(matches!(
            hybrid(Some(&none), 0.5, &[&[], &[]]).select(&input),
            Err(SelectionError::Failed(_))
        ));
    }

    #[test]
    fn weights_of_the_decision_win_and_zero_gives_nothing() {
        let global = HybridConfig {
            automix_weight: 0.7,
            cost_weight: 0.4,
            ..HybridConfig::default()
        };
        let own = HybridConfig {
            automix_weight: 0.1,
            ..HybridConfig::default()
        };
        let expected = Weights {
            experience: 0.3,
            router_dc: 0.3,
            automix: 0.1,
            cost: 0.4,
        };
        assert_eq!(Weights::new(Some(&global), Some(&own)), expected);
        let usual = Weights {
            experience: 0.3,
            router_dc: 0.3,
            automix: 0.2,
            cost: 0.2,
        };
        assert_eq!(Weights::new(None, Some(&HybridConfig::default())), usual);
    }

    /// What the turn is like is not known: the others decide, and the reason says so.
    #[test]
    fn goes_on_without_a_vector() {
        let candidates: Vec<Candidate> = [(0.6, 2.0), (0.9, 2.0)].map(candidate).into();
        let request = SelectionRequest::default();
        let input = SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible: &[0, 1],
            request: &request,
        };
        let choice = hybrid(None, 0.5, &[&[1.0, 0.0], &[0.0, 1.0]])
            .select(&input)
            .unwrap();
        assert_eq!(choice.candidate, 1);
        assert!(choice.reason.contains("no vector"), "{}", choice.reason);
    }
}

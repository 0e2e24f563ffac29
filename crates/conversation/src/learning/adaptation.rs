//! `routing_sampling`: choice among models by what outcomes have said of them, as the reference
//! does.
//!
//! ```yaml
//! global: {router: {learning: {enabled: true, adaptation: {candidate_set: decision, strategy: routing_sampling}}}}
//! ```
//!
//! Pure: a model's quality is a beta distribution over its good and underpowered outcomes, its mean
//! or a draw from it is the prediction, and price, failures, latency and cache hits move it a
//! little. The base model keeps the request unless another leads by a margin. While drawing is
//! allowed, a model without any outcome goes first, whatever its score: as in the reference,
//! a new model is tried once at once.

use super::beta::Sampler;
use super::rows::Row;

/// Weight of a prior against outcomes.
const SEED_WEIGHT: f64 = 2.0;
/// Prior quality of a model without `quality_score`.
const SEED: f64 = 0.5;
/// What the base model is worth by itself; it settles ties.
const BASE: f64 = 0.001;

/// Models among which adaptation chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CandidateSet {
    /// The decision's candidates.
    #[default]
    Decision,
    /// Candidates of all decisions of its tier; those of the decision where it has none.
    Tier,
    /// All models.
    Global,
}

impl CandidateSet {
    /// Parses a set's word in the document; empty means `decision`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            "" | "decision" => Some(Self::Decision),
            "tier" => Some(Self::Tier),
            "global" => Some(Self::Global),
            _ => None,
        }
    }

    /// Returns the weight of the price: the larger, the wider the set.
    fn cost_factor(self) -> f64 {
        match self {
            Self::Decision => 0.04,
            Self::Tier => 0.06,
            Self::Global => 0.10,
        }
    }

    /// Returns the lead over the base model that a switch needs.
    fn margin(self) -> f64 {
        match self {
            Self::Decision => 0.0,
            Self::Tier => 0.03,
            Self::Global => 0.08,
        }
    }
}

/// A model that may be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Arm<'a> {
    /// Its name, which settles ties.
    pub name: &'a str,
    /// Prompt and completion price, per million tokens each; 0 if unknown.
    pub price: f64,
    /// `quality_score`; `None` if unknown.
    pub quality: Option<f64>,
    /// What is known of it; `None` if nothing is.
    pub row: Option<Row>,
}

/// Why a model was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No other model leads by enough.
    BaseBest,
    /// A draw won.
    SampledWin,
    /// The mean won.
    PosteriorWin,
    /// Nothing was known of it.
    ColdStart,
}

impl Reason {
    /// Returns the word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BaseBest => "base_best",
            Self::SampledWin => "sampled_win",
            Self::PosteriorWin => "posterior_win",
            Self::ColdStart => "cold_start",
        }
    }
}

/// What adaptation proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Index of the arm.
    pub winner: usize,
    /// The reason, for headers and metrics.
    pub reason: Reason,
    /// Scores by arm.
    pub scores: Vec<f64>,
    /// Mean of the winner's quality, 0 to 1.
    pub mean: f64,
}

/// Returns α and β of a model's quality.
#[must_use]
pub fn quality(arm: &Arm<'_>) -> (f64, f64) {
    let counts = arm.row.unwrap_or_default().counts;
    let unjudged = counts.good + counts.under == 0;
    let seed = arm
        .quality
        .filter(|&quality| quality > 0.0 && unjudged)
        .map_or(SEED, |quality| quality.min(1.0));
    (
        SEED_WEIGHT * seed + counts.good as f64 + 1.0,
        SEED_WEIGHT * (1.0 - seed) + counts.under as f64 + 1.0,
    )
}

/// Chooses among `arms`; `base` is the index of the algorithm's choice, if it is among them. With a
/// sampler, qualities are drawn; without one they are means. `None` if there is no arm.
#[must_use]
pub fn choose(
    arms: &[Arm<'_>],
    base: Option<usize>,
    set: CandidateSet,
    sampler: Option<&mut Sampler>,
) -> Option<Choice> {
    let sampled = sampler.is_some();
    let costs = costs(arms, set);
    let scores = scores(arms, base, &costs, sampler);
    let mut order: Vec<usize> = (0..arms.len()).collect();
    order.sort_by(|&a, &b| {
        scores[b]
            .total_cmp(&scores[a])
            .then_with(|| arms[a].name.cmp(arms[b].name))
    });
    let &top = order.first()?;
    let leads = |base: usize| {
        scores[top] >= scores[base] + set.margin() + (costs[top] - costs[base]).max(0.0)
    };
    let winner = base
        .filter(|&base| base != top && !leads(base))
        .unwrap_or(top);
    // In the order of scores: the most promising of those without any outcome.
    let unknown = order
        .iter()
        .copied()
        .find(|&index| sampled && arms[index].row.is_none_or(|row| row.is_blank()));
    let winner = unknown.unwrap_or(winner);
    let reason = match () {
        () if base == Some(winner) => Reason::BaseBest,
        () if unknown.is_some() => Reason::ColdStart,
        () if sampled => Reason::SampledWin,
        () => Reason::PosteriorWin,
    };
    let (alpha, beta) = quality(&arms[winner]);
    Some(Choice {
        winner,
        reason,
        mean: alpha / (alpha + beta),
        scores,
    })
}

/// Returns what each arm's price and input cost take off its score.
fn costs(arms: &[Arm<'_>], set: CandidateSet) -> Vec<f64> {
    let dearest = arms.iter().map(|arm| arm.price).fold(0.0, f64::max);
    let cost = |arm: &Arm<'_>| {
        let price = if dearest > 0.0 {
            (arm.price / dearest).clamp(0.0, 1.0)
        } else {
            0.0
        };
        set.cost_factor() * price + 0.03 * arm.row.unwrap_or_default().input_cost.clamp(0.0, 1.0)
    };
    arms.iter().map(cost).collect()
}

fn scores(
    arms: &[Arm<'_>],
    base: Option<usize>,
    costs: &[f64],
    mut sampler: Option<&mut Sampler>,
) -> Vec<f64> {
    let score = |(index, (arm, cost)): (usize, (&Arm<'_>, &f64))| {
        let (alpha, beta) = quality(arm);
        let predicted = sampler
            .as_mut()
            .map_or(alpha / (alpha + beta), |sampler| sampler.beta(alpha, beta));
        let row = arm.row.unwrap_or_default();
        let total = (row.counts.sum() + 1) as f64;
        let bonus = if base == Some(index) { BASE } else { 0.0 };
        predicted
            - cost
            - 0.03 * row.counts.over as f64 / total
            - 0.10 * row.counts.failed as f64 / total
            - 0.02 * row.latency.clamp(0.0, 1.0)
            + 0.02 * row.cache.clamp(0.0, 1.0)
            + bonus
    };
    arms.iter().zip(costs).enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rows::Counts;
    use super::*;

    fn arm(name: &str, quality: f64, price: f64) -> Arm<'_> {
        Arm {
            name,
            price,
            quality: (quality > 0.0).then_some(quality),
            row: None,
        }
    }

    fn judged(good: u64, under: u64, over: u64, failed: u64) -> Option<Row> {
        Some(Row {
            counts: Counts {
                good,
                under,
                over,
                failed,
            },
            ..Row::default()
        })
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn the_worked_example_without_sampling() {
        let arms = [arm("a", 0.9, 12.0), arm("b", 0.6, 3.0)];
        let choice = choose(&arms, Some(0), CandidateSet::Decision, None).unwrap();
        near(choice.scores[0], 0.70 - 0.04 + 0.001);
        near(choice.scores[1], 0.55 - 0.01);
        near(choice.mean, 0.70);
        assert_eq!((choice.winner, choice.reason), (0, Reason::BaseBest));
    }

    #[test]
    fn each_term_alone() {
        let check = |row: Row, expected: f64| {
            let arms = [Arm {
                row: Some(row),
                ..arm("a", 0.9, 0.0)
            }];
            near(
                choose(&arms, None, CandidateSet::Decision, None)
                    .unwrap()
                    .scores[0],
                expected,
            );
        };
        let blank = Row::default();
        check(blank, 0.70);
        check(judged(1, 0, 0, 0).unwrap(), 3.0 / 5.0);
        check(judged(8, 2, 0, 0).unwrap(), 10.0 / 14.0);
        check(judged(0, 0, 3, 0).unwrap(), 0.70 - 0.03 * 3.0 / 4.0);
        check(judged(0, 0, 0, 3).unwrap(), 0.70 - 0.10 * 3.0 / 4.0);
        check(
            Row {
                input_cost: 0.5,
                ..blank
            },
            0.70 - 0.015,
        );
        check(
            Row {
                input_cost: 9.0,
                ..blank
            },
            0.70 - 0.03,
        );
        check(
            Row {
                latency: 0.5,
                ..blank
            },
            0.70 - 0.01,
        );
        check(
            Row {
                latency: 30.0,
                ..blank
            },
            0.70 - 0.02,
        );
        check(
            Row {
                cache: 0.5,
                ..blank
            },
            0.70 + 0.01,
        );
    }

    /// Checks which model wins: the base `a` (mean .5) or `b` with these outcomes, both free of
    /// charge unless `price` says otherwise.
    fn check_margin(set: CandidateSet, good: u64, under: u64, price: f64, expected: &str) {
        let arms = [
            Arm {
                row: judged(9, 9, 0, 0),
                ..arm("a", 0.0, 0.0)
            },
            Arm {
                row: judged(good, under, 0, 0),
                ..arm("b", 0.0, price)
            },
        ];
        let choice = choose(&arms, Some(0), set, None).unwrap();
        assert_eq!(
            arms[choice.winner].name, expected,
            "{set:?} {good} {under} {price} {:?}",
            choice.scores
        );
    }

    #[test]
    fn margins_by_set() {
        use CandidateSet::{Decision, Global, Tier};
        check_margin(Decision, 10, 9, 0.0, "b");
        check_margin(Tier, 10, 9, 0.0, "a");
        check_margin(Tier, 12, 9, 0.0, "b");
        check_margin(Global, 12, 9, 0.0, "a");
        check_margin(Global, 30, 9, 0.0, "b");
        // A dearer model pays its price twice: in its score and as a margin. .576 - .04 beats .501
        // but not .501 + .04.
        check_margin(Decision, 13, 9, 5.0, "a");
        check_margin(Decision, 16, 9, 5.0, "b");
    }

    #[test]
    fn without_a_base_the_top_wins() {
        let arms = [arm("a", 0.5, 0.0), arm("b", 0.501, 0.0)];
        let choice = choose(&arms, None, CandidateSet::Global, None).unwrap();
        assert_eq!((choice.winner, choice.reason), (1, Reason::PosteriorWin));
        assert_eq!(choose(&[], None, CandidateSet::Global, None), None);
    }

    #[test]
    fn equal_scores_go_by_name() {
        let arms = [arm("b", 0.5, 0.0), arm("a", 0.5, 0.0)];
        assert_eq!(
            choose(&arms, None, CandidateSet::Decision, None)
                .unwrap()
                .winner,
            1
        );
    }

    #[test]
    fn what_is_unknown_is_tried_first_while_sampling() {
        let known = Arm {
            row: judged(900, 1, 0, 0),
            ..arm("a", 0.9, 0.0)
        };
        let arms = [known, arm("b", 0.1, 12.0)];
        let choice = choose(
            &arms,
            Some(0),
            CandidateSet::Global,
            Some(&mut Sampler::seeded(1)),
        )
        .unwrap();
        assert_eq!((choice.winner, choice.reason), (1, Reason::ColdStart));
        let served = Row {
            latency: 0.4,
            ..Row::default()
        };
        let arms = [
            known,
            Arm {
                row: Some(served),
                ..arm("b", 0.1, 12.0)
            },
        ];
        let choice = choose(
            &arms,
            Some(0),
            CandidateSet::Global,
            Some(&mut Sampler::seeded(1)),
        )
        .unwrap();
        assert_eq!((choice.winner, choice.reason), (0, Reason::BaseBest));
    }

    #[test]
    fn draws_follow_the_evidence() {
        let arms = [
            Arm {
                row: judged(20, 20, 0, 0),
                ..arm("a", 0.0, 0.0)
            },
            Arm {
                row: judged(30, 10, 0, 0),
                ..arm("b", 0.0, 0.0)
            },
        ];
        let wins = |seed| {
            let choice = choose(
                &arms,
                Some(0),
                CandidateSet::Decision,
                Some(&mut Sampler::seeded(seed)),
            )
            .unwrap();
            u32::from(choice.reason == Reason::SampledWin)
        };
        let wins: u32 = (0..400).map(wins).sum();
        // P(Beta(32, 12) > Beta(22, 22)) is about .98.
        assert!((370..400).contains(&wins), "{wins} of 400");
    }
}

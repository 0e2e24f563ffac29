//! Why a decision won by the rules of v0.4, as previews and records tell it.

use super::Decisions;
use super::engine::{Rank, Ranking, Strategy, number_order};
use crate::family::ScoreKind;
use crate::report::SignalReport;
use serde::Serialize;
use std::cmp::Ordering;

/// How the winner was found among the matches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionRanking<'a> {
    /// The recipe's strategy.
    pub strategy: &'static str,
    /// Tiers count, as a match has one.
    pub tiered: bool,
    /// The best tier, where tiers count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<i64>,
    /// The scores of all that compete compare.
    pub comparable: bool,
    /// Why they do not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fallback_reason: String,
    /// The kind of the scores, if they compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_kind: Option<&'static str>,
    /// What put the winner before the runner-up.
    pub decided_by: DecidedBy,
    /// The decision that won.
    pub winner: &'a str,
    /// The one that would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_up: Option<&'a str>,
    /// All matches in their order.
    pub candidates: Vec<&'a str>,
    /// The same for people, in one line.
    pub reason: String,
}

/// What puts one match before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// There is no other.
    OnlyCandidate,
    /// The lower tier.
    Tier,
    /// The other matches everything.
    CatchAll,
    /// The higher score.
    Confidence,
    /// The higher priority.
    Priority,
    /// The name.
    Name,
}

impl Decisions {
    /// Explains the winner among the decisions that match; `None` if none does, and under the rules
    /// of v0.3.
    #[must_use]
    pub fn explain(&self, report: &SignalReport) -> Option<DecisionRanking<'_>> {
        if self.ranking != Ranking::V04 {
            return None;
        }
        let decisions = self.decisions.iter().enumerate();
        let ranks = decisions.filter_map(|(index, it)| self.rank(index, it, report));
        let mut ranks: Vec<Rank<'_>> = ranks.collect();
        let tiered = ranks.iter().any(|rank| rank.tier > 0);
        let tier = ranks.iter().map(|rank| rank.tier).min()?;

        let pool = ranks
            .iter()
            .filter(|rank| !rank.is_catch_all && (!tiered || rank.tier == tier));
        let pool: Vec<&Rank<'_>> = pool.collect();
        let spoiler = spoiler(&pool);
        let comparable = spoiler.is_none() && !pool.is_empty();
        let score_kind = pool.first().and_then(|rank| rank.kind);

        ranks.sort_by(|left, right| {
            let tiers = match tiered {
                true => left.tier.cmp(&right.tier),
                false => Ordering::Equal,
            };
            let strategy = match comparable && !left.is_catch_all {
                true => self.strategy.order(),
                false => number_order,
            };
            tiers
                .then_with(|| left.is_catch_all.cmp(&right.is_catch_all))
                .then_with(|| strategy(left, right))
        });
        let (winner, runner_up) = (ranks.first()?, ranks.get(1));
        let by_scores = comparable && !winner.is_catch_all;
        let decided_by = self.decided_by(winner, runner_up, tiered, by_scores);
        Some(DecisionRanking {
            strategy: match self.strategy {
                Strategy::Priority => "priority",
                Strategy::Confidence => "confidence",
            },
            tiered,
            tier: tiered.then_some(tier),
            comparable,
            fallback_reason: spoiler.unwrap_or_default(),
            score_kind: score_kind.filter(|_| comparable).map(ScoreKind::as_str),
            decided_by,
            winner: winner.name,
            runner_up: runner_up.map(|rank| rank.name),
            candidates: ranks.iter().map(|rank| rank.name).collect(),
            reason: reason(decided_by, winner, runner_up),
        })
    }

    fn decided_by(
        &self,
        winner: &Rank<'_>,
        runner_up: Option<&Rank<'_>>,
        tiered: bool,
        by_scores: bool,
    ) -> DecidedBy {
        let Some(other) = runner_up else {
            return DecidedBy::OnlyCandidate;
        };
        let scores_differ = by_scores && winner.confidence != other.confidence;
        if tiered && winner.tier != other.tier {
            DecidedBy::Tier
        } else if winner.is_catch_all != other.is_catch_all {
            DecidedBy::CatchAll
        } else if scores_differ && self.strategy == Strategy::Confidence {
            DecidedBy::Confidence
        } else if winner.priority != other.priority {
            DecidedBy::Priority
        } else if scores_differ {
            DecidedBy::Confidence
        } else {
            DecidedBy::Name
        }
    }
}

/// Who keeps the scores of a pool from being compared, and why.
fn spoiler(pool: &[&Rank<'_>]) -> Option<String> {
    if let Some(rank) = pool.iter().find(|rank| rank.kind.is_none()) {
        return Some(format!("`{}` reports no comparable score", rank.name));
    }
    let first = pool.first()?;
    let other = pool.iter().find(|rank| rank.kind != first.kind)?;
    let kind = |rank: &Rank<'_>| rank.kind.map_or("none", ScoreKind::as_str);
    Some(format!(
        "`{}` reports a {}, `{}` a {}",
        first.name,
        kind(first),
        other.name,
        kind(other)
    ))
}

fn reason(decided_by: DecidedBy, winner: &Rank<'_>, runner_up: Option<&Rank<'_>>) -> String {
    let Some(other) = runner_up else {
        return format!("only `{}` matches", winner.name);
    };
    match decided_by {
        DecidedBy::OnlyCandidate => String::new(),
        DecidedBy::Tier => format!("tier {} < {}", winner.tier, other.tier),
        DecidedBy::CatchAll => format!("`{}` matches everything", other.name),
        DecidedBy::Confidence => {
            format!(
                "confidence {:.4} > {:.4}",
                winner.confidence, other.confidence
            )
        }
        DecidedBy::Priority => format!("priority {} > {}", winner.priority, other.priority),
        DecidedBy::Name => format!("name {} < {}", winner.name, other.name),
    }
}

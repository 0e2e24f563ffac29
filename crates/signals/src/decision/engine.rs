//! The order among matched decisions.

use std::cmp::Ordering;

/// What counts first among matched decisions without tiers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Priority, then confidence, then name.
    #[default]
    Priority,
    /// Confidence, then priority, then name.
    Confidence,
}

impl Strategy {
    /// Reads a recipe's `strategy`; anything but `confidence` means priority.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == "confidence" {
            Self::Confidence
        } else {
            Self::Priority
        }
    }

    /// The order among matches without tiers.
    pub(super) fn order(self) -> fn(&Rank<'_>, &Rank<'_>) -> Ordering {
        match self {
            Self::Priority => priority_order,
            Self::Confidence => confidence_order,
        }
    }
}

/// The winner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decided {
    /// Index in the recipe's decisions.
    pub index: usize,
    /// Confidence of its rule tree.
    pub confidence: f64,
}

/// A matched decision, as the order sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rank<'a> {
    pub(super) index: usize,
    pub(super) confidence: f64,
    pub(super) priority: i64,
    pub(super) tier: i64,
    pub(super) name: &'a str,
}

/// The best match so far under both orders: only after the last match is it known whether tiers
/// count.
#[derive(Debug)]
pub(super) struct Ranking<'a> {
    strategy: Strategy,
    tiered: bool,
    by_tier: Option<Rank<'a>>,
    by_strategy: Option<Rank<'a>>,
}

impl<'a> Ranking<'a> {
    pub(super) fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            tiered: false,
            by_tier: None,
            by_strategy: None,
        }
    }

    pub(super) fn offer(&mut self, rank: Rank<'a>) {
        self.tiered |= rank.tier > 0;
        keep_first(&mut self.by_tier, rank, tier_order);
        keep_first(&mut self.by_strategy, rank, self.strategy.order());
    }

    pub(super) fn winner(self) -> Option<Decided> {
        let winner = if self.tiered {
            self.by_tier
        } else {
            self.by_strategy
        };
        winner.map(|rank| Decided {
            index: rank.index,
            confidence: rank.confidence,
        })
    }
}

fn keep_first<'a>(
    best: &mut Option<Rank<'a>>,
    rank: Rank<'a>,
    order: impl Fn(&Rank<'_>, &Rank<'_>) -> Ordering,
) {
    if best.as_ref().is_none_or(|best| order(&rank, best).is_lt()) {
        *best = Some(rank);
    }
}

/// Untiered matches are tier 0 and so beat every tier: the reference's rule, kept because documents
/// rely on tiers only among tiered decisions.
pub(super) fn tier_order(left: &Rank<'_>, right: &Rank<'_>) -> Ordering {
    left.tier
        .cmp(&right.tier)
        .then_with(|| confidence_order(left, right))
}

fn confidence_order(left: &Rank<'_>, right: &Rank<'_>) -> Ordering {
    descending(left.confidence, right.confidence)
        .then_with(|| right.priority.cmp(&left.priority))
        .then_with(|| left.name.cmp(right.name))
}

fn priority_order(left: &Rank<'_>, right: &Rank<'_>) -> Ordering {
    right
        .priority
        .cmp(&left.priority)
        .then_with(|| descending(left.confidence, right.confidence))
        .then_with(|| left.name.cmp(right.name))
}

fn descending(left: f64, right: f64) -> Ordering {
    right.partial_cmp(&left).unwrap_or(Ordering::Equal)
}

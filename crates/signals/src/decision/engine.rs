//! The order among matched decisions, by the rules of v0.3 and of v0.4.

use crate::family::ScoreKind;
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

/// Rules by which matches are ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ranking {
    /// Every match has a confidence, 1.0 where it has no recorded one; tiers count before the strategy.
    #[default]
    V03,
    /// Only evidence has a score, and scores count only where all that compete compare; what always
    /// matches comes last.
    V04,
}

impl Ranking {
    /// Returns the rules as documents name them.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V03 => "v0.3",
            Self::V04 => "v0.4",
        }
    }
}

/// The winner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decided {
    /// Index in the recipe's decisions.
    pub index: usize,
    /// Confidence of its rule tree; `None` where v0.4 reports none, as the match owes nothing to
    /// evidence, to several leaves of it, or to a failure.
    pub confidence: Option<f64>,
}

/// A matched decision, as the order sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rank<'a> {
    pub(super) index: usize,
    /// The score that counts against others.
    pub(super) confidence: f64,
    /// The confidence that is reported.
    pub(super) reported: Option<f64>,
    pub(super) priority: i64,
    pub(super) tier: i64,
    pub(super) name: &'a str,
    /// It matches everything.
    pub(super) is_catch_all: bool,
    /// The kind of its score, if that compares with others of the kind.
    pub(super) kind: Option<ScoreKind>,
}

impl Rank<'_> {
    fn decided(&self) -> Decided {
        Decided {
            index: self.index,
            confidence: self.reported,
        }
    }
}

/// The best match so far by the rules of v0.3, under both orders: only after the last one is it
/// known whether tiers count.
#[derive(Debug)]
pub(super) struct Matches<'a> {
    strategy: Strategy,
    tiered: bool,
    by_tier: Option<Rank<'a>>,
    by_strategy: Option<Rank<'a>>,
}

impl<'a> Matches<'a> {
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
        winner.map(|rank| rank.decided())
    }
}

/// The best matches so far by the rules of v0.4: of the best tier, and of all.
pub(super) struct Pools<'a> {
    strategy: Strategy,
    tiered: bool,
    tier: i64,
    of_tier: Pool<'a>,
    of_all: Pool<'a>,
}

impl<'a> Pools<'a> {
    pub(super) fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            tiered: false,
            tier: i64::MAX,
            of_tier: Pool::default(),
            of_all: Pool::default(),
        }
    }

    pub(super) fn offer(&mut self, rank: Rank<'a>) {
        self.tiered |= rank.tier > 0;
        self.of_all.offer(rank, self.strategy);
        if rank.tier < self.tier {
            self.tier = rank.tier;
            self.of_tier = Pool::default();
        }
        if rank.tier == self.tier {
            self.of_tier.offer(rank, self.strategy);
        }
    }

    pub(super) fn winner(self) -> Option<Decided> {
        let pool = if self.tiered {
            self.of_tier
        } else {
            self.of_all
        };
        pool.winner().map(|rank| rank.decided())
    }
}

/// Matches that compete with each other.
#[derive(Debug, Default)]
struct Pool<'a> {
    by_score: Option<Rank<'a>>,
    by_numbers: Option<Rank<'a>>,
    is_mixed: bool,
    catch_all: Option<Rank<'a>>,
}

impl<'a> Pool<'a> {
    fn offer(&mut self, rank: Rank<'a>, strategy: Strategy) {
        if rank.is_catch_all {
            return keep_first(&mut self.catch_all, rank, number_order);
        }
        let other = self.by_score.map(|best| best.kind);
        self.is_mixed |= rank.kind.is_none() || other.is_some_and(|kind| kind != rank.kind);
        keep_first(&mut self.by_score, rank, strategy.order());
        keep_first(&mut self.by_numbers, rank, number_order);
    }

    fn winner(self) -> Option<Rank<'a>> {
        let best = if self.is_mixed {
            self.by_numbers
        } else {
            self.by_score
        };
        best.or(self.catch_all)
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

/// The order where scores do not count.
pub(super) fn number_order(left: &Rank<'_>, right: &Rank<'_>) -> Ordering {
    right
        .priority
        .cmp(&left.priority)
        .then_with(|| left.name.cmp(right.name))
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

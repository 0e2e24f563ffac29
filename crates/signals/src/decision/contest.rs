//! Which decisions may still win by the rules of v0.4, and which open facts that depends on.
//!
//! Scores count only where all that compete compare. While that is open, a decision may win that
//! would by scores or without them; where the two disagree about those that may, all that compete
//! are needed.

use super::engine::{self, Rank, Strategy};
use super::grade::{Grade, Prospect};
use super::{Compiled, Decisions};
use crate::report::outlook::{Needs, Number, Outlook};
use crate::rules::OnUnknown;
use std::cmp::Ordering;

/// What is known of a decision.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// It matches; `None` if it may or may not.
    holds: Option<bool>,
    /// The score that counts, wherever it compares.
    score: Number,
    /// Its score compares wherever it matches; `None` if that is open.
    compares: Option<bool>,
}

impl Standing {
    const OUT: Self = Self {
        holds: Some(false),
        score: Number::MISSING,
        compares: Some(false),
    };

    fn is_certain(self) -> bool {
        self.holds == Some(true)
    }

    fn is_possible(self) -> bool {
        self.holds != Some(false)
    }
}

/// One way to order matches.
#[derive(Debug, Clone, Copy)]
struct Order {
    tiered: bool,
    scored: bool,
    strategy: Strategy,
}

impl Order {
    fn compare(self, left: &Rank<'_>, right: &Rank<'_>) -> Ordering {
        let tiers = match self.tiered {
            true => left.tier.cmp(&right.tier),
            false => Ordering::Equal,
        };
        let strategy = match self.scored {
            true => self.strategy.order(),
            false => engine::number_order,
        };
        tiers
            .then_with(|| left.is_catch_all.cmp(&right.is_catch_all))
            .then_with(|| strategy(left, right))
    }

    /// The greatest tier that competes: without tiers only matches of none do.
    fn most(self) -> i64 {
        if self.tiered { i64::MAX } else { 0 }
    }
}

impl Decisions {
    pub(super) fn need_by_score(
        &self,
        outlook: &Outlook<'_>,
        eligible: impl Fn(usize) -> bool,
        needs: &mut Needs,
    ) {
        let standing = |(index, decision): (usize, &Compiled)| match eligible(index) {
            false => Standing::OUT,
            true => self.standing(decision, outlook),
        };
        let standings: Vec<Standing> = self.decisions.iter().enumerate().map(standing).collect();
        let field = Field {
            decisions: self,
            standings: &standings,
        };

        let tiers_perhaps = field.has_tier(Standing::is_possible);
        let tiers_certain = field.has_tier(Standing::is_certain);
        let mut winners = vec![false; standings.len()];
        let mut may_compare = false;
        for (tiered, is_possible) in [(true, tiers_perhaps), (false, !tiers_certain)] {
            let scored = match is_possible {
                true => field.scored(tiered),
                false => &[][..],
            };
            may_compare |= scored.len() > 1;
            for &scored in scored {
                let order = Order {
                    tiered,
                    scored,
                    strategy: self.strategy,
                };
                field.add_winners(order, &mut winners);
            }
        }

        let winners: Vec<usize> = (0..standings.len()).filter(|&at| winners[at]).collect();
        for &index in &winners {
            self.need_standing(index, outlook, true, needs);
        }
        let is_settled = match winners[..] {
            [] => true,
            [only] => standings[only].is_certain(),
            _ => false,
        };
        if is_settled {
            return;
        }
        let open = (0..standings.len()).filter(|&index| standings[index].is_possible());
        if may_compare && field.is_order_open(&winners) {
            open.for_each(|index| self.need_standing(index, outlook, false, needs));
        } else if tiers_perhaps && !tiers_certain {
            let tiered = open.filter(|&index| self.decisions[index].tier > 0);
            tiered.for_each(|index| self.need_standing(index, outlook, false, needs));
        }
    }

    fn standing(&self, decision: &Compiled, outlook: &Outlook<'_>) -> Standing {
        let prospect = match decision.root {
            None => Prospect::ALWAYS,
            Some(root) => {
                let keeps_unknown = decision.on_unknown.is_some();
                self.rules.prospect(root, outlook, keeps_unknown)
            }
        };
        let on_unknown = decision.on_unknown.unwrap_or(OnUnknown::NoMatch);
        let may_compare = decision.kind.is_some()
            && prospect.high == Grade::Yes
            && prospect.score.span.is_some()
            && (prospect.evidence.0..=prospect.evidence.1).contains(&1);
        // A match by a failure lies between a miss and a match by facts.
        let is_real = prospect.low == Grade::Yes;
        let compares = is_real && !prospect.score.missing && prospect.evidence == (1, 1);
        Standing {
            holds: on_unknown.holds_over(prospect),
            score: prospect.score,
            compares: match may_compare {
                false => Some(false),
                true if compares => Some(true),
                true => None,
            },
        }
    }

    /// Adds what decides whether a decision matches and with what score, and its category where
    /// `category` asks for it.
    fn need_standing(
        &self,
        index: usize,
        outlook: &Outlook<'_>,
        category: bool,
        needs: &mut Needs,
    ) {
        let decision = &self.decisions[index];
        if let Some(root) = decision.root {
            let keeps_unknown = decision.on_unknown.is_some();
            self.rules
                .need_judged(root, outlook, keeps_unknown, category, needs);
        }
    }
}

/// Decisions with what is known of each.
struct Field<'a> {
    decisions: &'a Decisions,
    standings: &'a [Standing],
}

impl<'a> Field<'a> {
    fn has_tier(&self, among: impl Fn(Standing) -> bool) -> bool {
        let decisions = self.decisions.decisions.iter().zip(self.standings);
        let mut tiered = decisions.filter(|(decision, _)| decision.tier > 0);
        tiered.any(|(_, standing)| among(*standing))
    }

    /// Whether scores count: both answers while that is open.
    fn scored(&self, tiered: bool) -> &'static [bool] {
        let all = self.decisions.decisions.iter().zip(self.standings);
        let pool: Vec<(&Compiled, &Standing)> = all
            .filter(|(decision, standing)| standing.is_possible() && !decision.is_catch_all)
            .collect();
        let kind = pool.first().and_then(|(decision, _)| decision.kind);
        let is_sure = pool
            .iter()
            .all(|(decision, standing)| standing.compares == Some(true) && decision.kind == kind);
        if is_sure {
            return &[true];
        }
        // Without tiers all certain matches are in one pool.
        let spoils = |(decision, standing): &(&Compiled, &Standing)| {
            let is_in = standing.is_certain() && decision.tier <= 0;
            is_in && standing.compares == Some(false)
        };
        match !tiered && pool.iter().any(spoils) {
            true => &[false],
            false => &[true, false],
        }
    }

    fn rank(&self, index: usize, confidence: f64) -> Rank<'a> {
        let decision = &self.decisions.decisions[index];
        Rank {
            index,
            confidence,
            reported: None,
            priority: decision.priority,
            tier: decision.tier,
            name: &decision.name,
            is_catch_all: decision.is_catch_all,
            kind: decision.kind,
        }
    }

    /// Marks those that may win by an order: not even their greatest score would put them behind
    /// the first of those that match for certain, each at its least score.
    fn add_winners(&self, order: Order, winners: &mut [bool]) {
        let certain = (0..self.standings.len()).filter(|&index| self.standings[index].is_certain());
        let least = |index: usize| {
            let span = self.standings[index].score.span;
            self.rank(index, span.map_or(f64::NEG_INFINITY, |span| span.low))
        };
        let champion = certain
            .map(least)
            .filter(|rank| rank.tier <= order.most())
            .min_by(|left, right| order.compare(left, right));
        for (index, standing) in self.standings.iter().enumerate() {
            let span = standing.score.span;
            let greatest = self.rank(index, span.map_or(f64::INFINITY, |span| span.high));
            if !standing.is_possible() || greatest.tier > order.most() {
                continue;
            }
            winners[index] |= champion.is_none_or(|champion| {
                champion.index == index || order.compare(&champion, &greatest).is_gt()
            });
        }
    }

    /// Two of those that may win stand in another order by scores than without them.
    fn is_order_open(&self, winners: &[usize]) -> bool {
        let decisions = winners
            .iter()
            .map(|&index| &self.decisions.decisions[index]);
        let decisions: Vec<&Compiled> = decisions.filter(|it| !it.is_catch_all).collect();
        let mut pairs = decisions.iter().enumerate().flat_map(|(at, one)| {
            let others = decisions.iter().skip(at + 1);
            others.map(move |other| (one, other))
        });
        pairs.any(|(one, other)| match self.decisions.strategy {
            Strategy::Confidence => true,
            Strategy::Priority => one.priority == other.priority,
        })
    }
}

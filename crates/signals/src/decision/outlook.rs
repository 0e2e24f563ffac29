//! Decisions over facts that are not all final: which may still win, and which open facts that
//! depends on.
//!
//! Trees are read in Kleene's logic with bounds on their confidence. A decision may win if no other
//! that holds for certain precedes it whatever the open numbers turn out to be. The outcome
//! (winner, confidence, category) is a function of the facts that the possible winners and the
//! tiers need; where none of those is open it is settled.

use super::engine::{self, Rank, Ranking};
use super::grade::{Grade, Prospect};
use super::rule::{Op, Rules};
use super::{Compiled, Decisions, UNKNOWN_MATCH};
use crate::report::outlook::{Needs, Outlook, Span};
use crate::rules::OnUnknown;
use std::cmp::Ordering;

/// What is known of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    /// It holds; `None` if it may or may not.
    pub(super) holds: Option<bool>,
    /// Bounds of its confidence wherever it holds.
    pub(super) confidence: Span,
}

impl Verdict {
    const NO: Self = Self {
        holds: Some(false),
        confidence: Span {
            low: 0.0,
            high: 0.0,
        },
    };

    fn new(holds: Option<bool>, confidence: Span) -> Self {
        Self { holds, confidence }
    }

    fn is_certain(self) -> bool {
        self.holds == Some(true)
    }

    fn is_possible(self) -> bool {
        self.holds != Some(false)
    }

    /// Nothing more can change it.
    fn is_settled(self) -> bool {
        match self.holds {
            Some(holds) => !holds || self.confidence.is_exact(),
            None => false,
        }
    }
}

impl Decisions {
    /// Adds the open facts on which the outcome among the `eligible` decisions still depends: none
    /// if it is settled. The outcome is the decision that fails the request or, if there is none,
    /// winner, confidence and category.
    pub fn need(&self, outlook: &Outlook<'_>, eligible: impl Fn(usize) -> bool, needs: &mut Needs) {
        if self.need_failures(outlook, &eligible, needs) {
            return;
        }
        match self.ranking {
            Ranking::V03 => self.need_by_confidence(outlook, eligible, needs),
            Ranking::V04 => self.need_by_score(outlook, eligible, needs),
        }
    }

    /// Adds what decides which decision fails the request, and tells whether one does for certain.
    fn need_failures(
        &self,
        outlook: &Outlook<'_>,
        eligible: &impl Fn(usize) -> bool,
        needs: &mut Needs,
    ) -> bool {
        for (index, decision) in self.decisions.iter().enumerate() {
            let fails = decision.on_unknown == Some(OnUnknown::FailRequest);
            let Some(root) = decision.root.filter(|_| fails && eligible(index)) else {
                continue;
            };
            let prospect = self.rules.prospect(root, outlook, true);
            let may_be_unknown = prospect.low <= Grade::Unknown && prospect.high >= Grade::Unknown;
            if may_be_unknown && prospect.is_graded() {
                return true;
            }
            if may_be_unknown {
                self.rules.need_grade(root, outlook, true, needs);
            }
        }
        false
    }

    /// What is known of a decision by the rules of v0.3.
    fn verdict(&self, decision: &Compiled, outlook: &Outlook<'_>) -> Verdict {
        let Some(root) = decision.root else {
            return Verdict::new(Some(true), Span::of(0.0));
        };
        let verdict = self.rules.foresee(root, outlook);
        let Some(on_unknown) = decision.on_unknown else {
            return verdict;
        };
        let prospect = self.rules.prospect(root, outlook, true);
        let holds = on_unknown.holds_over(prospect);
        let may_be_unknown = prospect.low <= Grade::Unknown && prospect.high >= Grade::Unknown;
        let assumed = Span::of(UNKNOWN_MATCH);
        let confidence = match on_unknown {
            OnUnknown::Match if may_be_unknown && prospect.is_graded() => assumed,
            OnUnknown::Match if may_be_unknown => verdict.confidence.join(assumed),
            _ => verdict.confidence,
        };
        Verdict::new(holds, confidence)
    }

    fn need_by_confidence(
        &self,
        outlook: &Outlook<'_>,
        eligible: impl Fn(usize) -> bool,
        needs: &mut Needs,
    ) {
        let verdict = |(index, decision): (usize, &Compiled)| match eligible(index) {
            false => Verdict::NO,
            true => self.verdict(decision, outlook),
        };
        let verdicts: Vec<Verdict> = self.decisions.iter().enumerate().map(verdict).collect();
        let contest = Contest {
            decisions: self,
            verdicts: &verdicts,
        };
        let (tiers_perhaps, tiers_certain) = (
            contest.has_tier(Verdict::is_possible),
            contest.has_tier(Verdict::is_certain),
        );
        let by_tier = tiers_perhaps.then(|| contest.champion(engine::tier_order, i64::MAX));
        let by_strategy = (!tiers_certain).then(|| contest.champion(self.strategy.order(), 0));
        let wins = |index: usize| {
            by_tier.is_some_and(|champion| {
                contest.may_win(index, champion, engine::tier_order, i64::MAX)
            }) || by_strategy
                .is_some_and(|champion| contest.may_win(index, champion, self.strategy.order(), 0))
        };
        let mut candidates = 0_usize;
        let mut certain = false;
        for index in (0..verdicts.len()).filter(|&index| wins(index)) {
            candidates += 1;
            certain |= verdicts[index].is_certain();
            if let Some(root) = self.decisions[index].root {
                self.rules.need_outcome(root, outlook, true, needs);
                if self.decisions[index].on_unknown.is_some() {
                    self.rules.need_grade(root, outlook, true, needs);
                }
            }
        }
        // One possible winner that holds wins under either order.
        let settled = candidates <= 1 && certain;
        if tiers_perhaps && !tiers_certain && !settled {
            for decision in self
                .decisions
                .iter()
                .zip(&verdicts)
                .filter(|(_, verdict)| verdict.holds.is_none())
            {
                let Some(root) = decision.0.root.filter(|_| decision.0.tier > 0) else {
                    continue;
                };
                match decision.0.on_unknown {
                    None => self.rules.need_match(root, outlook, needs),
                    Some(_) => self.rules.need_grade(root, outlook, true, needs),
                }
            }
        }
    }
}

impl OnUnknown {
    /// Whether a decision with this policy matches; `None` if it may or may not.
    pub(super) fn holds_over(self, prospect: Prospect) -> Option<bool> {
        let matches =
            |grade: Grade| grade.holds() || grade == Grade::Unknown && self == Self::Match;
        match (matches(prospect.low), matches(prospect.high)) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        }
    }
}

type Order = fn(&Rank<'_>, &Rank<'_>) -> Ordering;

/// Decisions with what is known of each.
struct Contest<'a> {
    decisions: &'a Decisions,
    verdicts: &'a [Verdict],
}

impl<'a> Contest<'a> {
    fn has_tier(&self, among: impl Fn(Verdict) -> bool) -> bool {
        self.decisions
            .decisions
            .iter()
            .zip(self.verdicts)
            .any(|(decision, verdict)| decision.tier > 0 && among(*verdict))
    }

    fn rank(&self, index: usize, confidence: f64) -> Rank<'a> {
        let Compiled {
            name,
            priority,
            tier,
            ..
        } = &self.decisions.decisions[index];
        Rank {
            index,
            confidence,
            reported: None,
            priority: *priority,
            tier: *tier,
            name,
            is_catch_all: false,
            kind: None,
        }
    }

    /// The first of those that hold for certain, each at its least confidence: whatever one of them
    /// precedes for certain, this one does too. Only up to tier `most`.
    fn champion(&self, order: Order, most: i64) -> Option<Rank<'a>> {
        let certain = (0..self.verdicts.len()).filter(|&index| self.verdicts[index].is_certain());
        let ranks = certain.map(|index| self.rank(index, self.verdicts[index].confidence.low));
        ranks.filter(|rank| rank.tier <= most).min_by(order)
    }

    /// Not even its greatest confidence would put it behind the champion. Without tiers only those
    /// of none compete.
    fn may_win(&self, index: usize, champion: Option<Rank<'_>>, order: Order, most: i64) -> bool {
        let verdict = self.verdicts[index];
        let rank = self.rank(index, verdict.confidence.high);
        verdict.is_possible()
            && rank.tier <= most
            && champion
                .is_none_or(|champion| champion.index == index || order(&champion, &rank).is_gt())
    }
}

impl Rules {
    /// What is known of a tree.
    fn foresee(&self, at: usize, outlook: &Outlook<'_>) -> Verdict {
        match self.op(at) {
            Op::Leaf(leaf) => {
                let (holds, confidence) = self.foresee_leaf(leaf, outlook);
                Verdict::new(holds, confidence)
            }
            Op::And => self.foresee_all(at, outlook),
            Op::Or => self.foresee_any(at, outlook),
            Op::Not => match self
                .only_child(at)
                .map(|child| self.foresee(child, outlook).holds)
            {
                Some(holds) => Verdict::new(holds.map(|holds| !holds), Span::of(1.0)),
                None => Verdict::NO,
            },
        }
    }

    /// The mean, summed in the order of the evaluation.
    fn foresee_all(&self, at: usize, outlook: &Outlook<'_>) -> Verdict {
        let (mut holds, mut sum, mut count) = (Some(true), Span::of(0.0), 0_u32);
        for child in self.children(at) {
            let verdict = self.foresee(child, outlook);
            if !verdict.is_possible() {
                return Verdict::NO;
            }
            holds = holds.and(verdict.holds);
            sum = sum.plus(verdict.confidence);
            count += 1;
        }
        let divisor = f64::from(count.max(1));
        Verdict::new(holds, Span::new(sum.low / divisor, sum.high / divisor))
    }

    /// At least the best of those that hold, or the worst of all that may; at most the best of all
    /// that may.
    fn foresee_any(&self, at: usize, outlook: &Outlook<'_>) -> Verdict {
        let (mut best_certain, mut span): (Option<f64>, Option<Span>) = (None, None);
        for verdict in self.children(at).map(|child| self.foresee(child, outlook)) {
            if verdict.is_possible() {
                span = Some(span.map_or(verdict.confidence, |span| span.join(verdict.confidence)));
            }
            if verdict.is_certain() {
                let low = verdict.confidence.low;
                best_certain = Some(best_certain.map_or(low, |best| best.max(low)));
            }
        }
        match (span, best_certain) {
            (None, _) => Verdict::NO,
            (Some(span), Some(low)) => Verdict::new(Some(true), Span::new(low, span.high)),
            (Some(span), None) => Verdict::new(None, span),
        }
    }

    /// Adds what decides whether a tree holds.
    fn need_match(&self, at: usize, outlook: &Outlook<'_>, needs: &mut Needs) {
        if self.foresee(at, outlook).holds.is_some() {
            return;
        }
        match self.op(at) {
            Op::Leaf(leaf) => self.need_leaf(leaf, needs),
            _ => self
                .children(at)
                .for_each(|child| self.need_match(child, outlook, needs)),
        }
    }

    /// Adds what decides whether a tree holds and how sure it is, and its category where `category`
    /// asks for it.
    fn need_outcome(&self, at: usize, outlook: &Outlook<'_>, category: bool, needs: &mut Needs) {
        let verdict = self.foresee(at, outlook);
        let category = category && self.has_category(at);
        if verdict.is_settled()
            && (!category || !verdict.is_possible() || self.is_path_settled(at, outlook))
        {
            return;
        }
        match self.op(at) {
            Op::Leaf(leaf) => self.need_leaf(leaf, needs),
            Op::Not => self.need_match(at, outlook, needs),
            Op::And => {
                for child in self.children(at) {
                    self.need_outcome(child, outlook, category, needs);
                }
            }
            Op::Or => {
                for child in self.children(at) {
                    if self.may_be_best(at, child, outlook, category) {
                        self.need_outcome(child, outlook, category, needs);
                    }
                }
            }
        }
    }

    /// No other child of an OR that holds for certain is at least as sure. Of equals the first is
    /// best, which only the category shows.
    fn may_be_best(&self, at: usize, child: usize, outlook: &Outlook<'_>, category: bool) -> bool {
        let high = self.foresee(child, outlook).confidence.high;
        !self
            .children(at)
            .filter(|&other| other != child)
            .any(|other| {
                let verdict = self.foresee(other, outlook);
                verdict.is_certain()
                    && reaches(verdict.confidence.low, high, category && other > child)
            })
    }

    /// The leaves that a tree that holds owes its confidence to are known.
    fn is_path_settled(&self, at: usize, outlook: &Outlook<'_>) -> bool {
        match self.op(at) {
            Op::Leaf(_) | Op::Not => true,
            Op::And => self
                .children(at)
                .all(|child| self.is_path_settled(child, outlook)),
            Op::Or => {
                let best = self
                    .children(at)
                    .find(|&child| self.is_best(at, child, outlook));
                best.is_some_and(|best| self.is_path_settled(best, outlook))
            }
        }
    }

    /// A child of an OR holds for certain and beats every other.
    fn is_best(&self, at: usize, child: usize, outlook: &Outlook<'_>) -> bool {
        let Verdict { holds, confidence } = self.foresee(child, outlook);
        let beats = |other: usize| {
            let verdict = self.foresee(other, outlook);
            !verdict.is_possible()
                || reaches(confidence.low, verdict.confidence.high, other < child)
        };
        holds == Some(true) && self.children(at).filter(|&other| other != child).all(beats)
    }
}

/// At least as much, or more where only that counts.
fn reaches(number: f64, other: f64, strictly: bool) -> bool {
    if strictly {
        number > other
    } else {
        number >= other
    }
}

//! Decisions: which of the recipe's rule trees hold, and which of those wins.
//!
//! Trees are compiled once to flat arrays (`rule`); [`Decisions::decide`] walks them without
//! allocating, orders the matches (`engine`) and returns an index and a confidence. What matched
//! and why (`trace`) is computed again, only when somebody asks.

mod conditions;
mod contest;
mod engine;
mod explained;
mod foresight;
mod grade;
mod outlook;
mod rule;
mod trace;

#[cfg(test)]
mod tests;

pub use conditions::Conditions;
pub use engine::{Decided, Ranking, Strategy};
pub use explained::{DecidedBy, DecisionRanking};
pub use trace::{DecisionTrace, TraceNode};

use crate::declared::Declared;
use crate::family::ScoreKind;
use crate::report::outlook::Outlook;
use crate::report::{Keys, Kind, SignalReport};
use crate::rules::{OnUnknown, RuleNode};
use document::Problem;
use engine::{Matches, Pools, Rank};
use grade::{Grade, Judged};
use rule::{Op, Rules};

/// What a decision owes its match to where a failure leaves it open and that counts as a match.
const ON_UNKNOWN_MATCH: &str = "on_unknown:match";

/// Confidence of a decision whose unknown tree counts as a match, by the rules of v0.3: that of any
/// match without a confidence.
const UNKNOWN_MATCH: f64 = 1.0;

/// A decision as far as it takes part in the choice of a winner.
#[derive(Debug, Clone, Copy)]
pub struct DecisionSpec<'a> {
    /// Unique name; the last tie breaker.
    pub name: &'a str,
    /// Higher wins under the priority strategy.
    pub priority: i64,
    /// Lower wins as soon as any matched decision has a tier above 0.
    pub tier: i64,
    /// When it applies; `None` means always.
    pub rules: Option<&'a RuleNode>,
}

/// The decisions of one recipe, compiled.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    strategy: Strategy,
    ranking: Ranking,
    rules: Rules,
    decisions: Vec<Compiled>,
}

#[derive(Debug, Clone)]
struct Compiled {
    name: Box<str>,
    priority: i64,
    tier: i64,
    /// Root node; `None` always matches, with confidence 0.
    root: Option<usize>,
    /// What it means that a failure leaves the tree open; `None` where each leaf says that itself.
    on_unknown: Option<OnUnknown>,
    /// The kind of all scores that the tree can report.
    kind: Option<ScoreKind>,
    /// It matches everything.
    is_catch_all: bool,
}

impl Decisions {
    /// Compiles `decisions`; every name that a leaf speaks of is interned.
    ///
    /// # Errors
    /// Trees that are nested too deeply, by their paths below the recipe's block.
    pub fn build<'a>(
        decisions: impl IntoIterator<Item = DecisionSpec<'a>>,
        strategy: Strategy,
        ranking: Ranking,
        keys: &mut Keys,
        declared: &Declared,
    ) -> Result<Self, Vec<Problem>> {
        let mut built = Self {
            strategy,
            ranking,
            ..Self::default()
        };
        let mut problems = Vec::new();
        for (index, decision) in decisions.into_iter().enumerate() {
            let root = match decision.rules {
                Some(tree) if !rule::is_blank(tree) => {
                    match built.rules.compile(tree, keys, declared) {
                        Ok(root) => Some(root),
                        Err(too_deep) => {
                            let path = format!("decisions[{index}].rules");
                            problems.push(Problem::error(path, too_deep.to_string()));
                            continue;
                        }
                    }
                }
                _ => None,
            };
            let is_empty = |root| {
                built.rules.op(root) == Op::And && built.rules.children(root).next().is_none()
            };
            let on_unknown = decision.rules.and_then(|tree| tree.on_unknown());
            built.decisions.push(Compiled {
                name: decision.name.into(),
                priority: decision.priority,
                tier: decision.tier,
                on_unknown: on_unknown.filter(|_| root.is_some()),
                kind: root.and_then(|root| built.rules.score_kind(root)),
                is_catch_all: root.is_none_or(is_empty),
                root,
            });
        }
        if problems.is_empty() {
            Ok(built)
        } else {
            Err(problems)
        }
    }

    /// The winner among all decisions whose rules hold. Allocates nothing.
    #[must_use]
    pub fn decide(&self, report: &SignalReport) -> Option<Decided> {
        self.decide_among(report, |_| true)
    }

    /// The winner among those decisions that `eligible` lets compete, by index.
    pub fn decide_among(
        &self,
        report: &SignalReport,
        eligible: impl Fn(usize) -> bool,
    ) -> Option<Decided> {
        let decisions = self.decisions.iter().enumerate();
        let eligible = decisions.filter(|(index, _)| eligible(*index));
        let ranks = eligible.filter_map(|(index, it)| self.rank(index, it, report));
        match self.ranking {
            Ranking::V03 => {
                let mut matches = Matches::new(self.strategy);
                ranks.for_each(|rank| matches.offer(rank));
                matches.winner()
            }
            Ranking::V04 => {
                let mut pools = Pools::new(self.strategy);
                ranks.for_each(|rank| pools.offer(rank));
                pools.winner()
            }
        }
    }

    /// Those of the `eligible` decisions that a failure leaves open, with what that means for each.
    #[must_use]
    pub fn unknown(
        &self,
        outlook: &Outlook<'_>,
        eligible: impl Fn(usize) -> bool,
    ) -> Vec<(usize, OnUnknown)> {
        let decisions = self.decisions.iter().enumerate();
        let decisions = decisions.filter(|(index, _)| eligible(*index));
        let unknown = decisions.filter_map(|(index, decision)| {
            let on_unknown = decision.on_unknown?;
            let prospect = self.rules.prospect(decision.root?, outlook, true);
            let is_unknown = prospect.is_graded() && prospect.low == Grade::Unknown;
            is_unknown.then_some((index, on_unknown))
        });
        unknown.collect()
    }

    /// Some decision says what it means that a failure leaves it open.
    #[must_use]
    pub fn keep_unknown(&self) -> bool {
        self.decisions.iter().any(|it| it.on_unknown.is_some())
    }

    /// The rules by which matches are ranked.
    #[must_use]
    pub fn ranking(&self) -> Ranking {
        self.ranking
    }

    /// The leaves to which a matched decision owes its confidence, as the document writes them
    /// (`type:name[:label]`): all below AND, the best child below OR, none below NOT.
    #[must_use]
    pub fn matched_rules(&self, index: usize, report: &SignalReport) -> Vec<&str> {
        let mut rules = Vec::new();
        self.visit_matched(index, report, &mut |rule| rules.push(rule));
        rules
    }

    /// The category of a request that this decision won: its first matched rule that starts with
    /// `domain:`.
    #[must_use]
    pub fn category(&self, index: usize, report: &SignalReport) -> Option<&str> {
        let mut category = None;
        self.visit_matched(index, report, &mut |rule| {
            category = category.or_else(|| rule::category(rule));
        });
        category
    }

    /// Every leaf of a decision's tree, depth first, leaves below NOT included: its family and its
    /// name as written. Leaves of unknown type are passed over.
    pub fn leaves(&self, index: usize) -> impl Iterator<Item = (Kind, &str)> {
        self.decisions[index]
            .root
            .into_iter()
            .flat_map(|root| self.rules.leaves(root))
    }

    /// The name of a decision.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        &self.decisions[index].name
    }

    /// How many decisions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.decisions.len()
    }

    /// The recipe has no decision.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    /// A decision as the order sees it, if it matches.
    fn rank<'a>(
        &'a self,
        index: usize,
        decision: &'a Compiled,
        report: &SignalReport,
    ) -> Option<Rank<'a>> {
        let rank = |confidence, reported, kind| Rank {
            index,
            confidence,
            reported,
            priority: decision.priority,
            tier: decision.tier,
            name: &decision.name,
            is_catch_all: decision.is_catch_all,
            kind,
        };
        if self.ranking == Ranking::V03 {
            let confidence = self.confidence(decision, report)?;
            return Some(rank(confidence, Some(confidence), None));
        }
        let judged = self.judge(decision, report);
        if judged.grade == Grade::Unknown && decision.on_unknown == Some(OnUnknown::Match) {
            return Some(rank(0.0, None, None));
        }
        if !judged.grade.holds() {
            return None;
        }
        let is_alone = judged.grade == Grade::Yes && judged.evidence == 1;
        let reported = judged.score.filter(|_| is_alone);
        Some(rank(
            reported.unwrap_or(0.0),
            reported,
            decision.kind.filter(|_| reported.is_some()),
        ))
    }

    fn judge(&self, decision: &Compiled, report: &SignalReport) -> Judged {
        match decision.root {
            None => Judged::ALWAYS,
            Some(root) => self
                .rules
                .judge(root, report, decision.on_unknown.is_some()),
        }
    }

    /// The confidence of a decision that matches, by the rules of v0.3.
    fn confidence(&self, decision: &Compiled, report: &SignalReport) -> Option<f64> {
        let Some(root) = decision.root else {
            return Some(0.0);
        };
        if decision.on_unknown.is_some() && report.has_failures() {
            let grade = self.rules.judge(root, report, true).grade;
            return match grade {
                Grade::Unknown => {
                    (decision.on_unknown == Some(OnUnknown::Match)).then_some(UNKNOWN_MATCH)
                }
                // A tree that holds does so whatever the unknown leaves are taken for.
                _ if grade.holds() => self.rules.evaluate(root, report),
                _ => None,
            };
        }
        self.rules.evaluate(root, report)
    }

    fn visit_matched<'a>(
        &'a self,
        index: usize,
        report: &SignalReport,
        found: &mut dyn FnMut(&'a str),
    ) {
        let decision = &self.decisions[index];
        let Some(root) = decision.root else {
            return;
        };
        let keeps_unknown = decision.on_unknown.is_some();
        if self.ranking == Ranking::V03 && !keeps_unknown {
            if self.rules.evaluate(root, report).is_some() {
                self.rules.visit_matched(root, report, found);
            }
            return;
        }
        match self.judge(decision, report).grade {
            Grade::Unknown if decision.on_unknown == Some(OnUnknown::Match) => {
                found(ON_UNKNOWN_MATCH)
            }
            grade if !grade.holds() => {}
            _ if self.ranking == Ranking::V03 => self.rules.visit_matched(root, report, found),
            _ => self.rules.visit_judged(root, report, keeps_unknown, found),
        }
    }
}

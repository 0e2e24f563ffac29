//! Decisions: which of the recipe's rule trees hold, and which of those wins.
//!
//! Trees are compiled once to flat arrays (`rule`); [`Decisions::decide`] walks them without
//! allocating, orders the matches (`engine`) and returns an index and a confidence. What matched
//! and why (`trace`) is computed again, only when somebody asks.

mod conditions;
mod engine;
mod outlook;
mod rule;
mod trace;

#[cfg(test)]
mod tests;

pub use conditions::Conditions;
pub use engine::{Decided, Strategy};
pub use trace::{DecisionTrace, TraceNode};

use crate::declared::Declared;
use crate::report::{Keys, Kind, SignalReport};
use crate::rules::RuleNode;
use document::Problem;
use engine::Rank;
use rule::Rules;

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
}

impl Decisions {
    /// Compiles `decisions`; every name that a leaf speaks of is interned.
    ///
    /// # Errors
    /// Trees that are nested too deeply, by their paths below the recipe's block.
    pub fn build<'a>(
        decisions: impl IntoIterator<Item = DecisionSpec<'a>>,
        strategy: Strategy,
        keys: &mut Keys,
        declared: &Declared,
    ) -> Result<Self, Vec<Problem>> {
        let mut built = Self {
            strategy,
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
            built.decisions.push(Compiled {
                name: decision.name.into(),
                priority: decision.priority,
                tier: decision.tier,
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
        let mut ranking = engine::Ranking::new(self.strategy);
        for (index, decision) in self.decisions.iter().enumerate() {
            if !eligible(index) {
                continue;
            }
            if let Some(confidence) = self.confidence(decision, report) {
                ranking.offer(Rank {
                    index,
                    confidence,
                    priority: decision.priority,
                    tier: decision.tier,
                    name: &decision.name,
                });
            }
        }
        ranking.winner()
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

    fn confidence(&self, decision: &Compiled, report: &SignalReport) -> Option<f64> {
        match decision.root {
            None => Some(0.0),
            Some(root) => self.rules.evaluate(root, report),
        }
    }

    fn visit_matched<'a>(
        &'a self,
        index: usize,
        report: &SignalReport,
        found: &mut dyn FnMut(&'a str),
    ) {
        let root = self.decisions[index].root;
        if let Some(root) = root.filter(|&root| self.rules.evaluate(root, report).is_some()) {
            self.rules.visit_matched(root, report, found);
        }
    }
}

//! Counts and sums over many records, folded of groups of records that are alike.

use super::facts::Facts;
use crate::ledger::{Measure, Sums, decision_key};
use crate::record::Lifecycle;
use std::collections::{BTreeMap, BTreeSet};

/// Records that are alike in all that aggregates ask for, with their sums. A store that can group
/// hands out groups; one that cannot, one group a record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// How far the requests have come.
    pub lifecycle: Lifecycle,
    /// The recipe.
    pub recipe: String,
    /// The decision.
    pub decision: String,
    /// The model that the requests went to.
    pub selected_model: String,
    /// The currency of their cost.
    pub currency: String,
    /// Signals that matched in each of them, by family.
    pub signals: BTreeMap<String, u64>,
    /// The sums over all of them.
    pub sums: Sums,
}

impl From<&Facts> for Group {
    fn from(facts: &Facts) -> Self {
        Self {
            lifecycle: facts.lifecycle,
            recipe: facts.recipe.clone(),
            decision: facts.decision.clone(),
            selected_model: facts.selected_model.clone(),
            currency: facts.currency.clone(),
            signals: facts.signals.clone(),
            sums: facts.sums,
        }
    }
}

/// What a store knows of the records that a filter takes, and the names among all its records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aggregate {
    /// Sums over all of them.
    pub sums: Sums,
    /// Requests by how far they have come.
    pub lifecycle: BTreeMap<i32, u64>,
    /// Sums of completed requests with a cost and a baseline, by currency.
    pub spend: BTreeMap<String, Sums>,
    /// Sums by the decision's key; empty for requests without one.
    pub decisions: BTreeMap<String, Sums>,
    /// Sums by the model that served.
    pub models: BTreeMap<String, Sums>,
    /// Signals that matched, by family.
    pub signals: BTreeMap<String, u64>,
    /// The names that records have, whether the filter takes them or not.
    pub available: Names,
}

/// Names that a filter may ask for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names {
    /// Recipes.
    pub recipes: BTreeSet<String>,
    /// Keys of decisions.
    pub decisions: BTreeSet<String>,
    /// Models, selected and asked for.
    pub models: BTreeSet<String>,
}

impl Names {
    /// Takes the names of a record; empty ones count as absent.
    pub fn add(&mut self, name: &Name<'_>) {
        let mut insert = |set: Set, name: &str| {
            if !name.is_empty() {
                let set = match set {
                    Set::Recipes => &mut self.recipes,
                    Set::Decisions => &mut self.decisions,
                    Set::Models => &mut self.models,
                };
                set.insert(name.to_owned());
            }
        };
        insert(Set::Recipes, name.recipe);
        insert(Set::Decisions, &decision_key(name.recipe, name.decision));
        insert(Set::Models, name.selected_model);
        insert(Set::Models, name.original_model);
    }
}

enum Set {
    Recipes,
    Decisions,
    Models,
}

/// The names that a record has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Name<'a> {
    /// The recipe.
    pub recipe: &'a str,
    /// The decision.
    pub decision: &'a str,
    /// The model that served.
    pub selected_model: &'a str,
    /// The model that was asked for.
    pub original_model: &'a str,
}

impl<'a> From<&'a Facts> for Name<'a> {
    fn from(facts: &'a Facts) -> Self {
        Self {
            recipe: &facts.recipe,
            decision: &facts.decision,
            selected_model: &facts.selected_model,
            original_model: &facts.original_model,
        }
    }
}

impl Aggregate {
    /// Takes a group of records in.
    pub fn add(&mut self, group: Group) {
        let count = u64::try_from(group.sums.get(Measure::Requests)).unwrap_or_default();
        *self.lifecycle.entry(group.lifecycle.into()).or_default() += count;
        self.sums += &group.sums;
        let is_compared = group.sums.get(Measure::Compared) > 0;
        if is_compared && group.lifecycle == Lifecycle::Completed {
            *self.spend.entry(group.currency).or_default() += &group.sums;
        }
        let key = decision_key(&group.recipe, &group.decision);
        *self.decisions.entry(key).or_default() += &group.sums;
        *self.models.entry(group.selected_model).or_default() += &group.sums;
        for (family, matched) in group.signals {
            *self.signals.entry(family).or_default() += matched * count;
        }
    }
}

//! Signals whose evidence comes from models: what they ask, and what they conclude from the
//! answers.
//!
//! A family asks all its questions at once; the pipeline gathers those of every family that runs,
//! so that questions about one text share one encoder pass. All questions about the evaluation text
//! are about the whole of it: which windows of a long one are read is decided once, by who answers,
//! and not by a sample of characters as in the reference.

mod answers;
mod chunks;
pub mod classifier;
pub mod complexity;
mod contrastive;
pub mod domain;
pub mod embedding;
mod examples;
mod fact_check;
pub mod jailbreak;
pub mod kb;
pub mod label;
mod modality;
mod models;
pub mod pii;
pub mod preference;
pub mod reask;
pub mod scan;
mod user_feedback;

use super::{Building, Deps, SignalInput, ran};
use crate::report::{Key, Keys, Kind, SignalReport};
use crate::scope::Scope;
use document::Findings;
use inference::ask::{Outcome, Question};
use inference::handle::Cost;

/// Rules of one family that are answered by the same models, compiled. A family may have several
/// such groups.
pub trait Learned: Send + Sync {
    /// Returns what the group is and writes.
    fn head(&self) -> &Head;

    /// Returns what is asked about a request; nothing if nothing in it can be asked about.
    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question>;

    /// Writes matches, confidences and values, whatever other families wrote; `answers` are those
    /// of the questions, in order. Failures become what the family's `on_error` says, and are noted
    /// with [`SignalReport::degrade`].
    fn conclude(&self, input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport);

    /// Returns the family.
    fn kind(&self) -> Kind {
        self.head().kind
    }

    /// Returns what asking costs: the dearest of the questions.
    fn cost(&self) -> Cost {
        self.head().cost
    }

    /// Returns every key that [`conclude`](Self::conclude) may match, give a number or fail: keys of
    /// the family.
    fn keys(&self) -> &[Key] {
        &self.head().keys
    }
}

/// What a group of learned rules is and writes.
#[derive(Debug, Clone)]
pub struct Head {
    /// The family.
    pub kind: Kind,
    /// What asking costs: the dearest of the questions.
    pub cost: Cost,
    /// Every key that the group may match or give a number.
    pub keys: Vec<Key>,
}

impl Head {
    /// Describes a group.
    pub fn new(kind: Kind, cost: Cost, keys: impl IntoIterator<Item = Key>) -> Self {
        Self {
            kind,
            cost,
            keys: keys.into_iter().collect(),
        }
    }
}

/// Builds the group of a family from all its rules; `None` if no rule is in use.
type BuildGroup = fn(&mut Building<'_>) -> Option<Box<dyn Learned>>;

/// The families whose groups are built from all their rules at once, in the order of [`Kind`].
const FAMILIES: [BuildGroup; 12] = [
    embedding::build,
    domain::build,
    fact_check::build,
    user_feedback::build,
    reask::build,
    preference::build,
    complexity::build,
    modality::build,
    jailbreak::build,
    contrastive::build,
    pii::build,
    kb::build,
];

/// What each family checks without its models.
const CHECKS: [fn(&Scope<'_>, &mut Findings); 12] = [
    embedding::check,
    domain::check,
    fact_check::check,
    user_feedback::check,
    reask::check,
    preference::check,
    complexity::check,
    modality::check,
    jailbreak::check,
    pii::check,
    kb::check,
    classifier::check,
];

/// Compiles every configured family of learned signals, in the order of [`Kind`]. A model that
/// cannot be had is an error where some decision needs it, else a warning.
pub fn build(
    scope: &Scope<'_>,
    keys: &mut Keys,
    deps: &Deps<'_>,
    findings: &mut Findings,
) -> Vec<Box<dyn Learned>> {
    let mut building = Building::new(scope, keys, deps, findings);
    let mut groups: Vec<Box<dyn Learned>> = Vec::new();
    for family in FAMILIES {
        groups.extend(family(&mut building));
    }
    groups.extend(classifier::build(&mut building));
    groups
}

/// Reports everything that is wrong with learned signals and that can be found without models.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    for check in CHECKS {
        check(scope, findings);
    }
}

/// Warns of a threshold that no similarity or probability can miss, or reach.
fn check_threshold(path: &str, threshold: f32, findings: &mut Findings) {
    if !(-1.0..=1.0).contains(&threshold) {
        findings.warn(
            path,
            format!("a threshold of {threshold} lies outside the scores' range"),
        );
    }
}

#[cfg(test)]
mod tests;

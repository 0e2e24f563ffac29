//! Signals whose evidence comes from models: what they ask, and what they conclude from the
//! answers.
//!
//! A family asks all its questions at once; the pipeline gathers those of every family that runs,
//! so that questions about one text share one encoder pass. All questions about the evaluation text
//! are about the whole of it: which windows of a long one are read is decided once, by who answers,
//! and not by a sample of characters as in the reference.

mod answers;
mod chunks;
mod classifier;
mod complexity;
mod contrastive;
mod domain;
mod embedding;
mod examples;
mod fact_check;
mod jailbreak;
mod kb;
mod modality;
mod models;
mod pii;
mod preference;
mod reask;
mod scan;
mod user_feedback;

use super::{Deps, Problem, SignalInput, ran};
use crate::config::{Document, Routing};
use crate::report::{Key, Keys, Kind, SignalReport};
use inference::ask::{Outcome, Question};
use inference::handle::Cost;
use models::Building;

/// Rules of one family that are answered by the same models, compiled. A family may have several
/// such groups.
pub trait Learned: Send + Sync {
    /// The family.
    fn kind(&self) -> Kind;

    /// What asking costs: the dearest of its questions.
    fn cost(&self) -> Cost;

    /// Every key that [`conclude`](Self::conclude) may match or give a number: keys of the family,
    /// as are those it fails.
    fn keys(&self) -> &[Key];

    /// What is asked about a request; none if nothing in it can be asked about.
    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question>;

    /// Writes matches, confidences and values, whatever other families wrote; `answers` are those
    /// of the questions, in order. Failures become what the family's `on_error` says, and are noted
    /// with [`SignalReport::degrade`].
    fn conclude(&self, input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport);
}

/// The learned families of a recipe.
#[derive(Default)]
pub struct Built {
    /// In the order of [`Kind`].
    pub families: Vec<Box<dyn Learned>>,
    /// What is odd, but can be served.
    pub warnings: Vec<Problem>,
}

/// Compiles every configured family of learned signals. A model that cannot be had is a problem
/// where some decision needs it, else a warning.
///
/// # Errors
/// All problems at once: the path in the document and what is wrong there.
pub fn build(
    routing: &Routing,
    document: &Document,
    keys: &mut Keys,
    deps: &Deps<'_>,
) -> Result<Built, Vec<Problem>> {
    let mut building = Building::new(routing, document, keys, deps);
    let groups = [
        embedding::build(&mut building),
        domain::build(&mut building),
        fact_check::build(&mut building),
        user_feedback::build(&mut building),
        reask::build(&mut building),
        preference::build(&mut building),
        complexity::build(&mut building),
        modality::build(&mut building),
        jailbreak::build(&mut building),
        contrastive::build(&mut building),
        pii::build(&mut building),
        kb::build(&mut building),
    ];
    let mut families: Vec<Box<dyn Learned>> = groups.into_iter().flatten().collect();
    families.extend(classifier::build(&mut building));
    if building.problems.is_empty() {
        Ok(Built {
            families,
            warnings: building.warnings,
        })
    } else {
        Err(building.problems)
    }
}

#[cfg(test)]
mod tests;

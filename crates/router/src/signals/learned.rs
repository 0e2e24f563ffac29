//! Signals whose evidence comes from models: what they ask, and what they conclude from the answers.
//!
//! A family asks all its questions at once; the pipeline gathers those of every family that runs, so that questions about
//! one text share one encoder pass.

use super::{Deps, Problem, SignalInput};
use crate::config::Document;
use crate::config::signals::Signals;
use crate::report::{Key, Keys, Kind, SignalReport};
use inference::ask::{Outcome, Question};
use inference::handle::Cost;

/// Rules of one family that are answered by the same models, compiled. A family may have several such groups.
pub trait Learned: Send + Sync {
    /// The family.
    fn kind(&self) -> Kind;

    /// What asking costs: the dearest of its questions.
    fn cost(&self) -> Cost;

    /// Every key that [`conclude`](Self::conclude) may match or give a number: keys of the family, as are those it fails.
    fn keys(&self) -> &[Key];

    /// What is asked about a request; none if nothing in it can be asked about.
    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question>;

    /// Writes matches, confidences and values, whatever other families wrote; `answers` are those of the questions, in
    /// order. Failures become what the family's `on_error` says, and are noted with [`SignalReport::degrade`].
    fn conclude(&self, input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport);
}

/// Compiles every configured family of learned signals.
///
/// # Errors
/// All problems at once: the path in the document and what is wrong there.
pub fn build(
    _signals: &Signals,
    _document: &Document,
    _keys: &mut Keys,
    _deps: &Deps<'_>,
) -> Result<Vec<Box<dyn Learned>>, Vec<Problem>> {
    Ok(Vec::new())
}

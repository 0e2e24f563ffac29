//! What happens to matches between the families and the scores.

use super::keep_top;
use crate::report::outlook::{Needs, Outlook};
use crate::report::{Key, Keys, Kind, SignalReport};

/// Changes the matches of some rules in the light of others, once all families have run.
pub trait Step: Send + Sync {
    /// Every key whose facts it reads.
    fn reads(&self) -> &[Key];

    /// Every key whose match or confidence it may take back, or whose confidence it may turn into a
    /// share of 1.
    fn writes(&self) -> &[Key];

    /// The key that it may add as a match without confidence.
    fn adds(&self) -> Option<Key> {
        None
    }

    /// It may fail the request, so it must be known how it ends wherever it has something to do.
    fn may_refuse(&self) -> bool {
        false
    }

    /// Changes a report.
    fn apply(&self, keys: &Keys, report: &mut SignalReport);
}

/// Takes the step on an outlook: for real if all that it reads is final, else what it writes is
/// open; says whether it is.
pub fn foresee(step: &dyn Step, outlook: &mut Outlook<'_>) -> bool {
    let touches_open = step
        .reads()
        .iter()
        .chain(step.writes())
        .chain(&step.adds())
        .any(|&key| outlook.is_open(key));
    if touches_open {
        step.writes().iter().for_each(|&key| outlook.loosen(key));
        step.adds()
            .into_iter()
            .for_each(|key| outlook.may_emit(key));
    } else {
        let (keys, report) = outlook.settled();
        step.apply(keys, report);
    }
    touches_open
}

/// Adds what an open step depends on where its outcome is needed.
pub fn need(step: &dyn Step, needs: &mut Needs) {
    if step
        .writes()
        .iter()
        .chain(&step.adds())
        .any(|&key| needs.has(key))
    {
        step.reads().iter().for_each(|&key| needs.key(key));
    }
}

/// [`keep_top`] as a step.
#[derive(Debug, Clone)]
pub struct Cut {
    family: Kind,
    top_k: i64,
    keys: Vec<Key>,
}

impl Cut {
    /// Keeps the `top_k` best matches of a family. `keys` are complete: nothing is interned
    /// afterwards.
    #[must_use]
    pub fn new(family: Kind, top_k: i64, keys: &Keys) -> Self {
        Self {
            family,
            top_k,
            keys: keys
                .iter()
                .filter(|&key| keys.kind(key) == family)
                .collect(),
        }
    }
}

impl Step for Cut {
    fn reads(&self) -> &[Key] {
        if self.top_k == 0 { &[] } else { &self.keys }
    }

    fn writes(&self) -> &[Key] {
        self.reads()
    }

    fn apply(&self, keys: &Keys, report: &mut SignalReport) {
        keep_top(report, keys, self.family, self.top_k);
    }
}

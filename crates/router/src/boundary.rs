//! Boundaries: limits that hold on every path. Where a boundary's `when` holds, only the models
//! that it allows may get the request, and only they or services at a place that it allows may see
//! its text.
//!
//! ```yaml
//! routing:
//!   boundaries:
//!     - name: personal_data_stays
//!       when: {type: pii, name: any}
//!       allow: {locations: [on-premises]}
//! ```
//!
//! A boundary holds unless it is certain that it does not: a signal that failed, was shed, timed
//! out, did not see the whole text or has not run yet is unknown, under NOT too. Several boundaries
//! that hold allow what all of them allow. Adapters count as their base models. A document's own
//! boundaries (`routing.boundaries`) bind every recipe and every concrete model name; those of a
//! recipe bind that recipe.

mod admitted;
mod guarded;
mod places;
mod recalled;

#[cfg(test)]
mod tests;

pub use admitted::Admitted;
pub use guarded::Guarded;

use crate::config::Document;
use crate::config::decisions::Boundary;
use document::Problem;
use places::Places;
use selection::candidate::Candidate;
use selection::eligible::Barrier;
use signals::decision::Conditions;
use signals::declared::Declared;
use signals::report::outlook::{Needs, Outlook};
use signals::report::{Key, Keys};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The boundaries of one recipe, compiled.
#[derive(Debug, Clone, Default)]
pub struct Boundaries {
    conditions: Conditions,
    bounds: Vec<Arc<Bound>>,
}

/// What one boundary allows.
#[derive(Debug, PartialEq, Eq)]
struct Bound {
    name: Arc<str>,
    places: Places,
}

impl Boundaries {
    /// Compiles the boundaries of a recipe; every name that a leaf speaks of is interned.
    ///
    /// # Errors
    /// Trees that are nested too deeply, by their paths below the recipe's block.
    pub fn build(
        boundaries: &[Boundary],
        document: &Document,
        keys: &mut Keys,
        declared: &Declared,
    ) -> Result<Self, Vec<Problem>> {
        let mut built = Self::default();
        let mut problems = Vec::new();
        for (index, boundary) in boundaries.iter().enumerate() {
            let path = format!("boundaries[{index}].when");
            if let Err(problem) =
                built
                    .conditions
                    .add(&path, boundary.when.as_ref(), keys, declared)
            {
                problems.push(problem);
            }
            let (name, places) = (
                boundary.name.as_str().into(),
                Places::of(&boundary.allow, document),
            );
            built.bounds.push(Arc::new(Bound { name, places }));
        }
        if problems.is_empty() {
            Ok(built)
        } else {
            Err(problems)
        }
    }

    /// The recipe has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Returns whether all of them hold already, so that no text can add one.
    #[must_use]
    pub fn all_hold(&self, verdict: &Verdict) -> bool {
        self.bounds.iter().all(|bound| has(&verdict.holding, bound))
    }

    /// Names in the order of the document.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.bounds.iter().map(|bound| &bound.name)
    }

    /// Returns the boundaries that hold, and those that may hold. `is_late` tells whether some of
    /// what they rely on was not read in time.
    #[must_use]
    pub fn verdict(&self, outlook: &Outlook<'_>, is_late: bool) -> Verdict {
        let mut verdict = Verdict::default();
        for (index, bound) in self.bounds.iter().enumerate() {
            let holds = self.conditions.holds(index, outlook);
            if holds != Some(false) {
                verdict.holding.push(Arc::clone(bound));
            }
            if holds.is_none() && is_late {
                verdict.unread.push(Arc::clone(bound));
            }
        }
        verdict
    }

    /// Adds the open facts on which it depends which boundaries hold.
    pub fn need(&self, outlook: &Outlook<'_>, needs: &mut Needs) {
        (0..self.bounds.len()).for_each(|index| self.conditions.need(index, outlook, needs));
    }

    /// The keys that the rule trees test.
    pub fn tested(&self) -> impl Iterator<Item = Key> {
        self.conditions.tested()
    }
}

/// The boundaries that hold for one request. Small, and free to be carried along: what is sent
/// later on the request's behalf (another attempt, a second model, a helper) asks it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    holding: Vec<Arc<Bound>>,
    /// Those of them that might not hold, had the request been read in time.
    unread: Vec<Arc<Bound>>,
}

impl Verdict {
    /// No boundary holds: every model may be used.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.holding.is_empty()
    }

    /// The boundaries that hold.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.holding.iter().map(|bound| &bound.name)
    }

    /// Every boundary that holds allows the model or adapter of this name. A name that the document
    /// does not know is allowed only where no boundary holds.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        self.forbids(model).is_none()
    }

    /// The first boundary that does not allow the model or adapter of this name.
    #[must_use]
    pub fn forbids(&self, model: &str) -> Option<&Arc<str>> {
        let forbidden = self.first(|places| !places.allow(model));
        // Tests blind the stages that narrow: what is sent must not rest on them.
        #[cfg(test)]
        let forbidden = forbidden.filter(|_| tests::switches::NARROWING.get());
        forbidden
    }

    /// The first boundary that does not allow a candidate: `model`, or its adapter where that bears
    /// the name of a model that is not allowed, as routes go by it.
    #[must_use]
    pub fn forbids_candidate(&self, model: &str, adapter: &str) -> Option<&Arc<str>> {
        self.first(|places| !places.allow(model) || places.deny(adapter))
    }

    /// What keeps a request from a candidate.
    #[must_use]
    pub fn barrier(&self, candidate: &Candidate) -> Option<Barrier> {
        let model_ref = &candidate.model_ref;
        let name = self.forbids_candidate(model_ref.model.trim(), model_ref.lora_name.trim())?;
        #[cfg(test)]
        let name = tests::switches::NARROWING.get().then_some(name)?;
        Some(Barrier::Boundary(Arc::clone(name)))
    }

    /// The models and adapters that may be used, sorted; `None` where no boundary holds, so that
    /// all may.
    #[must_use]
    pub fn allowed(&self) -> Option<BTreeSet<Arc<str>>> {
        let (first, rest) = self.holding.split_first()?;
        let all = |name: &&Arc<str>| rest.iter().all(|bound| bound.places.allow(name));
        Some(first.places.models().filter(all).cloned().collect())
    }

    /// What holds by either.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let settles = |verdict: &Self, bound: &Arc<Bound>| {
            has(&verdict.holding, bound) && !has(&verdict.unread, bound)
        };
        let unread = self.unread.iter().chain(&other.unread);
        let unread = unread.filter(|bound| !settles(&self, bound) && !settles(&other, bound));
        let mut both: Vec<Arc<Bound>> = Vec::new();
        for bound in unread {
            if !has(&both, bound) {
                both.push(Arc::clone(bound));
            }
        }
        self.unread = both;

        for bound in other.holding {
            if !has(&self.holding, &bound) {
                self.holding.push(bound);
            }
        }
        self
    }

    /// Tells whether the boundary of this name holds for one reason alone: the request was not read
    /// in time.
    #[must_use]
    pub fn is_unread(&self, name: &str) -> bool {
        let is_named = |bound: &&Arc<Bound>| *bound.name == *name;
        let mut named = self.holding.iter().filter(is_named).peekable();
        named.peek().is_some() && named.all(|bound| has(&self.unread, bound))
    }

    /// Tells whether every boundary that holds lets text be kept with records of requests.
    #[must_use]
    pub fn sees_records(&self) -> bool {
        self.holding
            .iter()
            .all(|bound| bound.places.allow_records())
    }

    fn sees_encoder(&self) -> bool {
        self.holding
            .iter()
            .all(|bound| bound.places.allow_encoder())
    }

    fn sees_external(&self, name: &str) -> bool {
        self.holding
            .iter()
            .all(|bound| bound.places.allow_external(name))
    }

    fn first(&self, forbids: impl Fn(&Places) -> bool) -> Option<&Arc<str>> {
        self.holding
            .iter()
            .find(|bound| forbids(&bound.places))
            .map(|bound| &bound.name)
    }
}

fn has(bounds: &[Arc<Bound>], bound: &Arc<Bound>) -> bool {
    bounds.iter().any(|other| Arc::ptr_eq(other, bound))
}

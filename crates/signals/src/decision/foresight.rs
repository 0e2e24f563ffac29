//! What a predicate will say of a number that is known only in part.

use crate::report::outlook::{Fact, Span};
use crate::rules::NumericPredicate;

impl NumericPredicate {
    /// Whether a fact's number holds: its value, else its confidence, else what its failure says.
    pub(super) fn foresee(&self, fact: &Fact, failed: Option<bool>) -> Option<bool> {
        let no_value = fact.value.missing;
        let stands_in = fact
            .confidence
            .span
            .filter(|_| no_value)
            .map(|span| self.over(span));
        let rescued = (no_value && fact.confidence.missing).then_some(failed);
        let mut answers = [
            fact.value.span.map(|span| self.over(span)),
            stands_in,
            rescued,
        ]
        .into_iter()
        .flatten();
        let first = answers.next()?;
        first.filter(|_| answers.all(|other| other == first))
    }

    fn over(&self, span: Span) -> Option<bool> {
        if span.is_exact() {
            return Some(self.holds(span.low));
        }
        let Self { gt, gte, lt, lte } = *self;
        span.meets(
            |number| {
                gt.is_none_or(|bound| number > bound) && gte.is_none_or(|bound| number >= bound)
            },
            |number| {
                lt.is_none_or(|bound| number < bound) && lte.is_none_or(|bound| number <= bound)
            },
        )
    }
}

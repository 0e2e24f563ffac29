//! What a report may still become while some families have not run: what is final, and bounds on
//! the rest.
//!
//! Bounds hold every state that a family can leave behind, that of never having run too. Who reads
//! them computes in the order and with the rounding of a finished report; both rise with their
//! operands, so a result lies within the computed bounds to the last bit.

use super::{Key, Keys, Kind, SignalReport};
use crate::family::Bounds;

/// Slack around cosines: products of unit vectors in single precision may leave [-1, 1] by a
/// little.
const COSINE: f64 = 1.01;

/// A report, some of whose facts may still change.
#[derive(Debug)]
pub struct Outlook<'a> {
    keys: &'a Keys,
    report: SignalReport,
    open: Vec<Option<Fact>>,
    failing: [bool; Kind::ALL.len()],
    /// Keys that a family may still write.
    awaited: Vec<bool>,
    /// Keys that may be, or are, withheld for the failure of others.
    withheld: Vec<(Key, Option<bool>)>,
    /// What failed is open, not unknown for good.
    doubtful: bool,
}

impl<'a> Outlook<'a> {
    /// Takes everything that `report` says for final.
    #[must_use]
    pub fn new(keys: &'a Keys, report: &SignalReport) -> Self {
        let open = vec![None; keys.len()];
        Self {
            keys,
            report: report.clone(),
            open,
            failing: [false; Kind::ALL.len()],
            awaited: vec![false; keys.len()],
            withheld: Vec::new(),
            doubtful: false,
        }
    }

    /// Says that what failed is taken for open, and not for unknown.
    #[must_use]
    pub fn doubting(self) -> Self {
        Self {
            doubtful: true,
            ..self
        }
    }

    /// What failed is open, not unknown for good.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// A family of this kind has not run: it may still write `keys`, and fail.
    pub fn await_family(&mut self, kind: Kind, keys: &[Key]) {
        self.failing[kind as usize] = true;
        for &key in keys {
            self.open[key.index()] = Some(Fact::awaited(self.keys, key));
            self.awaited[key.index()] = true;
        }
    }

    /// What is known of a key.
    #[must_use]
    pub fn fact(&self, key: Key) -> Fact {
        self.open[key.index()].unwrap_or_else(|| Fact::settled(&self.report, key))
    }

    /// What is known of a key may still change.
    #[must_use]
    pub fn is_open(&self, key: Key) -> bool {
        self.open[key.index()].is_some()
    }

    /// Sets what is known of a key.
    pub fn set(&mut self, key: Key, fact: Fact) {
        self.open[key.index()] = Some(fact);
    }

    /// The match may be taken back, and the confidence changed to a share between 0 and 1.
    pub fn loosen(&mut self, key: Key) {
        let mut fact = self.fact(key);
        if fact.matched != Some(false) {
            fact.matched = None;
            fact.confidence = fact.confidence.join(Number {
                missing: true,
                span: Some(Span::new(0.0, 1.0)),
            });
            self.set(key, fact);
        }
    }

    /// A match without confidence may be added.
    pub fn may_emit(&mut self, key: Key) {
        let mut fact = self.fact(key);
        if fact.matched == Some(false) {
            fact.matched = None;
            self.set(key, fact);
        }
    }

    /// Evaluating the key failed; `None` if it still may.
    #[must_use]
    pub fn failed(&self, key: Key) -> Option<bool> {
        if self.report.is_failed(key) {
            return Some(true);
        }
        // A family fails only keys that it is awaited to write.
        if self.failing[self.keys.kind(key) as usize] && self.is_open(key) {
            return None;
        }
        let withheld = || {
            let of_key = self.withheld.iter().filter(|(other, _)| *other == key);
            of_key.map(|(_, certain)| *certain)
        };
        if withheld().any(|certain| certain == Some(true)) {
            return Some(true);
        }
        let is_open = withheld().any(|certain| certain.is_none());
        (!is_open).then_some(false)
    }

    /// Nothing is known of the key, whatever was assumed: it failed, and no match was found; `None`
    /// if that may still come or go.
    #[must_use]
    pub fn unknown(&self, key: Key) -> Option<bool> {
        let unmatched = match self.fact(key).matched {
            _ if self.is_assumed(key) => Some(true),
            matched => matched.map(|matched| !matched),
        };
        match (unmatched, self.failed(key)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }

    /// A failure stands for the match of a key, and no family can find it any more.
    #[must_use]
    pub fn is_assumed(&self, key: Key) -> bool {
        !self.awaited[key.index()] && self.report.is_assumed(key)
    }

    /// The key is withheld, as what it is made of failed; `None` if it may be.
    pub fn withhold(&mut self, key: Key, certain: Option<bool>) {
        self.withheld.push((key, certain));
    }

    /// The final facts, for a step that reads and changes nothing else.
    pub fn settled(&mut self) -> (&'a Keys, &mut SignalReport) {
        (self.keys, &mut self.report)
    }
}

/// What is known of one key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fact {
    /// It matched; `None` if it may or may not.
    pub matched: Option<bool>,
    /// The stored confidence.
    pub confidence: Number,
    /// The stored value.
    pub value: Number,
}

impl Fact {
    fn settled(report: &SignalReport, key: Key) -> Self {
        Self {
            matched: Some(report.is_matched(key)),
            confidence: Number::settled(report.confidence(key)),
            value: Number::settled(report.value(key)),
        }
    }

    /// Whatever the family of a key may write.
    fn awaited(keys: &Keys, key: Key) -> Self {
        let kind = keys.kind(key);
        let family = kind.family();
        let counted = kind == Kind::Embedding && keys.name(key).ends_with(":prototype_count");
        let (confidence, value) = match counted {
            true => (family.confidence, Bounds::Any),
            false if keys.is_difference(key) => (Bounds::Difference, Bounds::Difference),
            false => (family.confidence, family.value),
        };
        let (confidence, value) = (Span::within(confidence), Span::within(value));
        let maybe = |span| Number {
            missing: true,
            span: Some(span),
        };
        Self {
            matched: None,
            confidence: maybe(confidence),
            value: maybe(value),
        }
    }
}

/// A number that may be missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// It may be missing.
    pub missing: bool,
    /// What it is if it is there; `None` if it cannot be.
    pub span: Option<Span>,
}

impl Number {
    /// A number that is not there for certain.
    pub const MISSING: Self = Self {
        missing: true,
        span: None,
    };

    /// Whether it is there is known, and which it is.
    #[must_use]
    pub fn is_settled(self) -> bool {
        match self.span {
            Some(span) => !self.missing && span.is_exact(),
            None => true,
        }
    }

    fn settled(number: Option<f64>) -> Self {
        Self {
            missing: number.is_none(),
            span: number.map(Span::of),
        }
    }

    /// The number, where `missing` stands in for one that is not there.
    #[must_use]
    pub fn or(self, missing: f64) -> Span {
        let absent = self.missing.then(|| Span::of(missing));
        join(absent, self.span).unwrap_or(Span::ANY)
    }

    /// What may be either.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            missing: self.missing || other.missing,
            span: join(self.span, other.span),
        }
    }
}

/// The numbers from `low` to `high`, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl Span {
    /// Any number, NaN too.
    pub const ANY: Self = Self {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };

    /// All numbers within the bounds of a family.
    #[must_use]
    pub fn within(bounds: Bounds) -> Self {
        let around_zero = |bound: f64| Self::new(-bound, bound);
        match bounds {
            Bounds::Any => Self::ANY,
            Bounds::Share => Self::new(0.0, 1.0),
            Bounds::Cosine => around_zero(COSINE),
            Bounds::Difference => around_zero(2.0 * COSINE),
        }
    }

    /// From `low` to `high`; anything if that is no range.
    #[must_use]
    pub fn new(low: f64, high: f64) -> Self {
        if low <= high {
            Self { low, high }
        } else {
            Self::ANY
        }
    }

    /// One number.
    #[must_use]
    pub fn of(number: f64) -> Self {
        Self::new(number, number)
    }

    /// Only one number is left, to the bit.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.low.to_bits() == self.high.to_bits()
    }

    /// What may be either.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    /// The sum of two numbers.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::new(self.low + other.low, self.high + other.high)
    }

    /// `factor` times the number.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let (low, high) = (factor * self.low, factor * self.high);
        if low <= high {
            Self { low, high }
        } else {
            Self::new(high, low)
        }
    }

    /// Whether `holds`, a test that accepts one range of numbers, holds; `None` if that depends on
    /// the number. `least` and `most` tell whether a number is within its lower, its upper bounds.
    #[must_use]
    pub fn meets(self, least: impl Fn(f64) -> bool, most: impl Fn(f64) -> bool) -> Option<bool> {
        let holds = |number| least(number) && most(number);
        if self.is_exact() {
            return Some(holds(self.low));
        }
        if !least(self.high) || !most(self.low) {
            return Some(false);
        }
        // A number without bounds may be NaN, which no test accepts.
        let bounded = self.low.is_finite() && self.high.is_finite();
        (bounded && holds(self.low) && holds(self.high)).then_some(true)
    }
}

fn join(left: Option<Span>, right: Option<Span>) -> Option<Span> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.join(right)),
        (one, other) => one.or(other),
    }
}

/// Facts on which an open outcome depends.
#[derive(Debug, Clone)]
pub struct Needs {
    keys: Vec<bool>,
    failures: [bool; Kind::ALL.len()],
}

impl Needs {
    /// Nothing is needed yet.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        Self {
            keys: vec![false; keys.len()],
            failures: [false; Kind::ALL.len()],
        }
    }

    /// The facts of a key are needed.
    pub fn key(&mut self, key: Key) {
        self.keys[key.index()] = true;
    }

    /// Whether a family of this kind fails is needed.
    pub fn failure(&mut self, kind: Kind) {
        self.failures[kind as usize] = true;
    }

    /// The facts of a key are needed.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.keys[key.index()]
    }

    /// What `other` needs is needed too.
    pub fn join(&mut self, other: &Self) {
        self.keys
            .iter_mut()
            .zip(&other.keys)
            .for_each(|(own, other)| *own |= other);
        self.failures
            .iter_mut()
            .zip(&other.failures)
            .for_each(|(own, other)| *own |= other);
    }

    /// Something that a family writes is needed.
    #[must_use]
    pub fn touch(&self, kind: Kind, keys: &[Key]) -> bool {
        self.failures[kind as usize] || keys.iter().any(|&key| self.has(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(span: Span, low: f64, high: f64) {
        assert_eq!((span.low, span.high), (low, high));
    }

    #[test]
    fn spans_hold_what_is_computed_from_their_numbers() {
        check(Span::new(-1.0, 2.0).times(-0.5), -1.0, 0.5);
        check(Span::new(-1.0, 2.0).plus(Span::of(0.25)), -0.75, 2.25);
        check(Span::of(3.0).join(Span::of(-1.0)), -1.0, 3.0);
        check(Span::ANY.times(0.0), f64::NEG_INFINITY, f64::INFINITY);
        check(
            Span::ANY.plus(Span::of(f64::INFINITY)),
            f64::NEG_INFINITY,
            f64::INFINITY,
        );
        check(Span::of(f64::NAN), f64::NEG_INFINITY, f64::INFINITY);
        check(
            Number {
                missing: true,
                span: Some(Span::new(0.2, 0.4)),
            }
            .or(1.0),
            0.2,
            1.0,
        );
        check(
            Number {
                missing: true,
                span: None,
            }
            .or(1.0),
            1.0,
            1.0,
        );
    }

    #[track_caller]
    fn check_bounds(span: Span, expected: Option<bool>) {
        assert_eq!(
            span.meets(|number| number >= 0.5, |number| number < 2.0),
            expected,
            "{span:?}"
        );
    }

    #[test]
    fn a_range_meets_bounds_for_certain_or_never_or_perhaps() {
        check_bounds(Span::new(0.5, 1.9), Some(true));
        check_bounds(Span::new(0.4, 1.9), None);
        check_bounds(Span::new(0.5, 2.0), None);
        check_bounds(Span::new(-3.0, 0.4), Some(false));
        check_bounds(Span::new(2.0, 5.0), Some(false));
        check_bounds(Span::of(0.5), Some(true));
        check_bounds(Span::of(2.0), Some(false));
        check_bounds(Span::ANY, None);
        assert_eq!(Span::ANY.meets(|_| true, |_| true), None);
    }

    #[test]
    fn what_is_awaited_is_open_and_the_rest_is_final() {
        let mut keys = Keys::default();
        let (law, word) = (
            keys.intern(Kind::Domain, "law"),
            keys.intern(Kind::Keyword, "word"),
        );
        let mut report = SignalReport::new(&keys);
        report.emit(word);
        let mut outlook = Outlook::new(&keys, &report);
        outlook.await_family(Kind::Domain, &[law]);
        assert_eq!(
            (outlook.fact(law).matched, outlook.fact(word).matched),
            (None, Some(true))
        );
        assert_eq!(
            (outlook.failed(law), outlook.failed(word)),
            (None, Some(false))
        );
        assert_eq!(outlook.fact(law).confidence.or(1.0), Span::new(0.0, 1.0));
        assert!(outlook.is_open(law) && !outlook.is_open(word));
        outlook.loosen(word);
        assert_eq!(outlook.fact(word).matched, None);
    }
}

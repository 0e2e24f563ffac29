//! Scores and mappings over facts that are not all final: intervals, bands that hold for certain,
//! never or perhaps.

use super::Projections;
use super::mapping::Mapping;
use super::score::{Score, Source};
use crate::report::Key;
use crate::report::outlook::{Fact, Needs, Number, Outlook, Span};

/// Confidences of a band are computed by `exp`, which need not rise in its last bits.
const ROUNDING: f64 = 1e-12;

/// Bounds of the scores computed so far, by index in the document.
#[derive(Debug, Default)]
pub struct Foreseen(Vec<(usize, Prospect)>);

/// What is known of a score.
#[derive(Debug, Clone, Copy)]
struct Prospect {
    /// Bounds of its value.
    span: Span,
    /// It is withheld; `None` if it may be.
    withheld: Option<bool>,
}

impl Prospect {
    /// Neither its value nor whether it is withheld can change any more.
    fn is_settled(self) -> bool {
        match self.withheld {
            Some(withheld) => withheld || self.span.is_exact(),
            None => false,
        }
    }
}

impl Foreseen {
    fn get(&self, index: usize) -> Prospect {
        let found = self.0.iter().find(|(other, _)| *other == index);
        found.map_or(
            Prospect {
                span: Span::of(0.0),
                withheld: Some(false),
            },
            |(_, prospect)| *prospect,
        )
    }
}

impl Projections {
    /// Bounds of every score, and what can be said of the bands they map to.
    pub fn foresee(&self, outlook: &mut Outlook<'_>) -> Foreseen {
        let mut foreseen = Foreseen::default();
        for (score, mappings) in &self.scores {
            let prospect = Prospect {
                span: score.foresee(outlook, &foreseen),
                withheld: self.is_withheld(score, outlook, &foreseen),
            };
            foreseen.0.push((score.index, prospect));
            for mapping in mappings {
                mapping.foresee_within(prospect, outlook);
            }
        }
        foreseen
    }

    /// Scores are withheld for failures. Boundaries take failures for open instead.
    fn withholds_in(&self, outlook: &Outlook<'_>) -> bool {
        self.withholds && !outlook.is_doubtful()
    }

    /// Whether an input of a score is unknown, so that it is withheld; `None` if it may be.
    fn is_withheld(&self, score: &Score, outlook: &Outlook<'_>, so_far: &Foreseen) -> Option<bool> {
        if !self.withholds_in(outlook) {
            return Some(false);
        }
        let mut withheld = Some(false);
        for (_, source) in score.weighted() {
            match source.is_unknown_in(outlook, so_far) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => withheld = None,
            }
        }
        withheld
    }

    /// Adds the open inputs of every score that something needed depends on. A score comes after
    /// those it reads, so going backwards meets each once.
    pub fn need(&self, foreseen: &Foreseen, outlook: &Outlook<'_>, needs: &mut Needs) {
        let withholds = self.withholds_in(outlook);
        let mut scores: Vec<usize> = Vec::new();
        for (score, mappings) in self.scores.iter().rev() {
            let needed = scores.contains(&score.index)
                || mappings.iter().any(|mapping| mapping.is_needed(needs));
            if !needed || foreseen.get(score.index).is_settled() {
                continue;
            }
            let open = |source: &&Source| {
                let may_fail = || source.is_unknown_in(outlook, foreseen).is_none();
                !source.foresee(outlook, foreseen).is_exact() || withholds && may_fail()
            };
            for source in score.weighted().map(|(_, source)| source).filter(open) {
                match source {
                    Source::Score(index) => scores.push(*index),
                    Source::Raw(key)
                    | Source::Confidence(key)
                    | Source::Output(key)
                    | Source::Binary { key, .. } => {
                        needs.key(*key);
                    }
                    Source::Constant(_) => {}
                }
            }
        }
    }
}

impl Score {
    fn foresee(&self, outlook: &Outlook<'_>, foreseen: &Foreseen) -> Span {
        self.weighted()
            .map(|(weight, source)| source.foresee(outlook, foreseen).times(weight))
            .fold(Span::of(0.0), Span::plus)
    }
}

impl Source {
    fn foresee(&self, outlook: &Outlook<'_>, foreseen: &Foreseen) -> Span {
        match *self {
            Self::Raw(key) => outlook.fact(key).value.or(0.0),
            Self::Confidence(key) => confidence(&outlook.fact(key)),
            Self::Binary {
                key,
                on_match,
                miss,
            } => match outlook.fact(key).matched {
                Some(true) => Span::of(on_match),
                Some(false) => Span::of(miss),
                None => Span::of(on_match).join(Span::of(miss)),
            },
            Self::Constant(value) => Span::of(value),
            Self::Score(index) => foreseen.get(index).span,
            Self::Output(key) => outlook.fact(key).confidence.or(0.0),
        }
    }

    /// Whether nothing is known of it for its failure; `None` if that may be.
    fn is_unknown_in(&self, outlook: &Outlook<'_>, foreseen: &Foreseen) -> Option<bool> {
        match *self {
            Self::Raw(key)
            | Self::Confidence(key)
            | Self::Output(key)
            | Self::Binary { key, .. } => outlook.unknown(key),
            Self::Score(index) => foreseen.get(index).withheld,
            Self::Constant(_) => Some(false),
        }
    }
}

/// Of a match its confidence, 1.0 if it has none or none above 0; without a match 0.
fn confidence(fact: &Fact) -> Span {
    let miss = (fact.matched != Some(true)).then(|| Span::of(0.0));
    let matched = (fact.matched != Some(false)).then(|| {
        let Number { missing, span } = fact.confidence;
        let whole = missing || span.is_none_or(|span| span.low <= 0.0);
        let own = span
            .filter(|span| span.high > 0.0)
            .map(|span| Span::new(span.low.max(0.0), span.high));
        Number {
            missing: whole,
            span: own,
        }
        .or(1.0)
    });
    match (miss, matched) {
        (Some(miss), Some(matched)) => miss.join(matched),
        (one, other) => one.or(other).unwrap_or(Span::ANY),
    }
}

impl Mapping {
    fn is_needed(&self, needs: &Needs) -> bool {
        self.outputs.iter().any(|output| needs.has(output.key))
    }

    /// A score that may be withheld may leave each of its bands open.
    fn foresee_within(&self, score: Prospect, outlook: &mut Outlook<'_>) {
        if score.withheld != Some(false) {
            let outputs = self.outputs.iter();
            outputs.for_each(|output| outlook.withhold(output.key, score.withheld));
        }
        if score.withheld != Some(true) {
            self.foresee(score.span, score.withheld == Some(false), outlook);
        }
    }

    /// `certain` says that the bands count for certain.
    fn foresee(&self, score: Span, certain: bool, outlook: &mut Outlook<'_>) {
        // Whether an earlier band takes the score: for certain ends the list, perhaps leaves later
        // ones perhaps.
        let mut taken = false;
        for output in &self.outputs {
            let holds = output.foresee(score);
            let emitted = if taken {
                holds.filter(|holds| !holds)
            } else {
                holds
            };
            if emitted != Some(false) {
                let distance = output.distances(score);
                emit(
                    outlook,
                    output.key,
                    certain && emitted == Some(true),
                    self.confidences(distance),
                );
            }
            if !self.multi {
                if holds == Some(true) {
                    return;
                }
                taken |= holds.is_none();
            }
        }
    }

    /// Confidence rises with the distance.
    fn confidences(&self, distance: Span) -> Span {
        let (low, high) = (self.rises_to(distance.low), self.rises_to(distance.high));
        if distance.is_exact() {
            Span::of(low)
        } else {
            Span::new(low - ROUNDING, high + ROUNDING)
        }
    }
}

/// A band that holds replaces what an earlier mapping said of the same name.
fn emit(outlook: &mut Outlook<'_>, key: Key, certain: bool, confidence: Span) {
    let before = outlook.fact(key);
    let confidence = Number {
        missing: false,
        span: Some(confidence),
    };
    let fact = if certain {
        Fact {
            matched: Some(true),
            confidence,
            ..before
        }
    } else {
        let matched = before.matched.filter(|&matched| matched);
        Fact {
            matched,
            confidence: before.confidence.join(confidence),
            ..before
        }
    };
    outlook.set(key, fact);
}

impl super::mapping::Output {
    fn foresee(&self, score: Span) -> Option<bool> {
        score.meets(
            |number| self.is_above(number),
            |number| self.is_below(number),
        )
    }

    /// The distance to the nearest bound.
    fn distances(&self, score: Span) -> Span {
        if score.is_exact() {
            return Span::of(self.distance(score.low));
        }
        let mut nearest = Span::of(f64::INFINITY);
        for bound in self.bounds() {
            let (left, right) = ((score.low - bound).abs(), (score.high - bound).abs());
            let inside = score.low <= bound && bound <= score.high;
            let least = if inside { 0.0 } else { left.min(right) };
            nearest = Span::new(nearest.low.min(least), nearest.high.min(left.max(right)));
        }
        nearest
    }
}

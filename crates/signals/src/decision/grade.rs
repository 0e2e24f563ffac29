//! What is found of a tree where failures are told from facts: five grades, scores of the leaves
//! that give evidence, and what may still become of both.

use super::rule::{Op, Rules};
use crate::report::SignalReport;
use crate::report::outlook::{Needs, Number, Outlook, Span};

/// Means of scores are rounded, so they may leave the range of their summands by this much.
const ROUNDING: f64 = 1e-12;

/// Whether a tree holds, and by what. AND takes the least of its children, OR the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// It does not hold.
    No,
    /// It does not hold, as a failure counts as no match.
    AssumedNo,
    /// A failure leaves it open.
    Unknown,
    /// It holds, as a failure counts as a match.
    AssumedYes,
    /// It holds.
    Yes,
}

impl Grade {
    /// The grade of NOT over this one.
    fn reversed(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::AssumedNo => Self::AssumedYes,
            Self::Unknown => Self::Unknown,
            Self::AssumedYes => Self::AssumedNo,
            Self::Yes => Self::No,
        }
    }

    /// It holds, by facts or by a failure that counts as a match.
    pub(super) fn holds(self) -> bool {
        self >= Self::AssumedYes
    }
}

/// What is found of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    pub(super) grade: Grade,
    /// The score that it reports.
    pub(super) score: Option<f64>,
    /// How many leaves that give evidence take part in it.
    pub(super) evidence: u32,
}

impl Judged {
    /// What holds without evidence.
    pub(super) const ALWAYS: Self = Self::bare(Grade::Yes);

    const fn bare(grade: Grade) -> Self {
        Self {
            grade,
            score: None,
            evidence: 0,
        }
    }

    /// It is preferred to another child of the same OR that stands before it.
    fn beats(self, other: Self) -> bool {
        self.grade > other.grade || self.grade == other.grade && self.score > other.score
    }
}

/// What may still be found of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prospect {
    /// The least grade.
    pub(super) low: Grade,
    /// The greatest.
    pub(super) high: Grade,
    /// The score wherever it holds.
    pub(super) score: Number,
    /// The least and the greatest number of leaves that take part wherever it holds.
    pub(super) evidence: (u32, u32),
}

impl Prospect {
    /// What holds without evidence.
    pub(super) const ALWAYS: Self = Self::bare(Grade::Yes, Grade::Yes);

    const fn bare(low: Grade, high: Grade) -> Self {
        Self {
            low,
            high,
            score: Number::MISSING,
            evidence: (0, 0),
        }
    }

    /// Only one grade is left.
    pub(super) fn is_graded(self) -> bool {
        self.low == self.high
    }

    /// Nothing more can change it.
    pub(super) fn is_settled(self) -> bool {
        let is_known = || self.score.is_settled() && self.evidence.0 == self.evidence.1;
        self.is_graded() && (!self.low.holds() || is_known())
    }

    /// As a child of OR it is preferred to another whatever becomes of both. Of equals the first is.
    fn surely_beats(self, other: Self, is_first: bool) -> bool {
        if !self.low.holds() || self.low < other.high {
            return false;
        }
        if self.low > other.high {
            return true;
        }
        match (self.score.span, other.score.span) {
            (_, None) => is_first || !self.score.missing,
            (None, Some(_)) => false,
            (Some(_), Some(_)) if self.score.missing => false,
            (Some(own), Some(other)) => own.low > other.high || is_first && own.low == other.high,
        }
    }
}

impl Rules {
    /// What is found of a tree. What failed is unknown where `keeps_unknown`.
    pub(super) fn judge(&self, at: usize, report: &SignalReport, keeps_unknown: bool) -> Judged {
        match self.op(at) {
            Op::Leaf(leaf) => self.judge_leaf(leaf, report, keeps_unknown),
            Op::And => self.judge_all(at, report, keeps_unknown),
            Op::Or => {
                let best = self.best_judged(at, report, keeps_unknown);
                best.map_or(Judged::bare(Grade::No), |(_, judged)| judged)
            }
            Op::Not => match self.only_child(at) {
                Some(child) => {
                    Judged::bare(self.judge(child, report, keeps_unknown).grade.reversed())
                }
                None => Judged::bare(Grade::No),
            },
        }
    }

    /// The least grade, and the mean of the scores.
    fn judge_all(&self, at: usize, report: &SignalReport, keeps_unknown: bool) -> Judged {
        let mut all = Judged::ALWAYS;
        let (mut sum, mut count) = (0.0, 0_u32);
        for child in self.children(at) {
            let judged = self.judge(child, report, keeps_unknown);
            all.grade = all.grade.min(judged.grade);
            if all.grade == Grade::No {
                return Judged::bare(Grade::No);
            }
            all.evidence += judged.evidence;
            if let Some(score) = judged.score {
                sum += score;
                count += 1;
            }
        }
        all.score = (count > 0).then(|| sum / f64::from(count));
        all
    }

    /// The preferred child of an OR.
    fn best_judged(
        &self,
        at: usize,
        report: &SignalReport,
        keeps_unknown: bool,
    ) -> Option<(usize, Judged)> {
        let mut best: Option<(usize, Judged)> = None;
        for child in self.children(at) {
            let judged = self.judge(child, report, keeps_unknown);
            if best.is_none_or(|(_, best)| judged.beats(best)) {
                best = Some((child, judged));
            }
        }
        best
    }

    /// Calls `found` with the leaves that make a matched node match.
    pub(super) fn visit_judged<'a>(
        &'a self,
        at: usize,
        report: &SignalReport,
        keeps_unknown: bool,
        found: &mut dyn FnMut(&'a str),
    ) {
        match self.op(at) {
            Op::Leaf(leaf) => found(&self.written(leaf).rule),
            Op::And => {
                for child in self.children(at) {
                    self.visit_judged(child, report, keeps_unknown, found);
                }
            }
            Op::Or => {
                if let Some((child, _)) = self.best_judged(at, report, keeps_unknown) {
                    self.visit_judged(child, report, keeps_unknown, found);
                }
            }
            Op::Not => {}
        }
    }

    /// What may still be found of a tree.
    pub(super) fn prospect(
        &self,
        at: usize,
        outlook: &Outlook<'_>,
        keeps_unknown: bool,
    ) -> Prospect {
        match self.op(at) {
            Op::Leaf(leaf) => self.foresee_judged(leaf, outlook, keeps_unknown),
            Op::And => self.prospect_of_all(at, outlook, keeps_unknown),
            Op::Or => self.prospect_of_any(at, outlook, keeps_unknown),
            Op::Not => match self.only_child(at) {
                Some(child) => {
                    let Prospect { low, high, .. } = self.prospect(child, outlook, keeps_unknown);
                    Prospect::bare(high.reversed(), low.reversed())
                }
                None => Prospect::bare(Grade::No, Grade::No),
            },
        }
    }

    fn prospect_of_all(&self, at: usize, outlook: &Outlook<'_>, keeps_unknown: bool) -> Prospect {
        let mut all = Prospect::ALWAYS;
        // The mean, if it is known which children are scored; else all means lie within the hull.
        let (mut sum, mut count) = (Span::of(0.0), 0_u32);
        let (mut hull, mut may_lack, mut is_definite) = (None::<Span>, true, true);
        for child in self.children(at) {
            let prospect = self.prospect(child, outlook, keeps_unknown);
            all.low = all.low.min(prospect.low);
            all.high = all.high.min(prospect.high);
            if all.high == Grade::No {
                return Prospect::bare(Grade::No, Grade::No);
            }
            all.evidence.0 += prospect.evidence.0;
            all.evidence.1 += prospect.evidence.1;
            let Number { missing, span } = prospect.score;
            let Some(span) = span else { continue };
            sum = sum.plus(span);
            count += 1;
            hull = Some(hull.map_or(span, |hull| hull.join(span)));
            may_lack &= missing;
            is_definite &= !missing;
        }
        let Some(hull) = hull else { return all };
        let divisor = f64::from(count);
        let span = match is_definite {
            true => Span::new(sum.low / divisor, sum.high / divisor),
            false => Span::new(hull.low - ROUNDING, hull.high + ROUNDING),
        };
        all.score = Number {
            missing: may_lack,
            span: Some(span),
        };
        all
    }

    fn prospect_of_any(&self, at: usize, outlook: &Outlook<'_>, keeps_unknown: bool) -> Prospect {
        let children = self.children(at);
        let children = children.map(|child| self.prospect(child, outlook, keeps_unknown));
        let children: Vec<Prospect> = children.collect();
        let grades = |of: fn(&Prospect) -> Grade| children.iter().map(of).max();
        let low = grades(|child| child.low).unwrap_or(Grade::No);
        let high = grades(|child| child.high).unwrap_or(Grade::No);

        let others = |own: usize| {
            let others = children.iter().enumerate();
            others.filter(move |(other, _)| *other != own)
        };
        let may_be_preferred = |(index, own): &(usize, &Prospect)| {
            own.high.holds()
                && !others(*index).any(|(other, it)| it.surely_beats(**own, other < *index))
        };
        let preferred = children.iter().enumerate().filter(may_be_preferred);
        let joined = preferred
            .map(|(_, child)| *child)
            .reduce(|one, other| Prospect {
                score: one.score.join(other.score),
                evidence: (
                    one.evidence.0.min(other.evidence.0),
                    one.evidence.1.max(other.evidence.1),
                ),
                ..one
            });
        let joined = joined.unwrap_or(Prospect::bare(low, high));
        Prospect {
            low,
            high,
            ..joined
        }
    }

    /// No other child of an OR is preferred to this one whatever becomes of both.
    fn may_be_preferred(
        &self,
        at: usize,
        child: usize,
        outlook: &Outlook<'_>,
        keeps_unknown: bool,
    ) -> bool {
        let own = self.prospect(child, outlook, keeps_unknown);
        !self
            .children(at)
            .filter(|&other| other != child)
            .any(|other| {
                let prospect = self.prospect(other, outlook, keeps_unknown);
                prospect.surely_beats(own, other < child)
            })
    }

    /// Adds what decides the grade of a tree.
    pub(super) fn need_grade(
        &self,
        at: usize,
        outlook: &Outlook<'_>,
        keeps_unknown: bool,
        needs: &mut Needs,
    ) {
        if self.prospect(at, outlook, keeps_unknown).is_graded() {
            return;
        }
        match self.op(at) {
            Op::Leaf(leaf) => self.need_judged_leaf(leaf, needs),
            _ => self
                .children(at)
                .for_each(|child| self.need_grade(child, outlook, keeps_unknown, needs)),
        }
    }

    /// Adds what decides the grade of a tree, its score and, where `category` asks for it, its
    /// category.
    pub(super) fn need_judged(
        &self,
        at: usize,
        outlook: &Outlook<'_>,
        keeps_unknown: bool,
        category: bool,
        needs: &mut Needs,
    ) {
        let prospect = self.prospect(at, outlook, keeps_unknown);
        let category = category && self.has_category(at);
        let is_told = || {
            !category || !prospect.high.holds() || self.is_way_settled(at, outlook, keeps_unknown)
        };
        if prospect.is_settled() && is_told() {
            return;
        }
        match self.op(at) {
            Op::Leaf(leaf) => self.need_judged_leaf(leaf, needs),
            Op::Not => self.need_grade(at, outlook, keeps_unknown, needs),
            Op::And => {
                for child in self.children(at) {
                    self.need_judged(child, outlook, keeps_unknown, category, needs);
                }
            }
            Op::Or => {
                for child in self.children(at) {
                    if self.may_be_preferred(at, child, outlook, keeps_unknown) {
                        self.need_judged(child, outlook, keeps_unknown, category, needs);
                    }
                }
            }
        }
    }

    /// The leaves that a tree that holds owes its match to are known.
    fn is_way_settled(&self, at: usize, outlook: &Outlook<'_>, keeps_unknown: bool) -> bool {
        match self.op(at) {
            Op::Leaf(_) | Op::Not => true,
            Op::And => self
                .children(at)
                .all(|child| self.is_way_settled(child, outlook, keeps_unknown)),
            Op::Or => {
                let best = self
                    .children(at)
                    .find(|&child| self.is_preferred(at, child, outlook, keeps_unknown));
                best.is_some_and(|best| self.is_way_settled(best, outlook, keeps_unknown))
            }
        }
    }

    /// A child of an OR is preferred to every other whatever becomes of them.
    fn is_preferred(
        &self,
        at: usize,
        child: usize,
        outlook: &Outlook<'_>,
        keeps_unknown: bool,
    ) -> bool {
        let own = self.prospect(child, outlook, keeps_unknown);
        own.low.holds()
            && self
                .children(at)
                .filter(|&other| other != child)
                .all(|other| {
                    let prospect = self.prospect(other, outlook, keeps_unknown);
                    !prospect.high.holds() || own.surely_beats(prospect, child < other)
                })
    }
}

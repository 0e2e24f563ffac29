//! What is known of models from outcomes and answers: one row for a model in a decision, in its
//! tier and everywhere.
//!
//! Keyed by recipe: recipes are isolated. Bounded: the row that was longest untouched leaves.

use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Rows at most: names come from documents, but documents come and go.
pub(super) const ROWS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// Weight of the newest answer.
const ALPHA: f64 = 0.2;

/// Outcomes that were reported of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// It fitted.
    pub good: u64,
    /// It was too weak.
    pub under: u64,
    /// It was stronger than needed.
    pub over: u64,
    /// It failed.
    pub failed: u64,
}

impl Counts {
    /// Returns the number of all outcomes.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.good
            .saturating_add(self.under)
            .saturating_add(self.over)
            .saturating_add(self.failed)
    }

    /// Adds two counts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            good: self.good.saturating_add(other.good),
            under: self.under.saturating_add(other.under),
            over: self.over.saturating_add(other.over),
            failed: self.failed.saturating_add(other.failed),
        }
    }

    /// Counts outcomes of one kind.
    #[must_use]
    pub fn of(verdict: Verdict, times: u64) -> Self {
        let mut counts = Self::default();
        match verdict {
            Verdict::Good => counts.good = times,
            Verdict::Underpowered => counts.under = times,
            Verdict::Overpowered => counts.over = times,
            Verdict::Failed => counts.failed = times,
        }
        counts
    }
}

/// What somebody found an answer to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The model fitted.
    Good,
    /// It was too weak.
    Underpowered,
    /// It was stronger than needed.
    Overpowered,
    /// It failed.
    Failed,
}

impl Verdict {
    /// Parses the reference's word or a shorter one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            "good_fit" | "good" => Some(Self::Good),
            "underpowered" => Some(Self::Underpowered),
            "overprovisioned" | "overpowered" => Some(Self::Overpowered),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }

    /// Returns the word of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good_fit",
            Self::Underpowered => "underpowered",
            Self::Overpowered => "overprovisioned",
            Self::Failed => "failed",
        }
    }
}

/// Where a row stands. An empty decision stands for all decisions of the tier; with tier 0 as well,
/// for all of the recipe.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The recipe.
    pub recipe: Arc<str>,
    /// The decision.
    pub decision: Arc<str>,
    /// The decision's tier.
    pub tier: i64,
    /// The model, as the policy names it.
    pub model: Arc<str>,
}

impl Place {
    /// Returns this place, its tier and its recipe, from the narrowest to the widest, each once.
    fn widening(&self) -> impl Iterator<Item = Self> {
        let tier = Self {
            decision: "".into(),
            ..self.clone()
        };
        let everywhere = Self {
            tier: 0,
            ..tier.clone()
        };
        let own = (!self.decision.is_empty()).then(|| self.clone());
        let tier = (self.tier != 0).then_some(tier);
        own.into_iter()
            .chain(tier)
            .chain(std::iter::once(everywhere))
    }
}

/// What is known of a model at a place. Averages are moving ones; 0 stands for none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Row {
    /// Outcomes.
    pub counts: Counts,
    /// What its prompts cost against the same prompts without a cache.
    pub input_cost: f64,
    /// Time to the end of its answers, seconds.
    pub latency: f64,
    /// Share of its prompts that was in the cache.
    pub cache: f64,
}

impl Row {
    /// Returns whether nothing is known.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        *self == Self::default()
    }

    fn observe(&mut self, seen: &Observation) {
        let average = |kept: &mut f64, seen: Option<f64>| {
            if let Some(seen) = seen.filter(|seen| seen.is_finite() && *seen >= 0.0) {
                *kept = if *kept <= 0.0 {
                    seen
                } else {
                    *kept * (1.0 - ALPHA) + seen * ALPHA
                };
            }
        };
        average(&mut self.input_cost, seen.input_cost);
        average(&mut self.latency, seen.latency);
        average(&mut self.cache, seen.cache);
    }
}

/// What an answer showed of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Observation {
    /// As [`Row::input_cost`].
    pub input_cost: Option<f64>,
    /// As [`Row::latency`].
    pub latency: Option<f64>,
    /// As [`Row::cache`].
    pub cache: Option<f64>,
    /// The model failed.
    pub failed: bool,
}

/// What became of a row since the last exchange with other replicas, and its averages now.
#[derive(Debug, Clone, PartialEq)]
pub struct Increment {
    /// Which row.
    pub place: Place,
    /// Outcomes that came.
    pub counts: Counts,
    /// The row as it is here.
    pub row: Row,
}

#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    row: Row,
    /// Outcomes that no other replica knows of yet.
    fresh: Counts,
    changed: bool,
}

/// All rows.
#[derive(Debug)]
pub(super) struct Rows(LruCache<Place, Kept>);

impl Rows {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self(LruCache::new(most))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Finds the narrowest row that there is.
    pub(super) fn find(&mut self, place: &Place) -> Option<Row> {
        place
            .widening()
            .find_map(|place| Some(self.0.get(&place)?.row))
    }

    /// Counts outcomes; returns how many rows they changed.
    pub(super) fn judge(&mut self, place: &Place, counts: Counts) -> usize {
        self.change(place, |kept| {
            kept.row.counts = kept.row.counts.plus(counts);
            kept.fresh = kept.fresh.plus(counts);
        })
    }

    pub(super) fn observe(&mut self, place: &Place, seen: &Observation) {
        self.change(place, |kept| kept.row.observe(seen));
        if seen.failed {
            self.judge(place, Counts::of(Verdict::Failed, 1));
        }
    }

    fn change(&mut self, place: &Place, change: impl Fn(&mut Kept)) -> usize {
        let mut changed = 0;
        for place in place.widening() {
            let kept = self.0.get_or_insert_mut(place, Kept::default);
            change(kept);
            kept.changed = true;
            changed += 1;
        }
        changed
    }

    /// Takes what other replicas do not know yet; it counts as sent.
    pub(super) fn take_increments(&mut self) -> Vec<Increment> {
        let changed = self.0.iter_mut().filter(|(_, kept)| kept.changed);
        let take = |(place, kept): (&Place, &mut Kept)| {
            kept.changed = false;
            Increment {
                place: place.clone(),
                counts: std::mem::take(&mut kept.fresh),
                row: kept.row,
            }
        };
        changed.map(take).collect()
    }

    /// Puts back increments that could not be sent; they go with the next ones.
    pub(super) fn put_back(&mut self, increments: &[Increment]) {
        for increment in increments {
            // A row that left meanwhile comes back: its outcomes count elsewhere.
            let kept = self.0.get_or_insert_mut(increment.place.clone(), || Kept {
                row: increment.row,
                ..Kept::default()
            });
            kept.fresh = kept.fresh.plus(increment.counts);
            kept.changed = true;
        }
    }

    /// Takes over what all replicas together know. Outcomes that came here since the last telling
    /// stay.
    pub(super) fn adopt(&mut self, totals: Vec<(Place, Row)>) {
        for (place, total) in totals {
            let kept = self.0.get_or_insert_mut(place, Kept::default);
            let own = kept.row;
            let averages = if own.latency > 0.0 || own.cache > 0.0 || own.input_cost > 0.0 {
                own
            } else {
                total
            };
            kept.row = Row {
                counts: total.counts.plus(kept.fresh),
                ..averages
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(decision: &str, tier: i64, model: &str) -> Place {
        Place {
            recipe: "r".into(),
            decision: decision.into(),
            tier,
            model: model.into(),
        }
    }

    fn rows() -> Rows {
        Rows::new(NonZeroUsize::new(100).unwrap())
    }

    const GOOD: Counts = Counts {
        good: 1,
        under: 0,
        over: 0,
        failed: 0,
    };

    #[test]
    fn outcomes_are_found_from_the_narrowest_place_to_the_widest() {
        let check = |written: Place, asked: Place, found: bool| {
            let mut rows = rows();
            rows.judge(&written, GOOD);
            assert_eq!(rows.find(&asked).is_some(), found, "{written:?} {asked:?}");
        };
        let written = place("code", 4, "m");
        check(written.clone(), written.clone(), true);
        check(written.clone(), place("other", 4, "m"), true);
        check(written.clone(), place("other", 9, "m"), true);
        check(written.clone(), place("other", 0, "m"), true);
        check(written.clone(), place("code", 4, "n"), false);
        check(
            written.clone(),
            Place {
                recipe: "s".into(),
                ..written
            },
            false,
        );
        let mut rows = rows();
        assert_eq!(rows.judge(&place("code", 4, "m"), GOOD), 3);
        assert_eq!(rows.judge(&place("chat", 0, "m"), GOOD), 2);
        assert_eq!(rows.judge(&place("", 0, "m"), GOOD), 1);
        let good = |rows: &mut Rows, place| rows.find(&place).unwrap().counts.good;
        assert_eq!(good(&mut rows, place("code", 4, "m")), 1);
        assert_eq!(good(&mut rows, place("chat", 0, "m")), 1);
        assert_eq!(good(&mut rows, place("other", 0, "m")), 3);
    }

    #[test]
    fn averages_move_by_a_fifth() {
        let mut rows = rows();
        let here = place("d", 0, "m");
        for latency in [1.0, 2.0, -5.0, f64::NAN] {
            rows.observe(
                &here,
                &Observation {
                    latency: Some(latency),
                    ..Observation::default()
                },
            );
        }
        rows.observe(
            &here,
            &Observation {
                cache: Some(0.0),
                ..Observation::default()
            },
        );
        rows.observe(
            &here,
            &Observation {
                cache: Some(0.5),
                failed: true,
                ..Observation::default()
            },
        );
        let row = rows.find(&here).unwrap();
        assert!((row.latency - 1.2).abs() < 1e-12 && (row.cache - 0.5).abs() < 1e-12);
        assert_eq!((row.input_cost, row.counts.failed), (0.0, 1));
    }

    #[test]
    fn bounded() {
        let mut rows = Rows::new(NonZeroUsize::new(10).unwrap());
        for index in 0..1_000 {
            rows.judge(&place(&format!("d{index}"), index, "m"), GOOD);
            assert!(rows.len() <= 10);
        }
        assert_eq!(
            rows.find(&place("x", 0, "m")).unwrap().counts.good,
            1_000,
            "what is used stays"
        );
    }

    #[test]
    fn increments_are_told_once_and_totals_keep_what_came_meanwhile() {
        let mut rows = rows();
        let here = place("", 0, "m");
        rows.judge(&here, GOOD);
        let told = rows.take_increments();
        assert_eq!(
            told.iter().map(|it| it.counts.good).collect::<Vec<_>>(),
            [1]
        );
        assert_eq!(rows.take_increments(), []);
        rows.judge(&here, GOOD);
        rows.adopt(vec![(
            here.clone(),
            Row {
                counts: Counts { good: 41, ..GOOD },
                ..Row::default()
            },
        )]);
        assert_eq!(rows.find(&here).unwrap().counts.good, 42);
        let lost = rows.take_increments();
        rows.put_back(&lost);
        assert_eq!(
            rows.take_increments()[0].counts.good,
            1,
            "what could not be told is told again"
        );
    }
}

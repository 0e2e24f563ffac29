//! Projections: signals derived from signals.
//!
//! In this order, once per request, after every other signal but authz: `partition`s leave one
//! winner among domain or embedding rules; [`keep_top`] cuts embeddings; `score`s sum facts;
//! `mapping`s turn a score into `projection` signals.

mod check;
mod mapping;
mod outlook;
mod partition;
mod score;
pub mod section;
pub mod step;
mod trace;

#[cfg(test)]
mod tests;

pub use check::check;
pub use outlook::Foreseen;
pub use trace::{InputTrace, MappingTrace, PartitionTrace, ProjectionTrace, ScoreTrace};

use crate::declared::Declared;
pub use crate::report::kb_metric;
use crate::report::{Key, Keys, Kind, SignalReport};
use mapping::Mapping;
use partition::Partition;
use score::{Score, Scores};
use step::Step;

/// The projections of one recipe, compiled.
#[derive(Debug, Clone, Default)]
pub struct Projections {
    /// Domain partitions first, then embedding partitions.
    partitions: Vec<Partition>,
    /// In the order of evaluation, each with its mappings. Empty unless the recipe has scores and
    /// mappings.
    scores: Vec<(Score, Vec<Mapping>)>,
    /// A score with an input that failed counts as unknown, not as the sum of the others.
    withholds: bool,
}

impl Projections {
    /// Compiles `projections`; every name they read or emit is interned. What [`check`] reports as
    /// an error is left out.
    #[must_use]
    pub fn build(projections: &section::Projections, keys: &mut Keys, declared: &Declared) -> Self {
        let partitions = partition::build(&projections.partitions, keys, declared);
        let scores = score::build(&projections.scores, &projections.mappings, keys);
        let mut mappings = mapping::build(&projections.mappings, &projections.scores, keys);
        let scores = if mappings.is_empty() {
            Vec::new()
        } else {
            scores
        };
        let scores = scores
            .into_iter()
            .map(|score| {
                let own = mappings.extract_if(.., |mapping| mapping.source == score.index);
                let own = own.collect();
                (score, own)
            })
            .collect();
        Self {
            partitions,
            scores,
            withholds: false,
        }
    }

    /// Says whether a score with an input that failed is withheld, with its bands.
    #[must_use]
    pub fn withholding(self, withholds: bool) -> Self {
        Self { withholds, ..self }
    }

    /// Partitions, scores and mappings, for a recipe whose embeddings are not cut in between.
    pub fn apply(&self, report: &mut SignalReport) {
        self.partition(report);
        self.project(report);
    }

    /// As [`apply`](Self::apply), and writes down how each number came about.
    pub fn apply_traced<'a>(
        &'a self,
        keys: &'a Keys,
        report: &mut SignalReport,
    ) -> ProjectionTrace<'a> {
        let partitions = self.partition_traced(keys, report);
        self.project(report);
        self.trace(keys, report, partitions)
    }

    /// Leaves at most one match in each partition.
    pub fn partition(&self, report: &mut SignalReport) {
        for partition in &self.partitions {
            partition.run(report);
        }
    }

    /// The partitions in the order they run.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &dyn Step> {
        self.partitions
            .iter()
            .map(|partition| partition as &dyn Step)
    }

    /// As [`partition`](Self::partition), with the contenders and the winner of each.
    pub fn partition_traced<'a>(
        &'a self,
        keys: &'a Keys,
        report: &mut SignalReport,
    ) -> Vec<PartitionTrace<'a>> {
        self.partitions
            .iter()
            .map(|partition| partition.apply_traced(keys, report))
            .collect()
    }

    /// Computes scores and emits what they map to.
    pub fn project(&self, report: &mut SignalReport) {
        let mut computed = Scores::default();
        for (score, mappings) in &self.scores {
            if let Some(input) = self.unknown_input(score, report, &computed) {
                computed.push(score.index, None);
                for mapping in mappings {
                    mapping.withhold(input, report);
                }
                continue;
            }
            let value = score.compute(report, &computed);
            computed.push(score.index, Some(value));
            for mapping in mappings {
                mapping.emit(value, report);
            }
        }
    }

    /// The input for which a score is withheld.
    fn unknown_input<'a>(
        &self,
        score: &'a Score,
        report: &SignalReport,
        computed: &Scores,
    ) -> Option<&'a str> {
        if self.withholds && report.has_failures() {
            score.unknown_input(report, computed)
        } else {
            None
        }
    }

    /// The scores and mappings of a finished report, recomputed from its final state.
    #[must_use]
    pub fn trace<'a>(
        &'a self,
        keys: &'a Keys,
        report: &SignalReport,
        partitions: Vec<PartitionTrace<'a>>,
    ) -> ProjectionTrace<'a> {
        let mut trace = ProjectionTrace {
            partitions,
            ..ProjectionTrace::default()
        };
        let mut computed = Scores::default();
        for (score, mappings) in &self.scores {
            let withheld = self.unknown_input(score, report, &computed).is_some();
            let traced = ScoreTrace {
                withheld,
                ..score.trace(report, &computed)
            };
            let value = Some(traced.score).filter(|_| !withheld);
            computed.push(score.index, value);
            trace
                .mappings
                .extend(mappings.iter().map(|mapping| mapping.trace(value, keys)));
            trace.scores.push(traced);
        }
        trace
    }
}

/// Keeps the `top_k` matches of a family by confidence, ties by name; the others lose match and
/// confidence, not values. A match without a confidence (a partition's default) ranks as 0. Zero
/// keeps all, a negative number one. Where something is cut, the survivors stand in that order
/// afterwards.
pub fn keep_top(report: &mut SignalReport, keys: &Keys, family: Kind, top_k: i64) {
    let top_k = match top_k {
        0 => return,
        ..0 => 1,
        _ => usize::try_from(top_k).unwrap_or(usize::MAX),
    };
    let mut ranked: Vec<(Key, Option<f64>)> = report
        .matches()
        .filter(|&key| keys.kind(key) == family)
        .map(|key| (key, report.confidence(key)))
        .collect();
    if ranked.len() <= top_k {
        return;
    }
    ranked.sort_by(|(left, left_confidence), (right, right_confidence)| {
        let (left_confidence, right_confidence) = (
            left_confidence.unwrap_or(0.0),
            right_confidence.unwrap_or(0.0),
        );
        right_confidence
            .total_cmp(&left_confidence)
            .then_with(|| keys.name(*left).cmp(keys.name(*right)))
    });
    for &(key, _) in &ranked {
        report.withdraw(key);
    }
    for (key, confidence) in ranked.into_iter().take(top_k) {
        match report.is_assumed(key) {
            true => report.assume(key),
            false => report.emit(key),
        }
        if let Some(confidence) = confidence {
            report.set_confidence(key, confidence);
        }
    }
}

//! Example texts of rules as prototype banks, and thresholds that the examples themselves do not
//! reach.

use super::Building;
use crate::catalog::PrototypeScoring;
use crate::report::Kind;
use inference::handle::Embedder;
use inference::prototypes::{Bank, Clustering, Example, Weighting, similarity};
use std::sync::Arc;

/// How a family makes scores of examples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Scoring {
    pub(super) clustering: Clustering,
    pub(super) weighting: Weighting,
    /// Lead over the second; read by preferences only.
    pub(super) margin: f32,
}

impl Scoring {
    /// Returns the settings of a rule that may have its own.
    pub(super) fn of_rule(
        rule: Option<&PrototypeScoring>,
        family: Option<&PrototypeScoring>,
    ) -> Self {
        match (rule, family) {
            (Some(rule), Some(family)) => Self::new(Some(&inherited(rule, family))),
            (rule, family) => Self::new(rule.or(family)),
        }
    }

    /// Of one of the four places that have such settings; nothing is inherited between them.
    pub(super) fn new(config: Option<&PrototypeScoring>) -> Self {
        let Some(config) = config else {
            return Self::default();
        };
        Self {
            clustering: Clustering::new(
                config.enabled.unwrap_or(true),
                config.cluster_similarity_threshold,
                config.max_prototypes as usize,
            ),
            weighting: Weighting::new(config.best_weight, config.top_m as usize),
            margin: config.margin_threshold,
        }
    }
}

/// Returns the settings of a rule; what it leaves out is as the family has it.
fn inherited(rule: &PrototypeScoring, family: &PrototypeScoring) -> PrototypeScoring {
    let number = |own: f32, inherited: f32| if own == 0.0 { inherited } else { own };
    let count = |own: u32, inherited: u32| if own == 0 { inherited } else { own };
    PrototypeScoring {
        enabled: rule.enabled.or(family.enabled),
        cluster_similarity_threshold: number(
            rule.cluster_similarity_threshold,
            family.cluster_similarity_threshold,
        ),
        max_prototypes: count(rule.max_prototypes, family.max_prototypes),
        best_weight: number(rule.best_weight, family.best_weight),
        top_m: count(rule.top_m, family.top_m),
        margin_threshold: number(rule.margin_threshold, family.margin_threshold),
    }
}

/// Example texts and their vectors.
pub(super) struct Examples<'a> {
    texts: &'a [String],
    vectors: Vec<Arc<[f32]>>,
}

impl<'a> Examples<'a> {
    /// Has `texts` embedded. `path` is where they stand.
    pub(super) fn embed(
        building: &mut Building<'_>,
        kind: Kind,
        path: &str,
        by: &Embedder,
        texts: &'a [String],
    ) -> Self {
        let vectors = if texts.is_empty() {
            Vec::new()
        } else {
            building.vectors(kind, path, by, texts)
        };
        Self::new(texts, vectors)
    }

    /// Texts that have been embedded.
    pub(super) fn new(texts: &'a [String], vectors: Vec<Arc<[f32]>>) -> Self {
        Self { texts, vectors }
    }

    /// The bank of these examples. Equal keys are one example; `key` gets the index and the text.
    pub(super) fn bank(
        &self,
        by: &Embedder,
        clustering: Clustering,
        key: impl Fn(usize, &str) -> String,
    ) -> Bank {
        let examples =
            self.texts
                .iter()
                .zip(&self.vectors)
                .enumerate()
                .map(|(index, (text, vector))| Example {
                    key: key(index, text),
                    text: text.as_str().into(),
                    vector: vector.clone(),
                });
        Bank::build(examples, clustering, &by.scale)
    }

    /// The vectors that are there.
    pub(super) fn into_vectors(self) -> Vec<Arc<[f32]>> {
        self.vectors
            .into_iter()
            .filter(|vector| !vector.is_empty())
            .collect()
    }

    /// The similarity of the two nearest among two or more different examples, if a model has
    /// embedded them.
    fn nearest_pair(&self, by: &Embedder) -> Option<f64> {
        by.backing.as_ref()?;
        let vectors = || {
            self.vectors
                .iter()
                .enumerate()
                .filter(|(_, vector)| !vector.is_empty())
        };
        let pairs = vectors().flat_map(|(index, left)| {
            let later = vectors().filter(move |(other, _)| {
                *other > index && self.texts[*other] != self.texts[index]
            });
            later.map(move |(_, right)| similarity(left, right, &by.scale))
        });
        pairs.max_by(f64::total_cmp)
    }

    /// Warns of a threshold above the similarity of any two of the rule's own examples: a text that
    /// is no copy of one of them will hardly reach it.
    pub(super) fn check_threshold(
        &self,
        building: &mut Building<'_>,
        path: &str,
        by: &Embedder,
        threshold: f32,
    ) {
        if let Some(nearest) = self
            .nearest_pair(by)
            .filter(|&nearest| nearest < f64::from(threshold))
        {
            let message = format!(
                "no two of the rule's own examples are as similar as {threshold}: the nearest have {nearest:.2} by `{}`",
                by.name
            );
            building.findings.warn(path, message);
        }
    }
}

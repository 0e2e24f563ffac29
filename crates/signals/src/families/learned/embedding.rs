//! Similarity of the user's turn to example texts: one vector of the evaluation text, whatever the
//! number of rules.
//!
//! Use it for intents that have no fixed words.
//!
//! ```yaml
//! routing:
//!   signals:
//!     embeddings:
//!       - name: account_management
//!         threshold: 0.72
//!         candidates: [password reset, account settings, billing information]
//! ```
//!
//! A rule matches hard at its own threshold. Where none does, soft matching takes every rule above
//! `embedding_config.min_score_threshold`, whatever its own threshold (the reference's rule).
//! `negative_candidates` count against: the score is that of the candidates less that of theirs.
//! Confidence is the score; values are score, best, support and the number of prototypes of all
//! rules. `top_k` cuts later, after partitions and composers. Rules on images never match: there is
//! no encoder of images.

use super::examples::{Examples, Scoring};
use super::{Building, Head, Learned, SignalInput, answers, check_threshold, ran};
use crate::catalog::PrototypeScoring;
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use document::Findings;
use inference::ask::{Outcome, Question, What};
use inference::handle::Embedder;
use inference::prototypes::{Bank, Weighting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Least score of a soft match where the document says none.
const SOFT: f32 = 0.5;

/// A rule over the similarity of the user's turn to example texts.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Least score of a hard match.
    pub threshold: f32,
    /// Example texts.
    pub candidates: Vec<String>,
    /// How example similarities become one score; omitted means `max`.
    pub aggregation_method: Aggregation,
    /// What the query is computed from; omitted means `text`.
    pub query_modality: QueryModality,
    /// Known, without effect: there is no encoder of images.
    pub image_candidates: Vec<String>,
    /// Texts that count against: their score is taken off that of `candidates`.
    pub negative_candidates: Vec<String>,
    /// Known, without effect: there is no encoder of images.
    pub negative_image_candidates: Vec<String>,
    /// How examples become a score; what is left out is as in
    /// `embeddings.semantic.embedding_config`.
    pub prototype_scoring: Option<PrototypeScoring>,
}

/// How the similarities of examples become one score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The best, tempered by its neighbours.
    #[default]
    Max,
    /// The same as `max`.
    Any,
    /// The mean.
    Mean,
}

/// What a query is computed from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryModality {
    /// The user's turn.
    #[default]
    Text,
    /// Known, and never run: there is no encoder of images.
    Image,
    /// Known, and never run.
    Audio,
}

impl EmbeddingRule {
    fn check(&self, at: &str, findings: &mut Findings) {
        if self.candidates.is_empty() {
            findings.warn(at, "no candidates, so the rule never matches");
        }
        let path = format!("{at}.query_modality");
        match self.query_modality {
            QueryModality::Text => {}
            QueryModality::Audio => findings.warn(path, "`audio` is known and never runs"),
            QueryModality::Image => findings.warn(
                path,
                "there is no encoder of images, so the rule never matches",
            ),
        }
        for (key, images) in [
            ("image_candidates", &self.image_candidates),
            ("negative_image_candidates", &self.negative_image_candidates),
        ] {
            if !images.is_empty() {
                let message = "there is no encoder of images, so these have no effect";
                findings.warn(format!("{at}.{key}"), message);
            }
        }
        if self.negative_candidates.is_empty() {
            check_threshold(&format!("{at}.threshold"), self.threshold, findings);
        } else if !(-2.0..=2.0).contains(&self.threshold) {
            let message = format!(
                "a threshold of {} lies outside the range of the difference of two scores",
                self.threshold
            );
            findings.warn(format!("{at}.threshold"), message);
        }
    }
}

/// Reports what is wrong with the rules.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.signals.embeddings.iter().enumerate() {
        rule.check(&scope.rule(Kind::Embedding, index), findings);
    }
}

/// Compiles the rules on texts; nothing without any.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.scope.signals.embeddings;
    let declared = declared
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.query_modality == QueryModality::Text);
    let declared: Vec<_> = declared
        .filter(|(_, rule)| !rule.candidates.is_empty())
        .collect();
    if declared.is_empty() {
        return None;
    }
    let by = building.encoder(Kind::Embedding);
    let semantic = building.scope.models.embeddings.semantic.as_ref();
    let config = semantic.and_then(|semantic| semantic.embedding_config.as_ref());
    let family = config.and_then(|config| config.prototype_scoring.as_ref());
    let soft = config
        .and_then(|config| config.enable_soft_matching)
        .unwrap_or(true);
    let least = config
        .and_then(|config| config.min_score_threshold)
        .filter(|&least| least > 0.0)
        .unwrap_or(SOFT);
    let mut rules = Vec::new();
    for (index, rule) in declared {
        let path = building.scope.rule(Kind::Embedding, index);
        let scoring = Scoring::of_rule(rule.prototype_scoring.as_ref(), family);
        let examples = Examples::embed(building, Kind::Embedding, &path, &by, &rule.candidates);
        examples.check_threshold(building, &format!("{path}.threshold"), &by, rule.threshold);
        let negative = Examples::embed(
            building,
            Kind::Embedding,
            &path,
            &by,
            &rule.negative_candidates,
        );
        let mut key = |suffix: &str| {
            building
                .keys
                .intern(Kind::Embedding, &format!("{}{suffix}", rule.name))
        };
        rules.push(Rule {
            name: rule.name.as_str().into(),
            key: key(""),
            best: key(":best"),
            support: key(":support"),
            count: key(":prototype_count"),
            threshold: f64::from(rule.threshold),
            bank: examples.bank(&by, scoring.clustering, |_, text| text.to_owned()),
            negative: negative.bank(&by, scoring.clustering, |_, text| text.to_owned()),
            weighting: match rule.aggregation_method {
                Aggregation::Mean => Weighting::MEAN,
                Aggregation::Max | Aggregation::Any => scoring.weighting,
            },
        });
    }
    let differences = rules.iter().filter(|rule| !rule.negative.is_empty());
    differences.for_each(|rule| building.keys.note_difference(rule.key));
    let keys = rules
        .iter()
        .flat_map(|rule| [rule.key, rule.best, rule.support, rule.count]);
    let head = Head::new(Kind::Embedding, by.cost, keys);
    Some(Box::new(EmbeddingSignal {
        by,
        rules,
        soft: soft.then_some(f64::from(least)),
        head,
    }))
}

/// The rules on texts of one recipe.
struct EmbeddingSignal {
    by: Embedder,
    rules: Vec<Rule>,
    /// Least score of a soft match; `None` if there is none.
    soft: Option<f64>,
    head: Head,
}

struct Rule {
    name: Box<str>,
    key: Key,
    best: Key,
    support: Key,
    count: Key,
    threshold: f64,
    bank: Bank,
    /// Examples that count against; may be empty.
    negative: Bank,
    weighting: Weighting,
}

impl Learned for EmbeddingSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        input.ask(What::Vector(self.by.clone()))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let keys = self.rules.iter().map(|rule| &rule.key);
        if let Some(query) = answers::only_vector(Kind::Embedding, answers, keys, report) {
            self.score(query, report);
        }
    }
}

impl EmbeddingSignal {
    fn score(&self, query: &[f32], report: &mut SignalReport) {
        let mut scored = Vec::new();
        for rule in self.rules.iter().filter(|rule| !rule.bank.is_empty()) {
            let mut score = rule.bank.score(query, rule.weighting, &self.by.scale);
            if !rule.negative.is_empty() {
                let against = rule.negative.score(query, rule.weighting, &self.by.scale);
                score.score -= against.score;
            }
            report.set_value(rule.key, score.score);
            report.set_value(rule.best, score.best);
            report.set_value(rule.support, score.support);
            report.set_value(rule.count, score.count as f64);
            scored.push((rule, score.score));
        }
        let hard = scored.iter().any(|(rule, score)| *score >= rule.threshold);
        scored.retain(|(rule, score)| match self.soft {
            _ if hard => *score >= rule.threshold,
            Some(least) => *score >= least,
            None => false,
        });
        scored.sort_by(|(left, left_score), (right, right_score)| {
            right_score
                .total_cmp(left_score)
                .then_with(|| left.name.cmp(&right.name))
        });
        for (rule, score) in &scored {
            report.emit(rule.key);
            report.set_confidence(rule.key, *score);
        }
        ran(
            report,
            Kind::Embedding,
            scored.first().map_or(0.0, |(_, score)| *score),
        );
    }
}

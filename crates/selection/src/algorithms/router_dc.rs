//! `router_dc`: the candidate whose description is nearest to the user's turn.
//!
//! ```yaml
//! routing:
//!   modelCards:
//!     - { name: coder, description: Writes and reviews code, capabilities: [rust, python] }
//!     - { name: writer, description: Writes letters and stories }
//!   decisions:
//!     - name: work
//!       modelRefs: [{ model: coder }, { model: writer }]
//!       algorithm: { type: router_dc, router_dc: { temperature: 0.1, use_capabilities: true } }
//! ```
//!
//! Similarity is σ(cosine/τ). As τ is small, most similarities are close to 1 and only their order
//! tells; the reported scores are their softmax by τ. A candidate without a description counts as
//! `min_similarity` and cannot win.

use super::method::{Building, Checking, DecisionInput, Method, NO_EFFECT, warn_unread};
use super::process::PATH;
use super::ranking::highest;
use super::{Choice, SelectionError, SelectionInput, Selector};
use crate::card::ModelDescriptions;
use crate::providers::ModelCard;
use document::Findings;
use inference::catalog::Bare;
use inference::handle::Embedder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// τ where the document has none.
const TEMPERATURE: f64 = 0.07;
/// Least similarity of a winner where the document has none.
const MIN_SIMILARITY: f64 = 0.3;

/// Nearest model description by embedding.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RouterDc")]
pub struct RouterDcConfig {
    /// τ of the softmax; 0 means 0.07.
    pub temperature: f64,
    /// Dimensions of the embedding.
    pub dimension_size: u32,
    /// Least similarity of a winner; only the global value is read.
    pub min_similarity: f64,
    /// Contrast between queries.
    pub use_query_contrastive: bool,
    /// Contrast between models.
    pub use_model_contrastive: bool,
    /// Fail without model descriptions.
    pub require_descriptions: bool,
    /// Read capabilities beside descriptions. Omitted in a decision, this turns them off; omitted
    /// for the process, on.
    pub use_capabilities: Option<bool>,
}

impl RouterDcConfig {
    /// Reports what is wrong with a block, of a decision or of the process.
    pub(super) fn check(&self, path: &str, findings: &mut Findings) {
        let parameters = [
            ("dimension_size", self.dimension_size != 0),
            ("use_query_contrastive", self.use_query_contrastive),
            ("use_model_contrastive", self.use_model_contrastive),
        ];
        warn_unread(path, &parameters, NO_EFFECT, findings);
        if self.temperature < 0.0 {
            findings.error(
                format!("{path}.temperature"),
                "a temperature is a number above 0",
            );
        }
    }
}

/// Compares descriptions with the user's turn.
pub struct RouterDc {
    encoder: Embedder,
    /// Of each candidate's description; empty where there is none.
    vectors: Vec<Arc<[f32]>>,
    temperature: f64,
    min_similarity: f64,
    reasons: Reasons,
}

struct Reasons {
    nearest: Arc<str>,
    none: Arc<str>,
    low: Arc<str>,
}

/// The parameters in force, after the reference's rules of who may set what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// τ.
    pub temperature: f64,
    /// Least similarity of a winner.
    pub min_similarity: f64,
    /// Capabilities are read beside descriptions.
    pub use_capabilities: bool,
}

impl Parameters {
    /// Reads the settings. `global` is the block of `global.router.model_selection`, `first` that
    /// of the recipe's first decision with this algorithm: its temperature counts if it is not 0,
    /// and its switches always, so that omitting them turns capabilities off. Blocks of other
    /// decisions and its `min_similarity` are not read.
    #[must_use]
    pub fn new(global: Option<&RouterDcConfig>, first: Option<&RouterDcConfig>) -> Self {
        let usable =
            |number: f64| Some(number).filter(|number| number.is_finite() && *number > 0.0);
        let of = |config: Option<&RouterDcConfig>, number: fn(&RouterDcConfig) -> f64| {
            config.map(number).and_then(usable)
        };
        let temperature = of(first, |config| config.temperature)
            .or_else(|| of(global, |config| config.temperature));
        let capabilities = match first {
            Some(first) => first.use_capabilities.unwrap_or(false),
            None => global
                .and_then(|global| global.use_capabilities)
                .unwrap_or(true),
        };
        Self {
            temperature: temperature.unwrap_or(TEMPERATURE),
            min_similarity: of(global, |config| config.min_similarity).unwrap_or(MIN_SIMILARITY),
            use_capabilities: capabilities,
        }
    }
}

/// Returns the text that stands for a model; empty if it has none.
#[must_use]
pub fn text(description: &str, capabilities: &[String], use_capabilities: bool) -> String {
    let able = use_capabilities && !capabilities.is_empty();
    let able = able.then(|| format!("Capabilities: {}", capabilities.join(", ")));
    let described = Some(description.to_owned()).filter(|text| !text.is_empty());
    [described, able]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(". ")
}

impl RouterDc {
    /// Builds the algorithm. `vectors` are those of the candidates' texts by `encoder`, empty where
    /// there is no text.
    #[must_use]
    pub fn new(parameters: Parameters, encoder: Embedder, vectors: Vec<Arc<[f32]>>) -> Self {
        let Parameters {
            temperature,
            min_similarity,
            ..
        } = parameters;
        let reasons = Reasons {
            nearest: "description nearest to the user's turn".into(),
            none: "no candidate has a description; using the first".into(),
            low: "no description is near enough to the user's turn; using the first candidate"
                .into(),
        };
        Self {
            encoder,
            vectors,
            temperature,
            min_similarity,
            reasons,
        }
    }

    /// Builds the algorithm for a decision, also as a part of another algorithm.
    pub(super) fn of(decision: &DecisionInput<'_>, building: &mut Building<'_>) -> Self {
        let global = building
            .process
            .and_then(|process| process.router_dc.as_ref());
        let parameters = Parameters::new(global, building.router_dc);
        let candidates = decision.candidates.iter();
        let texts: Vec<String> = candidates
            .map(|candidate| {
                let card = card(building.models, &candidate.card.name);
                card.map_or_else(String::new, |card| {
                    text(
                        &card.description,
                        &card.capabilities,
                        parameters.use_capabilities,
                    )
                })
            })
            .collect();

        if texts.iter().all(String::is_empty) {
            let vectors = texts.iter().map(|_| Arc::default()).collect();
            return Self::new(parameters, Bare::encoder(), vectors);
        }
        let encoder = building.encoder();
        let vectors = building.vectors(&encoder, &texts);
        Self::new(parameters, encoder, vectors)
    }

    /// Returns whether some candidate has a description that a request can be compared with.
    #[must_use]
    pub fn is_described(&self) -> bool {
        self.vectors.iter().any(|vector| !vector.is_empty())
    }

    /// Returns σ(cosine/τ) of a candidate's description; `None` without one.
    fn similarity(&self, candidate: usize, query: &[f32]) -> Option<f64> {
        let vector = self
            .vectors
            .get(candidate)
            .filter(|vector| vector.len() == query.len() && !vector.is_empty())?;
        // The temperature was chosen for the scale of the reference's encoder.
        let cosine = f64::from(self.encoder.scale.apply(cosine(query, vector) as f32));
        Some(1.0 / (1.0 + (-cosine / self.temperature).exp()))
            .filter(|similarity| similarity.is_finite())
    }

    fn first(
        &self,
        input: &SelectionInput<'_>,
        reason: &Arc<str>,
    ) -> Result<Choice, SelectionError> {
        let candidate = *input
            .eligible
            .first()
            .ok_or(SelectionError::InvalidOutput)?;
        let share = 1.0 / input.eligible.len() as f64;
        let scores = input.eligible.iter().map(|&index| (index, share)).collect();
        Ok(Choice {
            candidate,
            score: share,
            confidence: 0.5,
            reason: Arc::clone(reason),
            scores,
        })
    }
}

impl Method for RouterDc {
    type Block = RouterDcConfig;
    const NAME: &'static str = "router_dc";

    fn check_block(block: &RouterDcConfig, checking: &mut Checking<'_>) {
        if block.use_capabilities.is_none() {
            let path = checking.at("router_dc");
            let message = "`use_capabilities` is omitted here, so it is off";
            checking.findings.note(path, message);
        }
    }

    fn check(block: Option<&RouterDcConfig>, checking: &mut Checking<'_>) {
        if let Some(block) = block {
            check_parameters(block, checking);
        }
        check_descriptions(checking);
    }

    fn build(
        _block: Option<&RouterDcConfig>,
        decision: &DecisionInput<'_>,
        building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        Some(Box::new(Self::of(decision, building)))
    }
}

/// Reports parameters that are out of range or read elsewhere.
fn check_parameters(block: &RouterDcConfig, checking: &mut Checking<'_>) {
    let path = checking.at("router_dc");
    block.check(&path, checking.findings);
    if block.min_similarity != 0.0 {
        checking.findings.warn(
            format!("{path}.min_similarity"),
            format!("is read from `{PATH}.router_dc` only"),
        );
    }
    if let Some((first, counts)) = checking.router_dc
        && !std::ptr::eq(counts, block)
    {
        let message =
            format!("is not read: the block of the decision `{first}` holds for the whole recipe");
        checking.findings.warn(path, message);
    }
}

/// Reports candidates that nothing is known of, so that they cannot win.
fn check_descriptions(checking: &mut Checking<'_>) {
    if checking.model_refs.len() < 2 {
        return;
    }
    let candidates = checking.model_refs.iter();
    let blank: Vec<&str> = candidates
        .map(|candidate| candidate.model.trim())
        .filter(|name| !name.is_empty() && !is_described(checking.models, name))
        .collect();
    if !blank.is_empty() {
        let message = format!(
            "cannot choose what has no `description` on its card: {}",
            blank.join(", ")
        );
        checking.findings.warn(checking.path, message);
    }
}

fn is_described(models: &dyn ModelDescriptions, name: &str) -> bool {
    card(models, name)
        .is_some_and(|card| !card.description.is_empty() || !card.capabilities.is_empty())
}

/// Returns the card of a model; an adapter's is that of its base.
fn card<'a>(models: &'a dyn ModelDescriptions, name: &str) -> Option<&'a ModelCard> {
    models.model_card(name).or_else(|| models.lora_base(name))
}

impl Selector for RouterDc {
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        if !self.is_described() {
            return self.first(input, &self.reasons.none);
        }
        let query = input
            .request
            .vector
            .ok_or_else(|| SelectionError::Failed("no vector of the user's turn".into()))?;
        let similarities = input
            .eligible
            .iter()
            .map(|&index| (index, self.similarity(index, query)));
        let similarities: Vec<(usize, Option<f64>)> = similarities.collect();
        let known = similarities
            .iter()
            .filter_map(|(index, similarity)| Some((*index, (*similarity)?)));
        let Some((candidate, best)) = highest(known) else {
            return self.first(input, &self.reasons.none);
        };
        if best <= 0.0 || best < self.min_similarity {
            return self.first(input, &self.reasons.low);
        }
        let filled = similarities
            .iter()
            .map(|(index, similarity)| (*index, similarity.unwrap_or(self.min_similarity)));
        let scores = softmax(filled.collect(), self.temperature);
        let score = scores
            .iter()
            .find(|(index, _)| *index == candidate)
            .map_or(0.0, |(_, score)| *score);
        let confidence = if best > 0.9 { 0.95 } else { best };
        Ok(Choice {
            candidate,
            score,
            confidence,
            reason: Arc::clone(&self.reasons.nearest),
            scores,
        })
    }

    fn embedder(&self) -> Option<&Embedder> {
        self.is_described().then_some(&self.encoder)
    }
}

/// Returns the cosine in double precision; 0 where a vector has no length.
fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let (mut dot, mut one, mut other) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (f64::from(*left), f64::from(*right));
        dot += left * right;
        one += left * left;
        other += right * right;
    }
    if one > 0.0 && other > 0.0 {
        dot / (one.sqrt() * other.sqrt())
    } else {
        0.0
    }
}

fn softmax(mut scores: Vec<(usize, f64)>, temperature: f64) -> Vec<(usize, f64)> {
    let most = scores
        .iter()
        .map(|(_, score)| *score)
        .fold(f64::NEG_INFINITY, f64::max);
    scores
        .iter_mut()
        .for_each(|(_, score)| *score = ((*score - most) / temperature).exp());
    let sum: f64 = scores.iter().map(|(_, score)| *score).sum();
    scores.iter_mut().for_each(|(_, score)| *score /= sum);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::SelectionRequest;
    use crate::candidate::{Candidate, ModelRef};

    /// Candidates whose descriptions have these cosines with the query (1, 0).
    fn described(cosines: &[Option<f32>]) -> RouterDc {
        let vector = |cosine: &Option<f32>| -> Arc<[f32]> {
            cosine.map_or_else(Arc::default, |cosine| {
                vec![cosine, (1.0 - cosine * cosine).sqrt()].into()
            })
        };
        let parameters = Parameters::new(None, None);
        RouterDc::new(
            parameters,
            Bare::encoder(),
            cosines.iter().map(vector).collect(),
        )
    }

    fn select(
        selector: &RouterDc,
        eligible: &[usize],
        query: Option<&[f32]>,
    ) -> Result<Choice, SelectionError> {
        let candidate = |_| {
            Candidate::unknown(ModelRef {
                model: "m".into(),
                ..ModelRef::default()
            })
        };
        let candidates: Vec<Candidate> = selector.vectors.iter().map(candidate).collect();
        let request = SelectionRequest {
            vector: query,
            ..SelectionRequest::default()
        };
        selector.select(&SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible,
            request: &request,
        })
    }

    #[track_caller]
    fn check(
        cosines: &[Option<f32>],
        eligible: &[usize],
        candidate: usize,
        scores: &[f64],
        confidence: f64,
    ) {
        let choice = select(&described(cosines), eligible, Some(&[1.0, 0.0])).unwrap();
        assert_eq!(choice.candidate, candidate, "{choice:?}");
        let close = |(score, expected): (&(usize, f64), &f64)| (score.1 - expected).abs() < 5e-5;
        assert!(
            choice.scores.len() == scores.len() && choice.scores.iter().zip(scores).all(close),
            "{choice:?}"
        );
        assert!((choice.confidence - confidence).abs() < 1e-6, "{choice:?}");
    }

    #[test]
    fn the_nearest_description_wins() {
        check(&[Some(0.5), Some(0.6)], &[0, 1], 1, &[0.4979, 0.5021], 0.95);
        // One that is not eligible cannot win, and has no share.
        check(
            &[Some(0.5), Some(0.6), Some(0.4)],
            &[0, 2],
            0,
            &[0.5089, 0.4911],
            0.95,
        );
        check(
            &[Some(0.0), Some(0.05)],
            &[0, 1],
            1,
            &[0.0796, 0.9204],
            0.671347,
        );
    }

    #[test]
    fn a_candidate_without_description_cannot_win() {
        let choice = select(&described(&[None, Some(-0.05)]), &[0, 1], Some(&[1.0, 0.0])).unwrap();
        // σ(−0.05/0.07) is .329; the other counts .3 by definition.
        assert_eq!(choice.candidate, 1);
        check(&[None, None], &[0, 1], 0, &[0.5, 0.5], 0.5);
        check(&[Some(0.9), None, None], &[1, 2], 1, &[0.5, 0.5], 0.5);
    }

    #[test]
    fn too_far_from_all_takes_the_first() {
        check(&[Some(-0.9), Some(-0.2)], &[0, 1], 0, &[0.5, 0.5], 0.5);
    }

    #[test]
    fn without_a_vector_of_the_turn_there_is_no_answer() {
        assert!(matches!(
            select(&described(&[Some(0.5), None]), &[0, 1], None),
            Err(SelectionError::Failed(_))
        ));
        let blind = select(&described(&[None, None]), &[0, 1], None).unwrap();
        assert_eq!((blind.candidate, blind.confidence), (0, 0.5));
        // A vector of another encoder, or one that holds no numbers, compares with nothing.
        let other = select(&described(&[Some(0.5), Some(0.6)]), &[0, 1], Some(&[1.0])).unwrap();
        assert_eq!((other.candidate, other.confidence), (0, 0.5));
        let nan = select(
            &described(&[Some(0.5), Some(0.6)]),
            &[0, 1],
            Some(&[f32::NAN, 0.0]),
        )
        .unwrap();
        assert_eq!((nan.candidate, nan.confidence), (0, 0.5));
    }

    #[test]
    fn who_sets_the_parameters() {
        let config = |temperature, min_similarity, use_capabilities| RouterDcConfig {
            temperature,
            min_similarity,
            use_capabilities,
            ..RouterDcConfig::default()
        };
        let check = |global: Option<&RouterDcConfig>,
                     first: Option<&RouterDcConfig>,
                     expected: (f64, f64, bool)| {
            let found = Parameters::new(global, first);
            assert_eq!(
                (
                    found.temperature,
                    found.min_similarity,
                    found.use_capabilities
                ),
                expected
            );
        };
        check(None, None, (0.07, 0.3, true));
        let global = config(0.2, 0.7, None);
        check(Some(&global), None, (0.2, 0.7, true));
        check(
            Some(&global),
            Some(&config(0.0, 0.9, None)),
            (0.2, 0.7, false),
        );
        check(
            Some(&global),
            Some(&config(0.5, 0.0, Some(true))),
            (0.5, 0.7, true),
        );
        check(
            Some(&config(-1.0, f64::NAN, Some(false))),
            None,
            (0.07, 0.3, false),
        );
    }

    #[test]
    fn texts_of_models() {
        let capabilities = ["Rust".to_owned(), "SQL".to_owned()];
        assert_eq!(
            text("Writes code", &capabilities, true),
            "Writes code. Capabilities: Rust, SQL"
        );
        assert_eq!(text("Writes code", &capabilities, false), "Writes code");
        assert_eq!(text("", &capabilities, true), "Capabilities: Rust, SQL");
        assert_eq!(text("", &[], true), "");
    }
}

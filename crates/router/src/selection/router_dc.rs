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

use super::ranking::highest;
use super::{Choice, SelectionError, SelectionInput, Selector};
use crate::config::selectors::RouterDc as Config;
use inference::handle::Embedder;
use std::sync::Arc;

/// τ where the document has none.
const TEMPERATURE: f64 = 0.07;
/// Least similarity of a winner where the document has none.
const MIN_SIMILARITY: f64 = 0.3;

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
    pub fn new(global: Option<&Config>, first: Option<&Config>) -> Self {
        let usable =
            |number: f64| Some(number).filter(|number| number.is_finite() && *number > 0.0);
        let of = |config: Option<&Config>, number: fn(&Config) -> f64| {
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
    use crate::config::decisions::ModelRef;
    use crate::selection::{Candidate, SelectionRequest};
    use inference::catalog::Bare;

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
        let config = |temperature, min_similarity, use_capabilities| Config {
            temperature,
            min_similarity,
            use_capabilities,
            ..Config::default()
        };
        let check =
            |global: Option<&Config>, first: Option<&Config>, expected: (f64, f64, bool)| {
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

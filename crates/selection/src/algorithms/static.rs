//! `static`: the candidate of the highest configured score, without looking at the request.
//!
//! Scores come from `model_scores` of the domain that is named like the decision (not of the
//! detected domain):
//!
//! ```yaml
//! signals:
//!   domains:
//!     - name: math                  # read by the decision named math
//!       model_scores:
//!         - { model: small, score: 0.4 }
//!         - { model: large, score: 0.9 }
//! decisions:
//!   - name: math
//!     modelRefs: [{ model: small }, { model: large }]
//!     algorithm: { type: static }
//! ```

use super::method::{Building, DecisionInput, Method};
use super::{Choice, SelectionError, SelectionInput, Selector};
use crate::card::ModelDescriptions;
use document::Findings;
use signals::report::Kind;
use signals::scope::Scope;
use std::sync::Arc;

/// What a candidate without a configured score counts.
const UNSCORED: f64 = 1.0;

/// Scores of one decision's candidates.
#[derive(Debug, Clone)]
pub struct Static {
    scores: Vec<(String, f64)>,
    reason: Arc<str>,
}

impl Static {
    /// Builds the algorithm. `scores` are the `model_scores` of the domain that is named like
    /// `decision`; empty if there is none.
    #[must_use]
    pub fn new(decision: &str, scores: Vec<(String, f64)>) -> Self {
        Self {
            scores,
            reason: format!("Static selection for category '{decision}'").into(),
        }
    }

    fn score(&self, model: &str) -> f64 {
        self.scores
            .iter()
            .find(|(name, _)| name == model)
            .map_or(UNSCORED, |(_, score)| *score)
    }
}

impl Method for Static {
    type Block = ();
    const NAME: &'static str = "static";
    const IS_PREVIEWED: bool = true;

    fn build(
        _block: Option<&()>,
        decision: &DecisionInput<'_>,
        building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        let mut domains = building.scope.signals.domains.iter();
        let named = domains.find(|domain| domain.name == decision.name);
        let scores = named.into_iter().flat_map(|domain| &domain.model_scores);
        let scores = scores.map(|entry| (entry.model.clone(), entry.score));
        Some(Box::new(Self::new(decision.name, scores.collect())))
    }
}

/// Reports what is wrong with the scores of a recipe's domains: they name models that the document
/// knows, and only a decision that has the domain's name reads them.
pub fn check_scores(
    scope: &Scope<'_>,
    decisions: &[&str],
    models: &dyn ModelDescriptions,
    findings: &mut Findings,
) {
    for (index, rule) in scope.signals.domains.iter().enumerate() {
        let path = format!("{}.model_scores", scope.rule(Kind::Domain, index));
        for (index, score) in rule.model_scores.iter().enumerate() {
            if let Some(message) = models.unknown_model(&score.model) {
                findings.error(format!("{path}[{index}].model"), message);
            }
        }

        if !rule.model_scores.is_empty() && !decisions.contains(&rule.name.as_str()) {
            let message = format!(
                "is read only by a decision that is called `{}`, and there is none",
                rule.name
            );
            findings.note(path, message);
        }
    }
}

impl Selector for Static {
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        let mut best: Option<(usize, f64)> = None;
        let mut scores = Vec::with_capacity(input.eligible.len());
        for (index, candidate) in input.among() {
            let score = self.score(&candidate.model_ref.model);
            scores.push((index, score));
            if best.is_none_or(|(_, highest)| score > highest) {
                best = Some((index, score));
            }
        }
        let (mut candidate, mut score) = best.ok_or(SelectionError::InvalidOutput)?;
        // The reference takes a best score of exactly 1.0 for "nothing is configured", and so the
        // first candidate, even one that is scored lower.
        if let Some(&first) = scores.first()
            && is_unscored(score)
        {
            (candidate, score) = first;
        }
        Ok(Choice {
            candidate,
            score,
            confidence: 1.0,
            reason: Arc::clone(&self.reason),
            scores,
        })
    }
}

fn is_unscored(score: f64) -> bool {
    score.total_cmp(&UNSCORED).is_eq()
}

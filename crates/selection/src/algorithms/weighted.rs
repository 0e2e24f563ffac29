//! `weighted`: candidates in proportion to their weights, for gradual roll-outs and comparisons.
//! Merit's own.
//!
//! ```yaml
//! decisions:
//!   - name: chat
//!     modelRefs: [{ model: proven, weight: 95 }, { model: new, weight: 5 }]
//!     algorithm: { type: weighted }
//! ```
//!
//! All requests of a session draw alike, so that it keeps its model as long as weights and
//! candidates stay. Requests without a session are spread evenly, not at random: any run of them
//! keeps close to the weights. An omitted weight is 1; one of 0 or less is never drawn, unless all
//! are.

use super::method::{Building, DecisionInput, Method};
use super::{Candidate, Choice, SelectionError, SelectionInput, Selector};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Multiples of the golden ratio's fraction, without their whole part, are spread more evenly than
/// those of any other number.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws by weight.
#[derive(Debug)]
pub struct Weighted {
    reason: Arc<str>,
    /// Where the last request without a session drew, of 2^64.
    place: AtomicU64,
}

impl Default for Weighted {
    fn default() -> Self {
        Self {
            reason: Arc::from("drawn by weight"),
            place: AtomicU64::new(0),
        }
    }
}

impl Weighted {
    /// Returns the next number from 0 to 1, excluding 1.
    fn spread(&self) -> f64 {
        let place = self.place.fetch_add(GOLDEN, Ordering::Relaxed);
        // 53 bits are what a double holds.
        (place >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Method for Weighted {
    type Block = ();
    const NAME: &'static str = "weighted";

    fn build(
        _block: Option<&()>,
        _decision: &DecisionInput<'_>,
        _building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        Some(Box::new(Self::default()))
    }
}

impl Selector for Weighted {
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        let total: f64 = input.among().map(|(_, candidate)| weight(candidate)).sum();
        // Weights of 0 exclude each other, so without any other all count alike.
        let share = |candidate| {
            if total > 0.0 {
                weight(candidate) / total
            } else {
                1.0 / input.eligible.len() as f64
            }
        };
        let scores: Vec<(usize, f64)> = input
            .among()
            .map(|(index, candidate)| (index, share(candidate)))
            .collect();
        let mut rest = input.request.draw.unwrap_or_else(|| self.spread());
        let drawn = scores
            .iter()
            .filter(|(_, share)| *share > 0.0)
            .find(|(_, share)| {
                rest -= share;
                rest < 0.0
            });
        // Rounding can leave a sliver above the last share.
        let last = || scores.iter().rev().find(|(_, share)| *share > 0.0);
        let &(candidate, score) = drawn.or_else(last).ok_or(SelectionError::InvalidOutput)?;
        Ok(Choice {
            candidate,
            score,
            confidence: 1.0,
            reason: Arc::clone(&self.reason),
            scores,
        })
    }
}

/// Returns a weight that can be drawn by; any other counts as 0. The bound keeps the sum finite.
fn weight(candidate: &Candidate) -> f64 {
    let weight = candidate.model_ref.weight.unwrap_or(1.0);
    if weight.is_finite() {
        weight.clamp(0.0, 1e300)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::SelectionRequest;
    use crate::candidate::ModelRef;

    fn candidates(weights: &[Option<f64>]) -> Vec<Candidate> {
        let candidate = |(index, weight): (usize, &Option<f64>)| {
            Candidate::unknown(ModelRef {
                model: format!("m{index}"),
                weight: *weight,
                ..ModelRef::default()
            })
        };
        weights.iter().enumerate().map(candidate).collect()
    }

    #[track_caller]
    fn check(weights: &[Option<f64>], eligible: &[usize], drawn: &[(f64, usize)]) {
        let candidates = candidates(weights);
        for &(draw, expected) in drawn {
            let request = SelectionRequest {
                draw: Some(draw),
                ..SelectionRequest::default()
            };
            let input = SelectionInput {
                decision: "d",
                candidates: &candidates,
                eligible,
                request: &request,
            };
            assert_eq!(
                Weighted::default().select(&input).unwrap().candidate,
                expected,
                "{weights:?} {draw}"
            );
        }
    }

    #[test]
    fn draws_in_proportion() {
        check(
            &[None, Some(3.0)],
            &[0, 1],
            &[(0.0, 0), (0.24, 0), (0.25, 1), (0.999_999, 1)],
        );
        check(
            &[Some(0.0), Some(2.0), Some(-1.0)],
            &[0, 1, 2],
            &[(0.0, 1), (0.999_999, 1)],
        );
        check(
            &[Some(0.0), Some(-3.0)],
            &[0, 1],
            &[(0.0, 0), (0.49, 0), (0.5, 1)],
        );
        check(
            &[Some(f64::NAN), None, Some(f64::INFINITY)],
            &[0, 1, 2],
            &[(0.0, 1), (0.999, 1)],
        );
        check(
            &[Some(1e308), Some(1e308)],
            &[0, 1],
            &[(0.49, 0), (0.51, 1)],
        );
    }

    #[test]
    fn draws_among_the_eligible_only() {
        check(
            &[Some(90.0), None, None],
            &[1, 2],
            &[(0.0, 1), (0.49, 1), (0.5, 2), (0.999_999, 2)],
        );
        check(
            &[Some(90.0), None, Some(0.0)],
            &[1, 2],
            &[(0.0, 1), (0.999_999, 1)],
        );
    }

    #[test]
    fn requests_without_a_session_keep_close_to_the_weights() {
        let candidates = candidates(&[Some(95.0), Some(5.0)]);
        let request = SelectionRequest::default();
        let input = SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible: &[0, 1],
            request: &request,
        };
        let weighted = Weighted::default();
        let new = (0..1_000)
            .filter(|_| weighted.select(&input).unwrap().candidate == 1)
            .count();
        assert!((47..=53).contains(&new), "{new}");
    }

    /// The last share ends where the numbers end, whatever rounding says.
    #[test]
    fn nothing_is_left_over() {
        check(
            &[Some(0.1); 10],
            &(0..10).collect::<Vec<_>>(),
            &[(1.0 - f64::EPSILON / 2.0, 9)],
        );
    }
}

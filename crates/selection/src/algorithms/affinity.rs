//! What `hybrid` adds for a candidate that has the conversation in its prefix cache.
//!
//! The longer the conversation and the closer the race, the more it counts. Nothing is added at the
//! first turn.

use super::ranking::highest;
use super::{Candidate, Continuation, SelectionInput};

/// Adjusts scores; they are those of the eligible candidates, in order.
pub(super) fn adjust(scores: &mut [(usize, f64)], input: &SelectionInput<'_>) {
    let Some(course) = Course::of(input).filter(|_| scores.len() >= 2) else {
        return;
    };
    let Some(gap) = gap(scores) else { return };
    let strength = 0.14 * course.warmth * (1.0 - gap / 0.2).clamp(0.0, 1.0);
    for ((_, score), (_, candidate)) in scores.iter_mut().zip(input.among()) {
        let (pull, trust) = course.of_candidate(candidate, input.request.continuation);
        *score += strength * trust * pull.tanh();
    }
}

/// Returns the lead of the best over the second.
fn gap(scores: &[(usize, f64)]) -> Option<f64> {
    let (best, score) = highest(scores.iter().copied())?;
    let (_, second) = highest(scores.iter().copied().filter(|(index, _)| *index != best))?;
    Some(score - second)
}

/// How far the conversation has come.
struct Course {
    /// Share of the context that is history.
    reused: f64,
    /// History, of 4,096 tokens.
    history: f64,
    /// Turns, of four.
    turns: f64,
    /// All three.
    warmth: f64,
    context: f64,
}

impl Course {
    /// Returns the course of a conversation; `None` for a new one.
    fn of(input: &SelectionInput<'_>) -> Option<Self> {
        let Continuation {
            turns,
            history_tokens,
            previous_response,
            ..
        } = input.request.continuation;
        if turns == 0 && history_tokens == 0 && !previous_response {
            return None;
        }
        let context = input.request.tokens.prompt as f64;
        let reused = (history_tokens as f64 / context.max(1.0)).clamp(0.0, 1.0);
        let history = (history_tokens as f64 / 4_096.0).clamp(0.0, 1.0);
        let turns = (turns as f64 / 4.0).clamp(0.0, 1.0);
        let warmth = 0.45 * reused + 0.30 * history + 0.25 * turns;
        let warmth = if previous_response {
            warmth.max(0.15)
        } else {
            warmth
        };
        Some(Self {
            reused,
            history,
            turns,
            warmth,
            context,
        })
    }

    /// Returns what draws the conversation to a candidate, and how far that may be trusted.
    fn of_candidate(&self, candidate: &Candidate, continuation: Continuation<'_>) -> (f64, f64) {
        let Self {
            reused,
            history,
            turns,
            warmth,
            ..
        } = *self;
        let fit = self.fit(candidate);
        let known = continuation.previous_model.is_some();
        let same = if continuation.previous_model == Some(&*candidate.card.name) {
            1.0
        } else {
            0.0
        };
        let stay = 0.5 * same + 0.35 * same * reused + 0.15 * same * turns;
        let pull = stay - 0.35 * (1.0 - same) * warmth + 0.15 * (fit - 0.5);
        let seen = if known { 0.15 } else { 0.0 };
        let trust = (0.15 + 0.35 * reused + 0.20 * history + 0.15 * turns + 0.15 * fit + seen)
            .clamp(0.0, 1.0);
        (pull, if known { trust } else { trust * 0.6 })
    }

    /// Returns the room that the context leaves in the candidate's window.
    fn fit(&self, candidate: &Candidate) -> f64 {
        let Some(window) = candidate.card.context_window else {
            return 0.5;
        };
        match self.context / window as f64 {
            share if share <= 0.5 => 1.0,
            share if share <= 0.75 => 0.7,
            share if share <= 1.0 => 0.3,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::SelectionRequest;
    use crate::candidate::ModelRef;
    use crate::card::{Card, Tokens};
    use std::sync::Arc;

    fn candidate(name: &str, window: Option<u64>) -> Candidate {
        let card = Card {
            name: name.into(),
            context_window: window,
            ..Card::default()
        };
        Candidate {
            card: Arc::new(card),
            ..Candidate::unknown(ModelRef {
                model: name.into(),
                ..ModelRef::default()
            })
        }
    }

    #[track_caller]
    fn check(continuation: Continuation<'_>, prompt: u64, scores: [f64; 2], expected: [f64; 2]) {
        let candidates = [candidate("a", Some(8_192)), candidate("b", None)];
        let request = SelectionRequest {
            continuation,
            tokens: Tokens {
                prompt,
                ..Tokens::default()
            },
            ..SelectionRequest::default()
        };
        let input = SelectionInput {
            decision: "d",
            candidates: &candidates,
            eligible: &[0, 1],
            request: &request,
        };
        let mut adjusted = [(0, scores[0]), (1, scores[1])];
        adjust(&mut adjusted, &input);
        for ((_, score), expected) in adjusted.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-4, "{adjusted:?}");
        }
    }

    #[test]
    fn the_first_turn_changes_nothing() {
        check(Continuation::default(), 1_000, [0.5, 0.4], [0.5, 0.4]);
    }

    #[test]
    fn a_wide_lead_changes_nothing() {
        let continuation = Continuation {
            turns: 4,
            history_tokens: 4_096,
            ..Continuation::default()
        };
        check(continuation, 5_000, [0.9, 0.6], [0.9, 0.6]);
    }

    /// r = .5, h = .5, t = .5: W = .5, λ = .14·.5·(1 − .1/.2) = .035. a: fit 1, E = .5·0 − .175 +
    /// .075 = −.1, C = .15 + .175 + .1 + .075 + .15 + .15 = .8. b: fit .5, E = .5 + .175 + .075 =
    /// .75, C = .725.
    #[test]
    fn the_previous_model_gains_and_the_other_loses() {
        let continuation = Continuation {
            turns: 2,
            history_tokens: 2_048,
            previous_model: Some("b"),
            previous_response: false,
        };
        let (a, b) = (
            0.035 * 0.8 * (-0.1_f64).tanh(),
            0.035 * 0.725 * 0.75_f64.tanh(),
        );
        check(continuation, 4_096, [0.5, 0.4], [0.5 + a, 0.4 + b]);
    }

    /// W = .15, λ = .021. a: context 7,000 of 8,192: fit .3; E = −.0525 − .03, C = .195·.6. b: E =
    /// −.0525, C = .225·.6.
    #[test]
    fn a_kept_response_counts_without_history() {
        let continuation = Continuation {
            previous_response: true,
            ..Continuation::default()
        };
        let (a, b) = (
            0.021 * 0.117 * (-0.0825_f64).tanh(),
            0.021 * 0.135 * (-0.0525_f64).tanh(),
        );
        check(continuation, 7_000, [0.5, 0.5], [0.5 + a, 0.5 + b]);
    }
}

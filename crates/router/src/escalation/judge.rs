//! How sure a model was of its answer, from the probabilities of its tokens.
//!
//! Every measure is put on a scale from 0 to 1: a mean log probability of -3 or less is 0, of 0 is
//! 1; a mean distance `m` between the first and the second choice is `1 - e^(-m/3)`.

use super::answer::{Answer, Token};
use super::confidence::Confidence;

/// How answers are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The mean log probability.
    AvgLogprob,
    /// The mean distance between first and second choice.
    Margin,
    /// Both, by weight; the weights need not add up to 1.
    Hybrid {
        /// Weight of the mean log probability.
        logprob: f64,
        /// Weight of the distance.
        margin: f64,
    },
    /// The model grades its own answer.
    SelfVerify,
}

/// Whose probabilities count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Every token's.
    All,
    /// Those of the arguments of tool calls; every token's in an answer without tool calls.
    ToolCallArguments,
}

impl Method {
    /// The method as written; `None` for one that is not run.
    #[must_use]
    pub fn of(written: &Confidence) -> Option<Self> {
        Some(match written.confidence_method.trim() {
            "" | "avg_logprob" => Self::AvgLogprob,
            "margin" => Self::Margin,
            "hybrid" => {
                let weights = written.hybrid_weights.clone().unwrap_or_default();
                let or_half = |weight: f64| if weight > 0.0 { weight } else { 0.5 };
                Self::Hybrid {
                    logprob: or_half(weights.logprob_weight),
                    margin: or_half(weights.margin_weight),
                }
            }
            "self_verify" => Self::SelfVerify,
            _ => return None,
        })
    }

    /// The threshold as meant: 0 is the method's default. Where the mean log probability is asked
    /// for, a number below 0 is such a mean. The reference compares its default of -1 with a number
    /// from 0 to 1, so that every answer passes; here it is the mean log probability that it looks
    /// like, two thirds on the scale.
    #[must_use]
    pub fn threshold(self, written: f64) -> f64 {
        match self {
            Self::AvgLogprob if written < 0.0 => scaled(written),
            Self::AvgLogprob if written == 0.0 => scaled(-1.0),
            Self::Margin | Self::Hybrid { .. } if written <= 0.0 => 0.5,
            Self::SelfVerify if written <= 0.0 => 0.7,
            _ => written,
        }
    }

    /// The judgement needs the probabilities of tokens.
    #[must_use]
    pub fn needs_logprobs(self) -> bool {
        self != Self::SelfVerify
    }

    /// Alternatives of each token that must be asked for.
    #[must_use]
    pub fn alternatives(self) -> u8 {
        match self {
            Self::Margin | Self::Hybrid { .. } => 2,
            Self::AvgLogprob | Self::SelfVerify => 0,
        }
    }

    /// How sure the model was, 0 to 1 (hybrid weights may exceed that); `None` where the answer
    /// does not tell.
    #[must_use]
    pub fn confidence(self, answer: &Answer, filter: Filter) -> Option<f64> {
        let counted = counted(answer, filter);
        match self {
            Self::AvgLogprob => mean(counted.iter().map(|token| token.logprob)).map(scaled),
            Self::Margin => margin(&counted),
            Self::Hybrid {
                logprob,
                margin: weight,
            } => {
                let sure = mean(counted.iter().map(|token| token.logprob)).map(scaled)?;
                Some(logprob * sure + weight * margin(&counted)?)
            }
            Self::SelfVerify => None,
        }
    }
}

fn scaled(logprob: f64) -> f64 {
    ((logprob + 3.0) / 3.0).clamp(0.0, 1.0)
}

/// Every token must come with its two most likely choices: a mean over a part would be of another
/// answer.
fn margin(tokens: &[&Token]) -> Option<f64> {
    let distances: Option<Vec<f64>> = tokens.iter().map(|token| token.distance()).collect();
    mean(distances?.into_iter()).map(|mean| 1.0 - (-mean / 3.0).exp())
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0_u32), |(sum, count), number| {
        (sum + number, count + 1)
    });
    (count > 0)
        .then(|| sum / f64::from(count))
        .filter(|mean: &f64| mean.is_finite())
}

/// The tokens that count. Servers do not say which tokens make up a tool call, so its arguments are
/// looked for in the text of the tokens.
fn counted(answer: &Answer, filter: Filter) -> Vec<&Token> {
    let all = || answer.tokens.iter().collect();
    if filter == Filter::All {
        return all();
    }
    let text: String = answer
        .tokens
        .iter()
        .map(|token| token.text.as_str())
        .collect();
    let mut after = 0;
    let mut spans = Vec::new();
    for arguments in answer.arguments().filter(|arguments| !arguments.is_empty()) {
        let Some(at) = text.get(after..).and_then(|rest| rest.find(arguments)) else {
            continue;
        };
        spans.push(after + at..after + at + arguments.len());
        after += at + arguments.len();
    }
    let mut start = 0;
    let mut chosen = Vec::new();
    for token in &answer.tokens {
        let end = start + token.text.len();
        if spans
            .iter()
            .any(|span| start < span.end && end > span.start)
        {
            chosen.push(token);
        }
        start = end;
    }
    if chosen.is_empty() { all() } else { chosen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escalation::confidence::HybridWeights;

    fn answer(tokens: &[(&str, f64, &[f64])], arguments: &[&str]) -> Answer {
        let token = |&(text, logprob, top): &(&str, f64, &[f64])| Token {
            text: text.into(),
            logprob,
            top: top.into(),
        };
        let call = |arguments: &&str| serde_json::json!({"function": {"name": "f", "arguments": arguments}});
        Answer {
            tokens: tokens.iter().map(token).collect(),
            tool_calls: arguments.iter().map(call).collect(),
            ..Answer::default()
        }
    }

    fn check(method: Method, tokens: &[(&str, f64, &[f64])], expected: Option<f64>) {
        let got = method.confidence(&answer(tokens, &[]), Filter::All);
        let close = match (got, expected) {
            (Some(got), Some(expected)) => (got - expected).abs() < 5e-4,
            (None, None) => true,
            _ => false,
        };
        assert!(close, "{method:?} {tokens:?}: {got:?}, not {expected:?}");
    }

    #[test]
    fn the_numbers_of_the_reference() {
        check(Method::Margin, &[("a", -0.1, &[-0.1, -1.3])], Some(0.330));
        check(
            Method::Margin,
            &[("a", -0.1, &[-0.1, -2.1]), ("b", -0.2, &[-3.2, -0.2])],
            Some(0.565),
        );
        check(
            Method::AvgLogprob,
            &[("a", -1.0, &[]), ("b", -2.0, &[])],
            Some(0.5),
        );
        check(Method::AvgLogprob, &[("a", -9.0, &[])], Some(0.0));
        check(Method::AvgLogprob, &[("a", 0.5, &[])], Some(1.0));
        let hybrid = Method::Hybrid {
            logprob: 0.5,
            margin: 0.5,
        };
        check(hybrid, &[("a", -1.5, &[-1.5, -2.7])], Some(0.25 + 0.165));
        check(
            Method::Hybrid {
                logprob: 1.0,
                margin: 0.5,
            },
            &[("a", -1.5, &[-1.5, -2.7])],
            Some(0.5 + 0.165),
        );
    }

    #[test]
    fn what_does_not_tell_is_not_judged() {
        check(Method::AvgLogprob, &[], None);
        check(Method::AvgLogprob, &[("a", f64::NEG_INFINITY, &[])], None);
        check(
            Method::Margin,
            &[("a", -0.1, &[-0.1, -1.3]), ("b", -0.1, &[-0.1])],
            None,
        );
        check(
            Method::Hybrid {
                logprob: 0.5,
                margin: 0.5,
            },
            &[("a", -0.1, &[])],
            None,
        );
        check(Method::SelfVerify, &[("a", -0.1, &[-0.1, -1.3])], None);
    }

    #[test]
    fn thresholds_as_meant() {
        let check = |method: Method, written: f64, expected: f64| {
            let meant = method.threshold(written);
            assert!(
                (meant - expected).abs() < 1e-9,
                "{method:?} {written}: {meant}"
            );
        };
        check(Method::AvgLogprob, 0.0, 2.0 / 3.0);
        check(Method::AvgLogprob, -1.0, 2.0 / 3.0);
        check(Method::AvgLogprob, -0.3, 0.9);
        check(Method::AvgLogprob, 0.8, 0.8);
        check(Method::Margin, 0.0, 0.5);
        check(Method::Margin, -1.0, 0.5);
        check(Method::SelfVerify, 0.0, 0.7);
        check(Method::SelfVerify, 0.2, 0.2);
    }

    #[test]
    fn methods_as_written() {
        let of = |name: &str, logprob_weight| {
            let hybrid_weights = Some(HybridWeights {
                logprob_weight,
                margin_weight: 0.0,
            });
            Method::of(&Confidence {
                confidence_method: name.into(),
                hybrid_weights,
                ..Confidence::default()
            })
        };
        assert_eq!(of("", 0.0), Some(Method::AvgLogprob));
        assert_eq!(
            of("hybrid", 0.9),
            Some(Method::Hybrid {
                logprob: 0.9,
                margin: 0.5
            })
        );
        assert_eq!(of("self_verify", 0.0), Some(Method::SelfVerify));
        assert_eq!(of("automix_entailment", 0.0), None);
    }

    #[test]
    fn arguments_of_tool_calls_alone() {
        let tokens: &[(&str, f64, &[f64])] = &[
            ("call f", -3.0, &[]),
            ("{\"a\"", -0.3, &[]),
            (":1}", -0.3, &[]),
            ("x", -3.0, &[]),
        ];
        let judged = |arguments: &[&str]| {
            Method::AvgLogprob.confidence(&answer(tokens, arguments), Filter::ToolCallArguments)
        };
        assert_eq!(
            judged(&["{\"a\":1}"]).map(|it| (it * 10.0).round()),
            Some(9.0)
        );
        assert_eq!(
            judged(&["{}"]),
            Method::AvgLogprob.confidence(&answer(tokens, &[]), Filter::All)
        );
        assert_eq!(judged(&[]), judged(&["{}"]));
    }
}

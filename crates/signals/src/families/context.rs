//! Bands of the estimated token count.
//!
//! Use it to send long requests to models with long windows. The estimate counts messages, tools,
//! images and the output that the client asks for, so it is an upper guess, and it is at least what
//! the text's own length says. Agents ask for 32,000 tokens and more with every request, however
//! short it is: `count: prompt` leaves them out.
//!
//! ```yaml
//! routing:
//!   signals:
//!     context:
//!       - name: long
//!         min_tokens: 32K
//!         max_tokens: 1M
//!         count: prompt
//! ```
//!
//! Both ends are included; an omitted `max_tokens` is 0, as in the reference, so such a rule
//! matches almost nothing.

use super::{Building, Signal, SignalError, SignalInput, Watch, ran};
use crate::report::{Key, Kind, SignalReport};
use dialects::Prompt;
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A band of the token estimate, both ends included.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContextRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Lower bound: `1024`, `32K`, `1M` (decimal multiples).
    pub min_tokens: String,
    /// Upper bound; omitted means 0.
    pub max_tokens: String,
    /// What is counted.
    pub count: Counted,
}

/// What of a request a band counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The prompt and the output that the client asks for (`max_tokens` and the like).
    #[default]
    Total,
    /// The prompt alone.
    Prompt,
}

/// The most output that today's agents ask for with every request, tokens. A bound below it that
/// counts the output tells the client rather than the prompt.
const USUAL_OUTPUT: u64 = 64_000;

/// Compiles the context rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.context;
    if declared.is_empty() {
        return None;
    }
    let mut bands = Vec::with_capacity(declared.len());
    for (index, rule) in declared.iter().enumerate() {
        let key = building.keys.intern(Kind::Context, &rule.name);
        let at = building.scope.rule(Kind::Context, index);
        let tokens = rule.compile(&at, building.findings);
        bands.extend(tokens.map(|tokens| Band {
            key,
            tokens,
            counted: rule.count,
        }));
    }
    Some(Box::new(ContextSignal {
        bands,
        ratio: Arc::clone(&building.deps.token_ratio),
    }))
}

impl ContextRule {
    fn compile(&self, at: &str, findings: &mut Findings) -> Option<RangeInclusive<u64>> {
        let low = token_count(&format!("{at}.min_tokens"), &self.min_tokens, findings);
        let high = token_count(&format!("{at}.max_tokens"), &self.max_tokens, findings);
        let (low, high) = (low?, high?);

        if self.max_tokens.trim().is_empty() {
            findings.warn(
                at,
                "`max_tokens` is omitted and means 0, so the rule never matches; write an upper bound, for example `10M`",
            );
        } else if low > high {
            findings.error(
                at,
                format!("`min_tokens` ({low}) exceeds `max_tokens` ({high})"),
            );
        } else if self.count == Counted::Total
            && [low, high]
                .iter()
                .any(|bound| (1..=USUAL_OUTPUT).contains(bound))
        {
            findings.note(
                at,
                "the output that a client asks for counts too, and agents ask for 32,000 tokens and more with every request; `count: prompt` leaves it out",
            );
        }
        Some(low..=high)
    }
}

/// Reads `1024`, `1.5K` (1,500) or `1M` (1,000,000); empty is 0, fractions of a token are cut off.
fn token_count(at: &str, text: &str, findings: &mut Findings) -> Option<u64> {
    let count = parse_count(text);
    if count.is_none() {
        findings.error(
            at,
            format!("`{text}` is no token count; write `4096`, `32K` or `1M`"),
        );
    }
    count
}

fn parse_count(text: &str) -> Option<u64> {
    let text = text.trim().to_uppercase();
    if text.is_empty() {
        return Some(0);
    }
    let (number, unit) = match (text.strip_suffix('K'), text.strip_suffix('M')) {
        (Some(number), _) => (number, 1_000.0),
        (_, Some(number)) => (number, 1_000_000.0),
        _ => (text.as_str(), 1.0),
    };
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number * unit) as u64)
}

/// Bytes per token of ordinary text, shared by all generations of a process and learned from real
/// usage.
#[derive(Debug)]
pub struct TokenRatio {
    in_use: AtomicU64,
    learned: Mutex<Learned>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Learned {
    samples: u64,
    ratio: f64,
}

impl TokenRatio {
    /// What is assumed before enough was learned.
    pub const UNCALIBRATED: f64 = 4.0;

    /// Samples before what was learned counts.
    const WARM: u64 = 10;

    /// The ratio in use.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.in_use.load(Ordering::Relaxed))
    }

    /// Learns from a text-only request that a model counted. The estimate follows denser text
    /// quickly and looser text slowly, so that it errs on the long side.
    pub fn learn(&self, text_bytes: u64, prompt_tokens: u64) {
        if text_bytes == 0 || prompt_tokens == 0 {
            return;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a ratio of byte counts far below 2^53"
        )]
        let seen = text_bytes as f64 / prompt_tokens as f64;
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.ratio = match (learned.samples, seen < learned.ratio) {
            (0, _) => seen,
            (_, true) => learned.ratio + 0.9 * (seen - learned.ratio),
            (_, false) => learned.ratio + 0.1 * (seen - learned.ratio),
        };
        learned.samples += 1;
        if learned.samples >= Self::WARM {
            self.in_use
                .store(learned.ratio.to_bits(), Ordering::Relaxed);
        }
    }
}

impl Default for TokenRatio {
    fn default() -> Self {
        Self {
            in_use: AtomicU64::new(Self::UNCALIBRATED.to_bits()),
            learned: Mutex::default(),
        }
    }
}

/// The estimate that context rules compare, tokens.
#[must_use]
pub fn estimate(prompt: &Prompt, ratio: &TokenRatio) -> u64 {
    Counted::Total.of(prompt, ratio)
}

/// Returns the estimate of a prompt's tokens, without what is kept for the answer.
#[must_use]
pub fn prompt_estimate(prompt: &Prompt, ratio: &TokenRatio) -> u64 {
    Counted::Prompt.of(prompt, ratio)
}

impl Counted {
    fn of(self, prompt: &Prompt, ratio: &TokenRatio) -> u64 {
        let text = text_tokens(&prompt.texts.context, ratio.get());
        let floor = match self {
            Self::Total => prompt.tokens.floor(),
            Self::Prompt => prompt.tokens.prompt(),
        };
        floor.max(u64::try_from(text).unwrap_or_default())
    }
}

/// The context family of one recipe.
struct ContextSignal {
    bands: Vec<Band>,
    ratio: Arc<TokenRatio>,
}

struct Band {
    key: Key,
    tokens: RangeInclusive<u64>,
    counted: Counted,
}

impl Signal for ContextSignal {
    fn kind(&self) -> Kind {
        Kind::Context
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        for band in &self.bands {
            let tokens = band.counted.of(input.prompt, &self.ratio);
            if band.tokens.contains(&tokens) {
                report.emit(band.key);
            }
        }
        ran(report, Kind::Context, 1.0);
        Ok(())
    }

    /// The estimate counts the whole request.
    fn doubt_unread(
        &self,
        _input: &SignalInput<'_>,
        _watched: &[Watch],
        _report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        Ok(())
    }
}

/// Tokens of a text alone; the cast saturates.
fn text_tokens(text: &str, ratio: f64) -> i64 {
    if text.is_empty() {
        0
    } else {
        ((text.len() as f64 / ratio).ceil() as i64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::tests::{compiled, errors};
    use crate::families::{Deps, Signals};
    use crate::report::Keys;
    use dialects::{Prompt, TokenFacts};

    fn facts(text: u64, structured: u64, images: u64, framing: u64, reserve: u64) -> TokenFacts {
        TokenFacts {
            text_bytes: text,
            structured_bytes: structured,
            images,
            framing,
            output_reserve: reserve,
            attached: 0,
        }
    }

    fn matches(bands: &[(&str, &str, &str)], prompt: &Prompt, ratio: f64) -> Vec<String> {
        let rules: Vec<ContextRule> = bands
            .iter()
            .map(|(name, min, max)| ContextRule {
                name: (*name).into(),
                min_tokens: (*min).into(),
                max_tokens: (*max).into(),
                ..ContextRule::default()
            })
            .collect();
        let deps = Deps::default();
        deps.token_ratio
            .in_use
            .store(ratio.to_bits(), Ordering::Relaxed);
        let signals = Signals {
            context: rules,
            ..Signals::default()
        };
        let mut keys = Keys::default();
        let signal = compiled(&signals, &mut keys, &deps);
        let mut report = SignalReport::new(&keys);
        signal
            .evaluate(&SignalInput::new(prompt, None), &mut report)
            .unwrap();
        assert!(report.families[Kind::Context as usize].ran);
        report.matches().map(|key| keys.name(key).into()).collect()
    }

    #[test]
    fn estimates() {
        for (name, tokens, total) in [
            ("A", facts(15, 0, 0, 4, 0), 8),
            ("B", facts(48, 0, 0, 16, 64), 92),
            ("C", facts(17, 0, 1, 4, 100), 8301),
            ("D", facts(64, 123, 0, 36, 0), 175),
            ("E on the wire", facts(7, 93, 0, 12, 0), 107),
            ("E in eval", facts(7, 108, 0, 12, 0), 122),
            ("F", facts(30, 0, 0, 8, 0), 16),
        ] {
            let prompt = Prompt {
                tokens,
                ..Prompt::default()
            };
            let exact = total.to_string();
            let above = (total + 1).to_string();
            let bands = [
                ("exact", exact.as_str(), exact.as_str()),
                ("above", &above, "1M"),
                ("below", "", &exact),
            ];
            assert_eq!(matches(&bands, &prompt, 4.0), ["exact", "below"], "{name}");
        }
    }

    #[test]
    fn the_output_may_be_left_out() {
        let agent = |prompt_bytes| Prompt {
            tokens: facts(prompt_bytes, 0, 0, 4, 32_000),
            ..Prompt::default()
        };
        let rule = |name: &str, count| ContextRule {
            name: name.into(),
            min_tokens: "24K".into(),
            max_tokens: "1M".into(),
            count,
            ..ContextRule::default()
        };
        let signals = Signals {
            context: vec![
                rule("total", Counted::Total),
                rule("prompt", Counted::Prompt),
            ],
            ..Signals::default()
        };
        let mut keys = Keys::default();
        let signal = compiled(&signals, &mut keys, &Deps::default());
        for (prompt, expected) in [
            (agent(60), &["total"][..]),
            (agent(4 * 23_995), &["total"]),
            (agent(4 * 23_996), &["total", "prompt"]),
        ] {
            let mut report = SignalReport::new(&keys);
            signal
                .evaluate(&SignalInput::new(&prompt, None), &mut report)
                .unwrap();
            let matched: Vec<&str> = report.matches().map(|key| keys.name(key)).collect();
            assert_eq!(matched, expected, "{:?}", prompt.tokens);
        }
    }

    #[test]
    fn text_wins_only_when_tokens_are_short() {
        let mut prompt = Prompt {
            tokens: facts(15, 0, 0, 4, 0),
            ..Prompt::default()
        };
        prompt.texts.context = "Hello world".into();
        assert_eq!(matches(&[("eight", "8", "8")], &prompt, 4.0), ["eight"]);
        assert_eq!(matches(&[("eleven", "11", "11")], &prompt, 1.0), ["eleven"]);
        for (text, ratio, expected) in [
            ("", 4.0, 0),
            ("a", 4.0, 1),
            ("abcde", 4.0, 2),
            ("Hello world", 4.0, 3),
        ] {
            assert_eq!(text_tokens(text, ratio), expected);
        }
    }

    #[test]
    fn bounds() {
        for (text, expected) in [
            ("", Some(0)),
            (" 1024 ", Some(1024)),
            ("1.5K", Some(1500)),
            ("32k", Some(32_000)),
            ("1M", Some(1_000_000)),
            ("0.0005K", Some(0)),
            ("1e3", Some(1000)),
            ("32 K", Some(32_000)),
            ("-5", None),
            ("1G", None),
            ("K", None),
            ("inf", None),
        ] {
            assert_eq!(parse_count(text), expected, "{text}");
        }
    }

    #[test]
    fn an_omitted_maximum_is_zero() {
        let prompt = Prompt {
            tokens: facts(4, 0, 0, 0, 0),
            ..Prompt::default()
        };
        assert_eq!(
            matches(&[("open", "0", "")], &prompt, 4.0),
            Vec::<String>::new()
        );
        assert_eq!(
            matches(&[("open", "0", "")], &Prompt::default(), 4.0),
            ["open"]
        );
    }

    #[test]
    fn a_malformed_bound_is_a_problem() {
        let rule = ContextRule {
            max_tokens: "lots".into(),
            ..ContextRule::default()
        };
        let signals = Signals {
            context: vec![rule],
            ..Signals::default()
        };
        assert_eq!(errors(&signals), ["context[0].max_tokens"]);
    }

    #[test]
    fn learns_from_the_tenth_sample_on() {
        let ratio = TokenRatio::default();
        ratio.learn(400, 100);
        for sample in 2..10 {
            ratio.learn(200, 100);
            assert_eq!(ratio.get(), TokenRatio::UNCALIBRATED, "sample {sample}");
        }
        ratio.learn(200, 100);
        assert!((ratio.get() - 2.0).abs() < 1e-6, "{}", ratio.get());
        // One looser text moves it by a tenth only.
        ratio.learn(300, 100);
        assert!((ratio.get() - 2.1).abs() < 1e-6, "{}", ratio.get());
        ratio.learn(0, 100);
        ratio.learn(100, 0);
        assert!((ratio.get() - 2.1).abs() < 1e-6);
    }
}

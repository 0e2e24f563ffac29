//! Hard, medium or easy: is the turn nearer to the hard or to the easy examples? One vector of the
//! evaluation text.
//!
//! ```yaml
//! routing:
//!   signals:
//!     complexity:
//!       - name: reasoning
//!         threshold: 0.1
//!         hard: {candidates: [prove this step by step, compare the tradeoffs]}
//!         easy: {candidates: [answer briefly, translate this word]}
//! ```
//!
//! Each rule emits exactly one of `<rule>:hard`, `<rule>:medium`, `<rule>:easy`, with the margin's
//! size as confidence, unless its composer takes it back later. Examples of images have no effect:
//! there is no encoder of images.

use super::examples::{Examples, Scoring};
use super::{Building, Head, Learned, SignalInput, answers, ran};
use crate::catalog::PrototypeScoring;
use crate::report::{Key, Kind, SignalReport};
use crate::rules::{RuleNode, check_composer};
use crate::scope::Scope;
use document::Findings;
use inference::ask::{Outcome, Question, What};
use inference::handle::Embedder;
use inference::prototypes::{Bank, Weighting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule that grades a turn as `<name>:hard`, `<name>:medium` or `<name>:easy`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComplexityRule {
    /// Name used in decisions, with the level behind a colon.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Margin between the hard and the easy score that makes a turn hard (or easy, below its
    /// negative).
    pub threshold: f32,
    /// Examples of hard requests.
    pub hard: ComplexityExamples,
    /// Examples of easy requests.
    pub easy: ComplexityExamples,
    /// Rule tree over other signals that must hold for the grade to count. A node without operator
    /// is an AND here.
    pub composer: Option<RuleNode>,
    /// Margin above which a turn is hard; with `easy_below` in place of `threshold`.
    pub hard_above: Option<f64>,
    /// Margin below which a turn is easy.
    pub easy_below: Option<f64>,
    /// Score below which a turn is hard, where a remote scorer gives it. Known, and not run.
    pub hard_below: Option<f64>,
    /// Score above which a turn is easy, where a remote scorer gives it. Known, and not run.
    pub easy_above: Option<f64>,
    /// How examples become a score; what is left out is as in `modules.complexity`.
    pub prototype_scoring: Option<PrototypeScoring>,
}

/// Example texts of one side of a complexity rule.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComplexityExamples {
    /// Texts compared with the user's turn.
    pub candidates: Vec<String>,
    /// Known, without effect: there is no encoder of images.
    pub image_candidates: Vec<String>,
}

impl ComplexityRule {
    fn check(&self, scope: &Scope<'_>, at: &str, findings: &mut Findings) {
        if self.hard.candidates.is_empty() && self.easy.candidates.is_empty() {
            findings.warn(at, "no candidates, so every turn is `medium`");
        }
        for (side, examples) in [("hard", &self.hard), ("easy", &self.easy)] {
            if !examples.image_candidates.is_empty() {
                let message = "there is no encoder of images, so these have no effect";
                findings.warn(format!("{at}.{side}.image_candidates"), message);
            }
        }

        self.check_bounds(at, findings);
        if self.threshold < 0.0 {
            findings.error(
                format!("{at}.threshold"),
                "a negative threshold makes turns hard and easy at once",
            );
        } else if self.threshold > 0.5 {
            let message = format!(
                "the difference of two similarities seldom exceeds 0.4, so at {} nearly every turn is `medium`; 0.05 to 0.2 is usual",
                self.threshold
            );
            findings.note(format!("{at}.threshold"), message);
        }

        if let Some(composer) = &self.composer {
            if self.name.contains(':') {
                findings.warn(
                    format!("{at}.name"),
                    "with a composer, a name with `:` never matches",
                );
            }
            check_composer(scope, &format!("{at}.composer"), composer, findings);
        }
    }
}

impl ComplexityRule {
    /// Reports bounds that do not grade every turn, or not as they are written.
    fn check_bounds(&self, at: &str, findings: &mut Findings) {
        let is_single = |one: Option<f64>, other: Option<f64>| one.is_some() != other.is_some();
        if is_single(self.hard_above, self.easy_below) {
            findings.error(at, "`hard_above` and `easy_below` are written together");
        }
        if is_single(self.hard_below, self.easy_above) {
            findings.error(at, "`hard_below` and `easy_above` are written together");
        }
        if self.hard_above.is_some() && self.hard_below.is_some() {
            let message = "`hard_above` and `easy_below` read margins of examples, `hard_below` and `easy_above` scores of a remote scorer: keep one pair";
            findings.error(at, message);
        }
        let Some((hard, easy)) = self.hard_above.zip(self.easy_below) else {
            return;
        };
        if easy > hard {
            let message = "`easy_below` above `hard_above` makes turns hard and easy at once";
            findings.error(format!("{at}.easy_below"), message);
        }
        if self.threshold != 0.0 {
            let message = "is not read beside `hard_above` and `easy_below`";
            findings.warn(format!("{at}.threshold"), message);
        }
    }

    /// Returns the margins above which a turn is hard and below which it is easy.
    fn bounds(&self) -> (f64, f64) {
        let threshold = f64::from(self.threshold);
        (
            self.hard_above.unwrap_or(threshold),
            self.easy_below.unwrap_or(-threshold),
        )
    }
}

/// Reports what is wrong with the rules and their composers.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    for (index, rule) in scope.signals.complexity.iter().enumerate() {
        rule.check(scope, &scope.rule(Kind::Complexity, index), findings);
    }
}

/// Compiles the rules; nothing without any.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.scope.signals.complexity;
    if declared.is_empty() {
        return None;
    }
    let by = building.encoder(Kind::Complexity);
    let module = building.scope.models.modules.complexity.as_ref();
    let family = module.and_then(|module| module.prototype_scoring.as_ref());
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let scoring = Scoring::of_rule(rule.prototype_scoring.as_ref(), family);
        rules.push(Rule::build(index, rule, building, &by, scoring));
    }
    let head = Head::new(Kind::Complexity, by.cost, rules.iter().flat_map(Rule::keys));
    Some(Box::new(ComplexitySignal { by, rules, head }))
}

/// The rules of one recipe.
struct ComplexitySignal {
    by: Embedder,
    rules: Vec<Rule>,
    head: Head,
}

struct Rule {
    hard: Key,
    medium: Key,
    easy: Key,
    margin: Key,
    text_margin: Key,
    hard_score: Key,
    easy_score: Key,
    /// Margin above which a turn is hard.
    hard_above: f64,
    /// Margin below which a turn is easy.
    easy_below: f64,
    hard_bank: Bank,
    easy_bank: Bank,
    weighting: Weighting,
}

impl Rule {
    fn build(
        index: usize,
        rule: &ComplexityRule,
        building: &mut Building<'_>,
        by: &Embedder,
        scoring: Scoring,
    ) -> Self {
        let at = building.scope.rule(Kind::Complexity, index);
        let mut bank = |texts: &[String], side: &str| {
            let path = format!("{at}.{side}");
            let examples = Examples::embed(building, Kind::Complexity, &path, by, texts);
            examples.bank(by, scoring.clustering, |_, text| text.to_owned())
        };
        let (hard_bank, easy_bank) = (
            bank(&rule.hard.candidates, "hard"),
            bank(&rule.easy.candidates, "easy"),
        );
        let (hard_above, easy_below) = rule.bounds();
        let mut key = |suffix: &str| {
            building
                .keys
                .intern(Kind::Complexity, &format!("{}:{suffix}", rule.name))
        };
        let built = Self {
            hard: key("hard"),
            medium: key("medium"),
            easy: key("easy"),
            margin: key("margin"),
            text_margin: key("text_margin"),
            hard_score: key("text_hard_score"),
            easy_score: key("text_easy_score"),
            hard_above,
            easy_below,
            hard_bank,
            easy_bank,
            weighting: scoring.weighting,
        };
        built.check_threshold(&at, building, by);
        built
    }

    /// Warns of a threshold that not even the rule's own examples reach.
    fn check_threshold(&self, at: &str, building: &mut Building<'_>, by: &Embedder) {
        let examples = self
            .hard_bank
            .prototypes()
            .iter()
            .chain(self.easy_bank.prototypes());
        let margins = examples.map(|example| self.margin(&example.vector, by).abs());
        let least = self.hard_above.min(-self.easy_below);
        let widest = margins
            .max_by(f64::total_cmp)
            .filter(|_| by.backing.is_some());
        if let Some(widest) = widest.filter(|&widest| widest <= least) {
            let path = format!("{at}.threshold");
            let message = format!(
                "not even the rule's own examples come out hard or easy: their margins end at {widest:.2}"
            );
            building.findings.warn(path, message);
        }
    }

    fn margin(&self, query: &[f32], by: &Embedder) -> f64 {
        let score = |bank: &Bank| bank.score(query, self.weighting, &by.scale).score;
        score(&self.hard_bank) - score(&self.easy_bank)
    }

    fn keys(&self) -> [Key; 7] {
        [
            self.hard,
            self.medium,
            self.easy,
            self.margin,
            self.text_margin,
            self.hard_score,
            self.easy_score,
        ]
    }
}

impl Learned for ComplexitySignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        input.ask(What::Vector(self.by.clone()))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let rules = self.rules.iter();
        let levels = rules.flat_map(|rule| [&rule.hard, &rule.medium, &rule.easy]);
        let Some(query) = answers::only_vector(Kind::Complexity, answers, levels, report) else {
            return;
        };

        let mut widest: f64 = 0.0;
        for rule in &self.rules {
            let hard = rule
                .hard_bank
                .score(query, rule.weighting, &self.by.scale)
                .score;
            let easy = rule
                .easy_bank
                .score(query, rule.weighting, &self.by.scale)
                .score;
            let margin = hard - easy;
            let level = if margin > rule.hard_above {
                rule.hard
            } else if margin < rule.easy_below {
                rule.easy
            } else {
                rule.medium
            };
            report.emit(level);
            report.set_confidence(level, margin.abs());
            report.set_value(rule.margin, margin);
            report.set_value(rule.text_margin, margin);
            report.set_value(rule.hard_score, hard);
            report.set_value(rule.easy_score, easy);
            widest = widest.max(margin.abs());
        }
        ran(report, Kind::Complexity, widest);
    }
}

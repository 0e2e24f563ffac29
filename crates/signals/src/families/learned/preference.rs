//! Preferences that the user's turn expresses: the rule whose description and examples are nearest,
//! or the route that an external model names. One vector of the evaluation text, or one remote
//! call.
//!
//! ```yaml
//! routing:
//!   signals:
//!     preferences:
//!       - {name: terse, description: Short answers., examples: [keep it concise], threshold: 0.7}
//! ```
//!
//! Only the best rule is tested, and one that fails does not pass the turn to the second (the
//! reference's rule). Unlike the reference, an unset `embedding_model` means the encoder of all
//! signals, so that nothing more is run. With `use_contrastive: false` the rules are labels of the
//! external model of role `preference`; its probability is the confidence, and a turn to which it
//! gives none of them matches nothing.

use super::examples::{Examples, Scoring};
use super::models::remote_classifier;
use super::{Building, Head, Learned, SignalInput, answers, check_threshold, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use document::Findings;
use inference::ask::{Outcome, Over, Question, What};
use inference::handle::{Classifier, Embedder};
use inference::prototypes::{Bank, Score, Weighting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

const MODULE: &str = "global.model_catalog.modules.classifier.preference";
/// Longest answer of the external model, tokens.
const MAX_TOKENS: u32 = 1000;

/// A preference that the user's turn expresses.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreferenceRule {
    /// Name used in decisions.
    pub name: String,
    /// What the preference is; also the first example.
    pub description: String,
    /// Example texts.
    pub examples: Vec<String>,
    /// Least score; 0 means none.
    pub threshold: f32,
}

impl PreferenceRule {
    fn check(&self, at: &str, findings: &mut Findings) {
        check_threshold(&format!("{at}.threshold"), self.threshold, findings);
        if self.description.trim().is_empty() && self.examples.is_empty() {
            findings.warn(
                at,
                "neither description nor examples, so the rule is like nothing",
            );
        }
    }
}

/// Reports what is wrong with the rules.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    let rules = &scope.signals.preferences;
    for (index, rule) in rules.iter().enumerate() {
        rule.check(&scope.rule(Kind::Preference, index), findings);
    }

    let module = scope.models.modules.classifier.preference.as_ref();
    let scoring = module.and_then(|module| module.prototype_scoring.as_ref());
    let margin = scoring.map_or(0.0, |scoring| scoring.margin_threshold);
    if rules.len() == 1 && margin > 0.0 {
        let message = format!(
            "a lead of {margin} over the second is wanted (`modules.classifier.preference.prototype_scoring`), and there is no second rule: it never matches"
        );
        findings.warn(scope.rule(Kind::Preference, 0), message);
    }
}

/// Compiles the rules; nothing without any.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let declared = &building.scope.signals.preferences;
    if declared.is_empty() {
        return None;
    }
    let module = building.scope.models.modules.classifier.preference.as_ref();
    if module.is_some_and(|module| module.use_contrastive == Some(false)) {
        return external(building, declared);
    }
    let model = module.map_or("", |module| &module.embedding_model);
    let by = building.encoder_named(Kind::Preference, MODULE, model);
    let scoring = Scoring::new(module.and_then(|module| module.prototype_scoring.as_ref()));
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let path = building.scope.rule(Kind::Preference, index);
        let described = Some(&rule.description).filter(|text| !text.trim().is_empty());
        let texts: Vec<String> = described
            .into_iter()
            .chain(&rule.examples)
            .cloned()
            .collect();
        let examples = Examples::embed(building, Kind::Preference, &path, &by, &texts);
        examples.check_threshold(building, &format!("{path}.threshold"), &by, rule.threshold);
        let bank = examples.bank(&by, scoring.clustering, |index, _| index.to_string());
        rules.push(Rule::new(rule, bank, building));
    }
    let keys = rules.iter().flat_map(Rule::keys);
    let head = Head::new(Kind::Preference, by.cost, keys);
    Some(Box::new(PreferenceSignal {
        by,
        rules,
        weighting: scoring.weighting,
        margin: scoring.margin,
        head,
    }))
}

/// The rules of one recipe, by similarity.
struct PreferenceSignal {
    by: Embedder,
    rules: Vec<Rule>,
    weighting: Weighting,
    /// Lead over the second; 0 asks for none.
    margin: f32,
    head: Head,
}

struct Rule {
    name: Box<str>,
    key: Key,
    best: Key,
    support: Key,
    count: Key,
    margin: Key,
    threshold: f32,
    bank: Bank,
}

impl Rule {
    fn new(rule: &PreferenceRule, bank: Bank, building: &mut Building<'_>) -> Self {
        let mut key = |suffix: &str| {
            building
                .keys
                .intern(Kind::Preference, &format!("{}{suffix}", rule.name))
        };
        Self {
            name: rule.name.as_str().into(),
            key: key(""),
            best: key(":best"),
            support: key(":support"),
            count: key(":prototype_count"),
            margin: key(":margin"),
            threshold: rule.threshold,
            bank,
        }
    }

    fn keys(&self) -> [Key; 5] {
        [self.key, self.best, self.support, self.count, self.margin]
    }
}

impl Learned for PreferenceSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        input.ask(What::Vector(self.by.clone()))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        let keys = self.rules.iter().map(|rule| &rule.key);
        if let Some(query) = answers::only_vector(Kind::Preference, answers, keys, report) {
            self.choose(query, report);
        }
    }
}

impl PreferenceSignal {
    fn choose(&self, query: &[f32], report: &mut SignalReport) {
        let score = |rule| (rule, Rule::score(rule, query, self));
        let mut scored: Vec<(&Rule, Score)> = self.rules.iter().map(score).collect();
        // Single precision, as the reference compares: two scores that differ only beyond it are a
        // tie.
        scored.sort_by(|(left, left_score), (right, right_score)| {
            let order = (right_score.score as f32).total_cmp(&(left_score.score as f32));
            order.then_with(|| left.name.cmp(&right.name))
        });
        let Some(&(best, found)) = scored.first() else {
            return ran(report, Kind::Preference, 0.0);
        };
        let highest = found.score as f32;
        let margin = scored
            .get(1)
            .map_or(0.0, |(_, second)| highest - second.score as f32);
        let near = best.threshold <= 0.0 || highest >= best.threshold;
        let clear = self.margin <= 0.0 || margin >= self.margin;
        if !near || !clear || highest.is_nan() {
            return ran(report, Kind::Preference, 0.0);
        }
        for (rule, score) in &scored {
            report.set_value(rule.key, f64::from(score.score as f32));
            report.set_value(rule.best, f64::from(score.best as f32));
            report.set_value(rule.support, f64::from(score.support as f32));
            report.set_value(rule.count, score.count as f64);
        }
        report.set_value(best.margin, f64::from(margin));
        report.emit(best.key);
        report.set_confidence(best.key, f64::from(highest));
        ran(report, Kind::Preference, f64::from(highest));
    }
}

impl Rule {
    fn score(&self, query: &[f32], family: &PreferenceSignal) -> Score {
        self.bank.score(query, family.weighting, &family.by.scale)
    }
}

/// The rules as labels of an external model.
fn external(building: &mut Building<'_>, declared: &[PreferenceRule]) -> Option<Box<dyn Learned>> {
    let models = &building.scope.models.external;
    let Some(model) = models
        .iter()
        .find(|model| model.model_role.trim() == "preference")
    else {
        let message = "with `use_contrastive: false`, an external model of `model_role: preference` is needed";
        building.findings.error(MODULE, message);
        return None;
    };
    let mut instructions =
        String::from("Name the one route whose description fits the user's request best.\n");
    for rule in declared {
        // Writing into a string cannot fail.
        let _written =
            writeln!(instructions, "- {}: {}", rule.name, rule.description.trim()).is_ok();
    }
    let labels = declared.iter().map(|rule| rule.name.clone()).collect();
    let mut wanted = remote_classifier(model, labels, &instructions);
    (wanted.max_tokens, wanted.temperature) = (MAX_TOKENS, 0.0);
    let by = building.remote_classifier(Kind::Preference, MODULE, &wanted);
    let keys = declared
        .iter()
        .map(|rule| building.keys.intern(Kind::Preference, &rule.name));
    let head = Head::new(Kind::Preference, by.cost, keys);
    Some(Box::new(ExternalSignal { by, head }))
}

/// The rules of one recipe, by an external model.
struct ExternalSignal {
    by: Classifier,
    /// Its keys are in the order of the labels.
    head: Head,
}

impl Learned for ExternalSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        input.ask(What::Labels(self.by.clone(), Over::Sample))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        if answers.is_empty() {
            return ran(report, Kind::Preference, 0.0);
        }
        let best = match answers::row(
            Kind::Preference,
            answers.first(),
            self.head.keys.len(),
            report,
        ) {
            Ok(row) => row
                .and_then(answers::top)
                .filter(|(_, probability)| *probability > 0.0),
            Err(error) => return answers::fail_all(&self.head.keys, &error, report),
        };
        if let Some((route, probability)) = best {
            report.emit(self.head.keys[route]);
            report.set_confidence(self.head.keys[route], f64::from(probability));
        }
        ran(
            report,
            Kind::Preference,
            best.map_or(0.0, |(_, probability)| f64::from(probability)),
        );
    }
}

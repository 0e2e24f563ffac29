//! Topics: one of the labels of a topic model, translated to the domains of the document. One head
//! on the evaluation text.
//!
//! ```yaml
//! routing:
//!   signals:
//!     domains:
//!       - {name: science, mmlu_categories: [physics, chemistry, biology]}
//! ```
//!
//! A label that no domain claims counts under its own name, so `domain:law` works without a
//! declaration. A sure model gives its best label, an unsure one all above the threshold. Kept from
//! the reference: where two labels mean one domain and both count, the confidence is that of the
//! later class, neither sum nor maximum. Where the module sets no threshold, that of the model's
//! card is taken, then 0.5.

use super::models::check_module;
use super::{Building, Head, Learned, SignalInput, answers, ran};
use crate::report::{Key, Kind, SignalReport};
use crate::scope::Scope;
use crate::wanted::Asked;
use document::{Findings, suggestion};
use inference::ask::{Outcome, Over, Question, What};
use inference::catalog::{Task, labels};
use inference::handle::Classifier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Normalised entropy below which only the best label counts: the bands `low` and `very_low`.
const SURE: f64 = 0.4;

/// A topic.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DomainRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Labels of the topic model that count as this domain; omitted means the label of the same
    /// name.
    pub mmlu_categories: Vec<String>,
    /// Scores that `static` selection reads, if a decision has the domain's name.
    pub model_scores: Vec<ModelScore>,
}

/// The score of one model in a domain.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelScore {
    /// A declared model.
    pub model: String,
    /// Its score; 1 is also the score of a model without an entry.
    pub score: f64,
    /// Reasoning mode for this domain.
    pub use_reasoning: Option<bool>,
}

/// Reports what is wrong with the rules, and what leaves them without effect.
pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    let rules = &scope.signals.domains;
    let mut owners: HashMap<String, &str> = HashMap::new();
    for (index, rule) in rules.iter().enumerate() {
        let at = scope.rule(Kind::Domain, index);
        for (index, label) in rule.mmlu_categories.iter().enumerate() {
            let path = format!("{at}.mmlu_categories[{index}]");
            let lower = label.to_lowercase();
            if !labels(Task::Domain).contains(&lower.as_str()) {
                let hint = suggestion(label, labels(Task::Domain).iter().copied());
                findings.warn(
                    &path,
                    format!("`{label}` is no label of the standard topic model{hint}"),
                );
            }
            if let Some(owner) = owners.insert(lower, &rule.name) {
                findings.warn(
                    path,
                    format!("takes `{label}` away from the domain `{owner}`, which then never matches by it"),
                );
            }
        }
    }

    let asked = Asked::classifier(scope.models, Task::Domain);
    check_module(scope, Kind::Domain, &asked, findings);
    let mcp = scope.models.modules.classifier.mcp.as_ref();
    if !rules.is_empty() && mcp.is_some_and(|mcp| mcp.enabled) {
        let message = "`global.model_catalog.modules.classifier.mcp` is known and not asked: topics come from the model here";
        findings.note(scope.at("signals.domains"), message);
    }
}

/// Compiles the family if a domain is declared, or some decision names a label of the model.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Learned>> {
    let domains = &building.scope.signals.domains;
    let asked = Asked::classifier(building.scope.models, Task::Domain);
    let named = !domains.is_empty() || (building.deps.used)(Kind::Domain, "");
    if !named || asked.is_off() {
        return None;
    }
    let by = building.classifier(Kind::Domain, Task::Domain, &asked);
    let threshold = asked.threshold(by.threshold);
    let classes = by.labels.iter().map(|label| {
        building
            .keys
            .intern(Kind::Domain, translate(label, domains))
    });
    let classes: Vec<Key> = classes.collect();
    let mut keys = classes.clone();
    keys.sort_unstable();
    keys.dedup();
    let head = Head::new(Kind::Domain, by.cost, keys);
    Some(Box::new(DomainSignal {
        by,
        classes,
        threshold,
        head,
    }))
}

/// The domain that a label stands for; of several that claim it the last.
fn translate<'a>(label: &'a str, domains: &'a [DomainRule]) -> &'a str {
    let lower = label.to_lowercase();
    let claims = |domain: &&DomainRule| match domain.mmlu_categories.as_slice() {
        [] => domain.name.to_lowercase() == lower,
        categories => categories
            .iter()
            .any(|category| category.to_lowercase() == lower),
    };
    domains
        .iter()
        .rfind(claims)
        .map_or(label, |domain| &domain.name)
}

/// The topics of one recipe.
struct DomainSignal {
    by: Classifier,
    /// What each class of the model is called here.
    classes: Vec<Key>,
    threshold: f32,
    head: Head,
}

impl Learned for DomainSignal {
    fn head(&self) -> &Head {
        &self.head
    }

    fn questions(&self, input: &SignalInput<'_>) -> Vec<Question> {
        input.ask(What::Labels(self.by.clone(), Over::Sample))
    }

    fn conclude(&self, _input: &SignalInput<'_>, answers: &[Outcome], report: &mut SignalReport) {
        if answers.is_empty() {
            return ran(report, Kind::Domain, 0.0);
        }
        let row = match answers::row(Kind::Domain, answers.first(), self.classes.len(), report) {
            Ok(row) => row.unwrap_or_default(),
            Err(error) => return answers::fail_all(&self.head.keys, &error, report),
        };
        let best = answers::top(row);
        let sure = entropy(row) < SURE;
        for (class, (&key, &probability)) in self.classes.iter().zip(row).enumerate() {
            let counts = !sure || best.is_some_and(|(top, _)| top == class);
            if counts && probability >= self.threshold {
                report.emit(key);
                report.set_confidence(key, f64::from(probability));
            }
        }
        ran(
            report,
            Kind::Domain,
            best.map_or(0.0, |(_, probability)| f64::from(probability)),
        );
    }
}

/// Shannon entropy as a share of its maximum: 0 for a sure model, 1 for one that knows nothing.
fn entropy(row: &[f32]) -> f64 {
    let terms = row
        .iter()
        .map(|&p| f64::from(p))
        .filter(|&p| p > 0.0)
        .map(|p| -p * p.log2());
    let bits: f64 = terms.sum();
    if row.len() > 1 {
        bits / (row.len() as f64).log2()
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_bands() {
        let spread = |head: &[f32]| {
            let rest = (1.0 - head.iter().sum::<f32>()) / (14 - head.len()) as f32;
            let mut row = head.to_vec();
            row.resize(14, rest);
            (entropy(&row) * 1000.0).round() / 1000.0
        };
        assert_eq!(spread(&[0.55, 0.25]), 0.566);
        assert_eq!(spread(&[0.80]), 0.384);
        assert_eq!(spread(&[0.52, 0.30, 0.10]), 0.502);
        assert_eq!(entropy(&[1.0]), 0.0);
        assert_eq!(entropy(&[0.5, 0.5]), 1.0);
    }

    #[test]
    fn labels_become_domains() {
        let domain = |name: &str, categories: &[&str]| DomainRule {
            name: name.into(),
            mmlu_categories: categories.iter().map(|name| (*name).into()).collect(),
            ..DomainRule::default()
        };
        let domains = [
            domain("science", &["Physics", "math"]),
            domain("MATH", &["math"]),
            domain("Law", &[]),
        ];
        let check = |label: &str, expected: &str| assert_eq!(translate(label, &domains), expected);
        check("physics", "science");
        check("math", "MATH");
        check("law", "Law");
        check("health", "health");
    }
}

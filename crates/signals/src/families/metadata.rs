//! Values of the request's `metadata` map.
//!
//! Use it where the client says what it is: a tenant, a feature, an experiment. Clients write it,
//! so trust it as much.
//!
//! ```yaml
//! routing:
//!   signals:
//!     metadata:
//!       - name: batch
//!         key: workload
//!         predicate: {in: [batch, offline]}
//! ```

use super::{Building, Signal, SignalError, SignalInput, Watch, ran};
use crate::report::{Key, Kind, SignalReport};
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition on one `metadata` entry.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataRule {
    /// Name used in decisions.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Key in the request's `metadata`.
    pub key: String,
    /// Exactly one condition.
    pub predicate: MetadataPredicate,
}

/// Exactly one of three conditions.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataPredicate {
    /// Equal to this text.
    pub equals: Option<String>,
    /// One of these texts.
    #[serde(rename = "in")]
    pub one_of: Option<Vec<String>>,
    /// Present or absent.
    pub exists: Option<bool>,
}

/// Compiles the metadata rules; nothing without rules.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.metadata;
    if declared.is_empty() {
        return None;
    }
    let mut rules = Vec::new();
    for (index, rule) in declared.iter().enumerate() {
        let key = building.keys.intern(Kind::Metadata, &rule.name);
        let at = building.scope.rule(Kind::Metadata, index);
        rules.extend(rule.compile(&at, key, building.findings));
    }
    Some(Box::new(MetadataSignal { rules }))
}

impl MetadataRule {
    fn compile(&self, at: &str, key: Key, findings: &mut Findings) -> Option<Rule> {
        if self.key.is_empty() {
            findings.error(format!("{at}.key"), "`key` is missing");
        }
        Some(Rule {
            key,
            entry: self.key.clone(),
            test: self
                .predicate
                .compile(&format!("{at}.predicate"), findings)?,
        })
    }
}

impl MetadataPredicate {
    fn compile(&self, at: &str, findings: &mut Findings) -> Option<Test> {
        match (&self.equals, &self.one_of, self.exists) {
            (Some(value), None, None) => Some(Test::OneOf(vec![value.clone()])),
            (None, Some(values), None) => {
                if values.is_empty() {
                    findings.error(format!("{at}.in"), "an empty list never matches");
                }
                Some(Test::OneOf(values.clone()))
            }
            (None, None, Some(exists)) => Some(Test::Exists(exists)),
            _ => {
                findings.error(at, "exactly one of `equals`, `in` and `exists` is wanted");
                None
            }
        }
    }
}

/// The metadata family of one recipe.
struct MetadataSignal {
    rules: Vec<Rule>,
}

struct Rule {
    key: Key,
    entry: String,
    test: Test,
}

enum Test {
    OneOf(Vec<String>),
    Exists(bool),
}

impl Test {
    fn holds(&self, value: Option<&String>) -> bool {
        match self {
            Self::OneOf(values) => value.is_some_and(|value| values.contains(value)),
            Self::Exists(expected) => value.is_some() == *expected,
        }
    }
}

impl Signal for MetadataSignal {
    fn kind(&self) -> Kind {
        Kind::Metadata
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        let mut confidence = 0.0;
        for rule in self
            .rules
            .iter()
            .filter(|rule| rule.test.holds(input.prompt.metadata.get(&rule.entry)))
        {
            report.emit(rule.key);
            report.set_confidence(rule.key, 1.0);
            confidence = 1.0;
        }
        ran(report, Kind::Metadata, confidence);
        Ok(())
    }

    /// Entries of the metadata are no words of the turn.
    fn doubt_unread(
        &self,
        _input: &SignalInput<'_>,
        _watched: &[Watch],
        _report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::tests::{compiled, errors};
    use crate::families::{Deps, Signals};
    use crate::report::Keys;
    use dialects::Prompt;

    fn check(predicate: MetadataPredicate, metadata: &[(&str, &str)], expected: bool) {
        let rule = MetadataRule {
            name: "r".into(),
            key: "tier".into(),
            predicate,
            ..MetadataRule::default()
        };
        let mut keys = Keys::default();
        let signals = Signals {
            metadata: vec![rule],
            ..Signals::default()
        };
        let signal = compiled(&signals, &mut keys, &Deps::default());
        let metadata = metadata
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        let prompt = Prompt {
            metadata,
            ..Prompt::default()
        };
        let mut report = SignalReport::new(&keys);
        signal
            .evaluate(&SignalInput::new(&prompt, None), &mut report)
            .unwrap();
        let key = keys.get(Kind::Metadata, "r").unwrap();
        assert_eq!(
            report.is_matched(key),
            expected,
            "{metadata:?}",
            metadata = prompt.metadata
        );
        assert_eq!(
            (report.confidence(key), report.value(key)),
            (expected.then_some(1.0), None)
        );
    }

    fn equals(value: &str) -> MetadataPredicate {
        MetadataPredicate {
            equals: Some(value.into()),
            ..MetadataPredicate::default()
        }
    }

    fn exists(exists: bool) -> MetadataPredicate {
        MetadataPredicate {
            exists: Some(exists),
            ..MetadataPredicate::default()
        }
    }

    #[test]
    fn predicates() {
        let one_of = || MetadataPredicate {
            one_of: Some(vec!["a".into(), "b".into()]),
            ..MetadataPredicate::default()
        };
        check(equals("gold"), &[("tier", "gold")], true);
        check(equals("gold"), &[("tier", "Gold")], false);
        check(equals("gold"), &[("Tier", "gold")], false);
        check(equals(""), &[], false);
        check(equals(""), &[("tier", "")], true);
        check(one_of(), &[("tier", "b")], true);
        check(one_of(), &[("tier", "c")], false);
        check(one_of(), &[], false);
        check(exists(true), &[("tier", "")], true);
        check(exists(true), &[], false);
        check(exists(false), &[], true);
        check(exists(false), &[("tier", "x")], false);
    }

    #[test]
    fn exactly_one_condition() {
        let two = MetadataPredicate {
            exists: Some(true),
            ..equals("x")
        };
        let rules = [MetadataPredicate::default(), two].map(|predicate| MetadataRule {
            key: "k".into(),
            predicate,
            ..MetadataRule::default()
        });
        let signals = Signals {
            metadata: rules.into(),
            ..Signals::default()
        };
        assert_eq!(
            errors(&signals),
            ["metadata[0].predicate", "metadata[1].predicate"]
        );
    }
}

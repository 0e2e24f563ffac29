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

use super::{Problem, Signal, SignalError, SignalInput, ran};
use crate::config::signals::{MetadataPredicate, MetadataRule};
use crate::report::{Key, Keys, Kind, SignalReport};

/// Compiles the metadata rules; nothing without rules.
pub(super) fn build(
    rules: &[MetadataRule],
    keys: &mut Keys,
    problems: &mut Vec<Problem>,
) -> Option<Box<dyn Signal>> {
    if rules.is_empty() {
        return None;
    }
    let compile = |(at, rule): (usize, &MetadataRule)| {
        let path = format!("routing.signals.metadata[{at}]");
        if rule.key.is_empty() {
            problems.push(Problem {
                path: format!("{path}.key"),
                message: "must not be empty".into(),
            });
        }
        let test = Test::build(&rule.predicate);
        if test.is_none() {
            let message = "needs exactly one of equals, in, exists";
            problems.push(Problem {
                path: format!("{path}.predicate"),
                message: message.into(),
            });
        }
        Some(Rule {
            key: keys.intern(Kind::Metadata, &rule.name),
            entry: rule.key.clone(),
            test: test?,
        })
    };
    let rules = rules.iter().enumerate().filter_map(compile).collect();
    Some(Box::new(MetadataSignal { rules }))
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
    fn build(predicate: &MetadataPredicate) -> Option<Self> {
        match (&predicate.equals, &predicate.one_of, predicate.exists) {
            (Some(value), None, None) => Some(Self::OneOf(vec![value.clone()])),
            (None, Some(values), None) => Some(Self::OneOf(values.clone())),
            (None, None, Some(exists)) => Some(Self::Exists(exists)),
            _ => None,
        }
    }

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialects::Prompt;

    fn check(predicate: MetadataPredicate, metadata: &[(&str, &str)], expected: bool) {
        let rule = MetadataRule {
            name: "r".into(),
            key: "tier".into(),
            predicate,
            ..MetadataRule::default()
        };
        let (mut keys, mut problems) = (Keys::default(), Vec::new());
        let signal = build(&[rule], &mut keys, &mut problems).unwrap();
        assert_eq!(problems, []);
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
        let mut problems = Vec::new();
        build(&rules, &mut Keys::default(), &mut problems);
        let paths: Vec<_> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "routing.signals.metadata[0].predicate",
                "routing.signals.metadata[1].predicate"
            ]
        );
    }
}

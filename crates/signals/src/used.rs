//! Which signals a recipe's decisions and boundaries can reach: only their families run.
//!
//! Leaves of all their rule trees, and for every used mapping output the inputs of its score, and
//! for every used complexity rule the leaves of its composer, until nothing is added.

use crate::projection::section::Projections;
use crate::report::Kind;
use crate::rules::RuleNode;
use crate::scope::{Scope, base};
use std::collections::{BTreeMap, BTreeSet};

/// Used names. Types and names compare without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsedSet {
    /// Names in lower case, each as some leaf or input writes it.
    names: BTreeMap<(Kind, String), String>,
    /// Knowledge bases with a metric that is read, whether or not a rule names them.
    bases: BTreeSet<String>,
}

impl UsedSet {
    /// Collects the names that rule trees of a recipe reach.
    pub fn of<'a>(scope: &Scope<'_>, trees: impl Iterator<Item = &'a RuleNode>) -> Self {
        used(trees, scope.projections, |rule| {
            let mut rules = scope.signals.complexity.iter();
            let found = rules.find(|other| other.name.to_lowercase() == rule);
            found?.composer.as_ref()
        })
    }

    /// Tells whether some name of the family is used: all its rules run.
    #[must_use]
    pub fn has_family(&self, kind: Kind) -> bool {
        let of_family = |(other, _): &(Kind, String)| *other == kind;
        (kind == Kind::Kb && !self.bases.is_empty()) || self.names.keys().any(of_family)
    }

    /// Tells whether this name is used. A complexity rule is used if any of its levels is, a
    /// classifier if any of its labels is.
    #[must_use]
    pub fn contains(&self, kind: Kind, name: &str) -> bool {
        let key = (kind, name.to_lowercase());
        let has_level = |(other, used): &(Kind, String)| *other == kind && base(used) == key.1;
        self.names.contains_key(&key)
            || (kind == Kind::Complexity && self.names.keys().any(has_level))
    }

    /// Tells whether this name is used; an empty name stands for any of the family.
    #[must_use]
    pub fn reads(&self, kind: Kind, name: &str) -> bool {
        if name.is_empty() {
            self.has_family(kind)
        } else {
            self.contains(kind, name)
        }
    }

    /// Returns all used names, in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.names.keys().map(|(kind, name)| (*kind, name.as_str()))
    }

    /// Returns all used names as leaves and inputs write them, and the knowledge bases
    /// with a metric that is read.
    pub fn written(&self) -> impl Iterator<Item = (Kind, &str)> {
        let names = self.names.iter();
        let names = names.map(|((kind, _), written)| (*kind, written.as_str()));
        names.chain(self.bases.iter().map(|base| (Kind::Kb, base.as_str())))
    }
}

/// The names that rule trees reach through `projections` and composers. `composer` gives the rule
/// tree of a complexity rule (name in lower case), if it has one.
pub fn used<'a, 'b>(
    trees: impl Iterator<Item = &'b RuleNode>,
    projections: &Projections,
    composer: impl Fn(&str) -> Option<&'a RuleNode>,
) -> UsedSet {
    let mut used = UsedSet::default();
    let mut todo = Vec::new();
    for tree in trees {
        collect(tree, &mut todo);
    }
    let expands = !projections.scores.is_empty() && !projections.mappings.is_empty();
    while let Some((kind, written)) = todo.pop() {
        let name = written.to_lowercase();
        if used.names.contains_key(&(kind, name.clone())) {
            continue;
        }
        used.names.insert((kind, name.clone()), written);
        match kind {
            Kind::Projection if expands => {
                for source in sources(projections, &name) {
                    expand(projections, source, &mut used, &mut todo);
                }
            }
            Kind::Complexity => {
                if let Some(tree) = composer(base(&name)) {
                    collect(tree, &mut todo);
                }
            }
            _ => {}
        }
    }
    used
}

/// The scores behind the mapping outputs of this name.
fn sources<'a>(projections: &'a Projections, output: &str) -> Vec<&'a str> {
    projections
        .mappings
        .iter()
        .filter(|mapping| {
            mapping
                .outputs
                .iter()
                .any(|other| other.name.to_lowercase() == output)
        })
        .map(|mapping| mapping.source.as_str())
        .collect()
}

/// Adds the inputs of a score, following inputs that are scores themselves.
fn expand(
    projections: &Projections,
    score: &str,
    used: &mut UsedSet,
    todo: &mut Vec<(Kind, String)>,
) {
    let mut scores = vec![score];
    let mut seen = BTreeSet::new();
    while let Some(name) = scores.pop() {
        if !seen.insert(name) {
            continue;
        }
        let inputs = projections
            .scores
            .iter()
            .filter(|score| score.name == name)
            .flat_map(|score| &score.inputs);
        for input in inputs {
            if input.kind.trim().eq_ignore_ascii_case("kb_metric") {
                used.bases.insert(input.kb.clone());
            } else if let Some(kind) = Kind::parse(&input.kind) {
                let names_output = input.value_source.trim().eq_ignore_ascii_case("confidence");
                if kind == Kind::Projection && !names_output {
                    scores.push(&input.name);
                } else {
                    todo.push((kind, input.name.clone()));
                }
            }
        }
    }
}

fn collect(tree: &RuleNode, todo: &mut Vec<(Kind, String)>) {
    if let Some(kind) = Kind::parse(&tree.kind) {
        todo.push((kind, tree.name.clone()));
    }
    for child in &tree.conditions {
        collect(child, todo);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::section::{Mapping, MappingOutput, Score, ScoreInput};

    fn leaf(kind: &str, name: &str) -> RuleNode {
        RuleNode {
            kind: kind.into(),
            name: name.into(),
            ..RuleNode::default()
        }
    }

    fn input(kind: &str, name: &str, value_source: &str) -> ScoreInput {
        ScoreInput {
            kind: kind.into(),
            name: name.into(),
            value_source: value_source.into(),
            ..ScoreInput::default()
        }
    }

    fn score(name: &str, inputs: Vec<ScoreInput>) -> Score {
        Score {
            name: name.into(),
            inputs,
            ..Score::default()
        }
    }

    fn mapping(source: &str, output: &str) -> Mapping {
        Mapping {
            source: source.into(),
            outputs: vec![MappingOutput {
                name: output.into(),
                ..MappingOutput::default()
            }],
            ..Mapping::default()
        }
    }

    fn check(rules: RuleNode, projections: &Projections, expected: &[&str]) -> UsedSet {
        let composers = [("deep".to_owned(), leaf("language", "zh"))];
        let used = used(std::iter::once(&rules), projections, |rule| {
            composers
                .iter()
                .find(|(name, _)| name == rule)
                .map(|(_, tree)| tree)
        });
        let found: Vec<String> = used
            .iter()
            .map(|(kind, name)| format!("{}:{name}", kind.as_str()))
            .collect();
        assert_eq!(found, expected);
        used
    }

    #[test]
    fn follows_projections_and_composers_to_the_end() {
        let projections = Projections {
            scores: vec![
                score(
                    "base",
                    vec![
                        input("Complexity", "deep:hard", ""),
                        input("kb_metric", "", ""),
                    ],
                ),
                score("other", vec![input("domain", "law", "")]),
                score(
                    "top",
                    vec![
                        input("projection", "base", "score"),
                        input("projection", "low", "confidence"),
                    ],
                ),
                score("unused", vec![input("pii", "any", "")]),
            ],
            mappings: vec![
                mapping("top", "Hard"),
                mapping("other", "low"),
                mapping("unused", "never"),
            ],
            ..Projections::default()
        };
        let tree = RuleNode {
            operator: "NOT".into(),
            conditions: vec![leaf(" Projection ", "Hard")],
            ..RuleNode::default()
        };
        let expected = [
            "domain:law",
            "language:zh",
            "complexity:deep:hard",
            "projection:hard",
            "projection:low",
        ];
        let used = check(tree, &projections, &expected);
        assert!(
            used.has_family(Kind::Kb)
                && used.has_family(Kind::Language)
                && !used.has_family(Kind::Pii)
        );
        assert!(
            used.contains(Kind::Complexity, "Deep") && !used.contains(Kind::Complexity, "hard")
        );
    }

    #[test]
    fn nothing_is_expanded_without_both_scores_and_mappings() {
        let projections = Projections {
            mappings: vec![mapping("top", "hard")],
            ..Projections::default()
        };
        check(
            leaf("projection", "hard"),
            &projections,
            &["projection:hard"],
        );
    }

    #[test]
    fn unknown_types_use_nothing() {
        check(leaf("astrology", "aries"), &Projections::default(), &[]);
    }
}

//! Which signals a recipe's decisions and boundaries can reach: only their families run.
//!
//! Leaves of all their rule trees, and for every used mapping output the inputs of its score, and
//! for every used complexity rule the leaves of its composer, until nothing is added.

use crate::config::decisions::{Boundary, Decision, RuleNode};
use crate::config::projections::Projections;
use crate::report::Kind;
use std::collections::BTreeSet;

/// Used names. Types and names compare without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsedSet {
    names: BTreeSet<(Kind, String)>,
    /// A metric of some knowledge base is read, whether or not a rule names it.
    kb_metrics: bool,
}

impl UsedSet {
    /// Some name of the family is used: all its rules run.
    #[must_use]
    pub fn has_family(&self, kind: Kind) -> bool {
        (kind == Kind::Kb && self.kb_metrics) || self.names.iter().any(|(other, _)| *other == kind)
    }

    /// This name is used. A complexity rule is used if any of its levels is, a classifier if any of
    /// its labels is.
    #[must_use]
    pub fn contains(&self, kind: Kind, name: &str) -> bool {
        let name = name.to_lowercase();
        self.names.iter().any(|(other, used)| {
            *other == kind
                && (*used == name
                    || (kind == Kind::Complexity
                        && used.rsplit_once(':').is_some_and(|(rule, _)| rule == name)))
        })
    }

    /// All used names, lower case.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.names.iter().map(|(kind, name)| (*kind, name.as_str()))
    }
}

/// The rule trees of decisions.
pub fn decided(decisions: &[Decision]) -> impl Iterator<Item = &RuleNode> {
    decisions
        .iter()
        .filter_map(|decision| decision.rules.as_ref())
}

/// The rule trees of boundaries.
pub fn bounding(boundaries: &[Boundary]) -> impl Iterator<Item = &RuleNode> {
    boundaries
        .iter()
        .filter_map(|boundary| boundary.when.as_ref())
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
    while let Some((kind, name)) = todo.pop() {
        if !used.names.insert((kind, name.clone())) {
            continue;
        }
        match kind {
            Kind::Projection if expands => {
                for source in sources(projections, &name) {
                    expand(projections, source, &mut used, &mut todo);
                }
            }
            Kind::Complexity => {
                let rule = name
                    .rsplit_once(':')
                    .map_or(name.as_str(), |(rule, _)| rule);
                if let Some(tree) = composer(rule) {
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
                used.kb_metrics = true;
            } else if let Some(kind) = Kind::parse(&input.kind) {
                let names_output = input.value_source.trim().eq_ignore_ascii_case("confidence");
                if kind == Kind::Projection && !names_output {
                    scores.push(&input.name);
                } else {
                    todo.push((kind, input.name.to_lowercase()));
                }
            }
        }
    }
}

fn collect(tree: &RuleNode, todo: &mut Vec<(Kind, String)>) {
    if let Some(kind) = Kind::parse(&tree.kind) {
        todo.push((kind, tree.name.to_lowercase()));
    }
    for child in &tree.conditions {
        collect(child, todo);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::projections::{Mapping, MappingOutput, Score, ScoreInput};

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
        let decisions = [Decision {
            rules: Some(rules),
            ..Decision::default()
        }];
        let used = used(decided(&decisions), projections, |rule| {
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

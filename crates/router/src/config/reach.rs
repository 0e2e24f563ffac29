//! What a request can reach: recipes that a model name asks for, their decisions, and the signals
//! these use.

use super::decisions::RuleNode;
use super::{DEFAULT_RECIPE, Document, Routing};
use crate::report::Kind;
use std::collections::BTreeSet;

/// Whether a request can meet a part of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// No request can.
    Unreachable,
    /// Some request can.
    Reachable,
}

impl From<bool> for Reach {
    fn from(reachable: bool) -> Self {
        if reachable {
            Self::Reachable
        } else {
            Self::Unreachable
        }
    }
}

/// A model name exists that asks for this recipe.
pub(super) fn is_live(document: &Document, recipe: &str) -> bool {
    let auto = recipe == DEFAULT_RECIPE && !document.auto_model_names().is_empty();
    auto || document
        .entrypoints
        .iter()
        .any(|entrypoint| entrypoint.recipe == recipe && !entrypoint.model_names.is_empty())
}

/// Signals that a recipe uses, as `kind` and name: the leaves of its decisions, and what these
/// depend on.
#[derive(Debug, Default)]
pub(super) struct Used {
    names: BTreeSet<(Kind, String)>,
}

impl Used {
    /// The transitive closure over projections and composers.
    pub(super) fn of(routing: &Routing) -> Self {
        let decisions = routing
            .decisions
            .iter()
            .filter_map(|decision| decision.rules.as_ref());
        let boundaries = routing
            .boundaries
            .iter()
            .filter_map(|boundary| boundary.when.as_ref());
        Self::by(routing, decisions.chain(boundaries))
    }

    /// The same for some rule trees.
    pub(super) fn by<'a>(routing: &Routing, trees: impl IntoIterator<Item = &'a RuleNode>) -> Self {
        let mut used = Self::default();
        let mut leaves = Vec::new();
        trees
            .into_iter()
            .for_each(|rules| gather(rules, &mut leaves));
        while let Some((kind, name)) = leaves.pop() {
            if !used.names.insert((kind, name.clone())) {
                continue;
            }
            match kind {
                Kind::Projection => leaves.extend(projection_inputs(routing, &name)),
                Kind::Complexity => leaves.extend(composer_leaves(routing, &name)),
                _ => {}
            }
        }
        used
    }

    /// Families and names as leaves and inputs write them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.names.iter().map(|(kind, name)| (*kind, name.as_str()))
    }

    /// This rule is used.
    pub(super) fn rule(&self, kind: Kind, name: &str) -> bool {
        self.names
            .iter()
            .any(|(used, full)| *used == kind && (full == name || base(full) == name))
    }
}

/// The rule name of a leaf like `rule:hard`.
pub(super) fn base(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(base, _)| base)
}

fn gather(node: &RuleNode, leaves: &mut Vec<(Kind, String)>) {
    leaves.extend(Kind::parse(&node.kind).map(|kind| (kind, node.name.clone())));
    node.conditions
        .iter()
        .for_each(|child| gather(child, leaves));
}

/// Inputs of the score behind a mapping output, through inputs that are projections themselves.
fn projection_inputs(routing: &Routing, output: &str) -> Vec<(Kind, String)> {
    let projections = &routing.projections;
    if projections.scores.is_empty() || projections.mappings.is_empty() {
        return Vec::new();
    }
    let sources = projections
        .mappings
        .iter()
        .filter(|mapping| mapping.outputs.iter().any(|own| own.name == output));
    let mut pending: Vec<&str> = sources.map(|mapping| mapping.source.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut leaves = Vec::new();
    while let Some(name) = pending.pop() {
        if !seen.insert(name) {
            continue;
        }
        for input in projections
            .scores
            .iter()
            .filter(|score| score.name == name)
            .flat_map(|score| &score.inputs)
        {
            match Kind::parse(&input.kind) {
                Some(Kind::Projection)
                    if input.value_source.trim().eq_ignore_ascii_case("confidence") =>
                {
                    leaves.push((Kind::Projection, input.name.clone()));
                }
                Some(Kind::Projection) => pending.push(&input.name),
                Some(kind) => leaves.push((kind, input.name.clone())),
                None => leaves.push((Kind::Kb, input.kb.clone())),
            }
        }
    }
    leaves
}

fn composer_leaves(routing: &Routing, name: &str) -> Vec<(Kind, String)> {
    let mut leaves = Vec::new();
    let rules = routing
        .signals
        .complexity
        .iter()
        .filter(|rule| rule.name == base(name));
    rules
        .filter_map(|rule| rule.composer.as_ref())
        .for_each(|composer| gather(composer, &mut leaves));
    leaves
}

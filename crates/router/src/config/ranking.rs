//! Which rules rank the matches of a document, and decisions that one ranking puts in another order
//! than the other.

use super::decisions::Decision;
use super::{Document, Routing, spelling};
use document::{Problem, Severity};
use serde_json::Value;
use signals::decision::{Ranking, Strategy};
use signals::family::{Role, ScoreKind};
use signals::report::Kind;
use signals::rules::RuleNode;

/// Returns the rules that a document names, or those of its spelling.
pub(super) fn of(written: &Value, document: &Document) -> Ranking {
    let named = named(document);
    named.unwrap_or_else(|| match spelling::is_new(written) {
        true => Ranking::V04,
        false => Ranking::V03,
    })
}

fn named(document: &Document) -> Option<Ranking> {
    let word = document.global.router.evaluation.ranking.trim();
    let rankings = [Ranking::V03, Ranking::V04];
    rankings.into_iter().find(|it| it.as_str() == word)
}

/// Says where the ranking of v0.3 could make another decision win in a document with keys of v0.4
/// that names no ranking: an error where old keys leave open which ranking is meant.
pub(super) fn report(written: &Value, document: &Document) -> Vec<Problem> {
    if named(document).is_some() || !spelling::is_new(written) {
        return Vec::new();
    }
    let is_mixed = spelling::is_old(written);
    let mut problems = Vec::new();
    for (_, path, routing) in document.policies() {
        let Some(pair) = Differences::of(routing) else {
            continue;
        };
        let path = format!("{path}.decisions[{}]", pair.index);
        let (one, other, more) = (pair.one, pair.other, pair.more());
        let both = format!("v0.3 and v0.4 rank `{one}` and `{other}` by different rules{more}");
        let problem = if is_mixed {
            Problem::error(
                path,
                format!(
                    "{both}, and the document mixes both spellings: write `global.router.evaluation.ranking: v0.3` or `v0.4`"
                ),
            )
        } else {
            Problem::new(
                Severity::Note,
                path,
                format!(
                    "{both}: for its new keys this document has those of v0.4; `global.router.evaluation.ranking: v0.3` keeps the old ones"
                ),
            )
        };
        problems.push(problem);
    }
    problems
}

/// Pairs of decisions of one recipe that the rankings may put in another order.
struct Differences<'a> {
    /// Index of the first decision of the first pair.
    index: usize,
    one: &'a str,
    other: &'a str,
    /// How many pairs there are.
    count: usize,
}

impl<'a> Differences<'a> {
    fn of(routing: &'a Routing) -> Option<Self> {
        let entries: Vec<Entry<'a>> = routing.decisions.iter().map(Entry::new).collect();
        let mut scored = entries.iter().filter(|entry| !entry.is_catch_all);
        let kind = scored.next().and_then(|entry| entry.plain);
        let pool = Pool {
            strategy: Strategy::parse(routing.strategy.trim()),
            compares: kind.is_some() && scored.all(|entry| entry.plain == kind),
        };
        let pairs = entries.iter().enumerate().flat_map(|(index, one)| {
            let others = entries.iter().skip(index + 1);
            others.map(move |other| (index, one, other))
        });
        let mut differing = pairs.filter(|(_, one, other)| pool.may_differ(one, other));
        let (index, one, other) = differing.next()?;
        Some(Self {
            index,
            one: &one.decision.name,
            other: &other.decision.name,
            count: 1 + differing.count(),
        })
    }

    fn more(&self) -> String {
        match self.count {
            0 | 1 => String::new(),
            2 => " (and one more pair)".to_owned(),
            count => format!(" (and {} more pairs)", count - 1),
        }
    }
}

/// What competes in a recipe.
struct Pool {
    strategy: Strategy,
    /// All scores compare, and are the confidences of v0.3.
    compares: bool,
}

impl Pool {
    fn may_differ(&self, one: &Entry<'_>, other: &Entry<'_>) -> bool {
        let tiers = (one.decision.tier, other.decision.tier);
        // As soon as one of them has a tier, tiers count for both.
        let is_tiered = tiers.0 > 0 || tiers.1 > 0;
        if is_tiered && tiers.0 != tiers.1 {
            return false;
        }
        let (prior, later) = (one.decision.priority, other.decision.priority);
        match (one.is_catch_all, other.is_catch_all) {
            (true, true) => return false,
            // By confidence it is last under both, as it has none.
            (true, false) | (false, true) if is_tiered || self.strategy == Strategy::Confidence => {
                return false;
            }
            (true, false) => return prior > later,
            (false, true) => return later > prior,
            (false, false) => {}
        }
        if one.is_constant && other.is_constant {
            return false;
        }
        match self.strategy {
            Strategy::Confidence => !self.compares,
            Strategy::Priority if is_tiered && prior != later => true,
            Strategy::Priority => prior == later && !self.compares,
        }
    }
}

/// A decision, as far as the rankings tell it from others.
struct Entry<'a> {
    decision: &'a Decision,
    is_catch_all: bool,
    /// Its confidence by v0.3 is always 1.0.
    is_constant: bool,
    /// The kind of its score, which is its confidence by v0.3 too.
    plain: Option<ScoreKind>,
}

impl<'a> Entry<'a> {
    fn new(decision: &'a Decision) -> Self {
        let rules = decision.rules.as_ref().filter(|tree| !is_empty(tree));
        Self {
            decision,
            is_catch_all: rules.is_none(),
            is_constant: rules.is_some_and(is_constant),
            plain: rules.and_then(plain),
        }
    }
}

/// Tells whether a tree always holds: no rules, or an empty AND.
fn is_empty(tree: &RuleNode) -> bool {
    let operator = tree.operator.trim();
    let is_bare = tree.kind.is_empty() && tree.name.is_empty() && tree.conditions.is_empty();
    is_bare && (operator.is_empty() || operator.eq_ignore_ascii_case("AND"))
}

/// Tells whether all that counts of a tree is of families without numbers.
fn is_constant(tree: &RuleNode) -> bool {
    if tree.operator.trim().eq_ignore_ascii_case("NOT") || tree.predicate.is_some() {
        return true;
    }
    match tree.kind.is_empty() {
        true => tree.conditions.iter().all(is_constant),
        false => Kind::parse(&tree.kind).is_none_or(|kind| !kind.family().has_number),
    }
}

/// Returns the kind of the scores of a leaf, or of an OR of such leaves.
fn plain(tree: &RuleNode) -> Option<ScoreKind> {
    if !tree.kind.is_empty() {
        let role = Kind::parse(&tree.kind)?.family().role;
        return match role {
            Role::Evidence(kind) if tree.predicate.is_none() => kind,
            _ => None,
        };
    }
    let operator = tree.operator.trim();
    if operator.eq_ignore_ascii_case("AND") || operator.eq_ignore_ascii_case("NOT") {
        return None;
    }
    let mut kinds = tree.conditions.iter().map(plain);
    let first = kinds.next()??;
    kinds.all(|kind| kind == Some(first)).then_some(first)
}

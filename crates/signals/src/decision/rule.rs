//! Rule trees of a whole recipe in flat arrays, and their evaluation.
//!
//! Nodes lie in pre-order and know where their subtree ends, so children are found by skipping and
//! nothing is boxed.

use super::grade::{Grade, Judged, Prospect};
use crate::declared::Declared;
use crate::family::{Role, ScoreKind};
use crate::report::outlook::{Needs, Number, Outlook, Span};
use crate::report::{Key, Keys, Kind, SignalReport};
use crate::rules::{NumericPredicate, RuleNode};
use std::ops::Range;

/// Evaluation recurses once per level; no sane rule comes near this.
const MAX_DEPTH: usize = 64;

/// A tree is nested too deeply to be evaluated on a small stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rules are nested more than {MAX_DEPTH} levels deep")]
pub(super) struct TooDeep;

/// All trees of a recipe.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    predicates: Vec<NumericPredicate>,
    categories: Vec<Key>,
    written: Vec<Written>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    op: Op,
    /// One past the last node of this subtree.
    end: usize,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    And,
    Or,
    Not,
    /// Index of the leaf.
    Leaf(usize),
}

#[derive(Debug, Clone)]
struct Leaf {
    test: Test,
    /// `type:name`: match, confidence and error are read here.
    key: Key,
    /// `type:name[:label]`: what a predicate reads.
    number: Key,
    match_on_error: bool,
    /// What it says beside whether it holds.
    role: Role,
}

#[derive(Debug, Clone)]
enum Test {
    /// The name was emitted.
    Emitted,
    /// The name or one of these categories was emitted.
    Domain(Range<usize>),
    /// The number satisfies the predicate of this index.
    Number(usize),
    /// A label without a predicate says nothing.
    Never,
}

/// A leaf as the document writes it.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// Its family; `None` never matches.
    pub(super) family: Option<Kind>,
    pub(super) kind: Box<str>,
    pub(super) name: Box<str>,
    pub(super) label: Box<str>,
    /// `type:name[:label]`.
    pub(super) rule: Box<str>,
}

/// A node without operator, conditions and type is the same as no rules at all.
pub(super) fn is_blank(tree: &RuleNode) -> bool {
    tree.kind.is_empty()
        && tree.conditions.is_empty()
        && tree.operator.trim().is_empty()
        && tree.name.is_empty()
}

impl Rules {
    /// Appends a tree and returns its root.
    pub(super) fn compile(
        &mut self,
        tree: &RuleNode,
        keys: &mut Keys,
        declared: &Declared,
    ) -> Result<usize, TooDeep> {
        let root = self.nodes.len();
        self.append(tree, keys, declared, MAX_DEPTH)?;
        Ok(root)
    }

    /// The confidence of a tree that holds, `None` of one that does not.
    pub(super) fn evaluate(&self, at: usize, report: &SignalReport) -> Option<f64> {
        match self.nodes[at].op {
            Op::Leaf(leaf) => self.read(leaf, report),
            Op::And => {
                let (mut sum, mut count) = (0.0, 0_u32);
                for child in self.children(at) {
                    sum += self.evaluate(child, report)?;
                    count += 1;
                }
                Some(if count == 0 {
                    0.0
                } else {
                    sum / f64::from(count)
                })
            }
            Op::Or => self
                .best_child(at, report)
                .map(|(_, confidence)| confidence),
            Op::Not => match self.only_child(at) {
                Some(child) if self.evaluate(child, report).is_none() => Some(1.0),
                _ => None,
            },
        }
    }

    /// Calls `found` with the leaves that make a matched node match.
    pub(super) fn visit_matched<'a>(
        &'a self,
        at: usize,
        report: &SignalReport,
        found: &mut dyn FnMut(&'a str),
    ) {
        match self.nodes[at].op {
            Op::Leaf(leaf) => found(&self.written[leaf].rule),
            Op::And => {
                for child in self.children(at) {
                    self.visit_matched(child, report, found);
                }
            }
            Op::Or => {
                if let Some((child, _)) = self.best_child(at, report) {
                    self.visit_matched(child, report, found);
                }
            }
            Op::Not => {}
        }
    }

    /// Families and names of a subtree's leaves, depth first.
    pub(super) fn leaves(&self, at: usize) -> impl Iterator<Item = (Kind, &str)> {
        self.nodes[at..self.nodes[at].end]
            .iter()
            .filter_map(|node| match node.op {
                Op::Leaf(leaf) => self.written[leaf]
                    .family
                    .map(|kind| (kind, &*self.written[leaf].name)),
                _ => None,
            })
    }

    /// What a node does.
    pub(super) fn op(&self, at: usize) -> Op {
        self.nodes[at].op
    }

    /// A leaf as written.
    pub(super) fn written(&self, leaf: usize) -> &Written {
        &self.written[leaf]
    }

    /// The roots of a node's children, in order.
    pub(super) fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.nodes[at].end;
        let first = Some(at + 1).filter(|&child| child < end);
        std::iter::successors(first, move |&child| {
            Some(self.nodes[child].end).filter(|&next| next < end)
        })
    }

    /// The only child of a node that has exactly one.
    pub(super) fn only_child(&self, at: usize) -> Option<usize> {
        let child = at + 1;
        let end = self.nodes[at].end;
        (child < end && self.nodes[child].end == end).then_some(child)
    }

    /// The matched child of the highest confidence, the first of equals.
    fn best_child(&self, at: usize, report: &SignalReport) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for child in self.children(at) {
            if let Some(confidence) = self.evaluate(child, report)
                && best.is_none_or(|(_, highest)| confidence > highest)
            {
                best = Some((child, confidence));
            }
        }
        best
    }

    fn read(&self, leaf: usize, report: &SignalReport) -> Option<f64> {
        let leaf = &self.leaves[leaf];
        let found = match &leaf.test {
            Test::Emitted => report
                .is_matched(leaf.key)
                .then(|| stored(report, leaf.key)),
            Test::Domain(categories) => std::iter::once(&leaf.key)
                .chain(&self.categories[categories.clone()])
                .any(|&key| report.is_matched(key))
                .then(|| stored(report, leaf.key)),
            Test::Number(predicate) => match report
                .value(leaf.number)
                .or_else(|| report.confidence(leaf.number))
            {
                // A number that is there settles the leaf, whatever failed beside it.
                Some(number) => return self.predicates[*predicate].holds(number).then_some(1.0),
                None => None,
            },
            Test::Never => return None,
        };
        found.or_else(|| (leaf.match_on_error && report.error(leaf.key).is_some()).then_some(1.0))
    }

    /// Whether a leaf holds (`None` if that is open), and bounds of its confidence where it does.
    pub(super) fn foresee_leaf(&self, leaf: usize, outlook: &Outlook<'_>) -> (Option<bool>, Span) {
        let leaf = &self.leaves[leaf];
        let failed = if leaf.match_on_error {
            outlook.failed(leaf.key)
        } else {
            Some(false)
        };
        let matched = |key: &Key| outlook.fact(*key).matched;
        let found = match &leaf.test {
            Test::Never => return (Some(false), Span::of(1.0)),
            Test::Number(predicate) => {
                let holds = self.predicates[*predicate].foresee(&outlook.fact(leaf.number), failed);
                return (holds, Span::of(1.0));
            }
            Test::Emitted => matched(&leaf.key),
            Test::Domain(categories) => {
                let categories = self.categories[categories.clone()].iter().map(matched);
                categories.fold(matched(&leaf.key), either)
            }
        };
        let own = outlook.fact(leaf.key).confidence.or(1.0);
        match (found, failed) {
            (Some(true), _) | (_, Some(false)) => (found, own),
            (Some(false), _) => (failed, Span::of(1.0)),
            (None, _) => (failed, own.join(Span::of(1.0))),
        }
    }

    /// Whether a leaf holds, where that does not depend on what is unknown: a number that is
    /// missing, a type without meaning.
    pub(super) fn leaf_certainly(&self, leaf: usize, outlook: &Outlook<'_>) -> Option<bool> {
        let leaf = &self.leaves[leaf];
        let matched = |key: &Key| outlook.fact(*key).matched;
        match &leaf.test {
            Test::Never => None,
            Test::Emitted => matched(&leaf.key),
            Test::Domain(categories) => {
                let categories = self.categories[categories.clone()].iter().map(matched);
                categories.fold(matched(&leaf.key), either)
            }
            Test::Number(predicate) => {
                let fact = outlook.fact(leaf.number);
                if fact.value.missing && fact.confidence.missing {
                    return None;
                }
                self.predicates[*predicate].foresee(&fact, Some(false))
            }
        }
    }

    /// What is found of a leaf. What failed is unknown where `keeps_unknown`, else what the leaf's
    /// and the module's policies say.
    pub(super) fn judge_leaf(
        &self,
        at: usize,
        report: &SignalReport,
        keeps_unknown: bool,
    ) -> Judged {
        let leaf = &self.leaves[at];
        let is_real = |key: Key| report.is_matched(key) && !report.is_assumed(key);
        let holds = match &leaf.test {
            Test::Never => false,
            Test::Emitted => is_real(leaf.key),
            Test::Domain(categories) => std::iter::once(&leaf.key)
                .chain(&self.categories[categories.clone()])
                .any(|&key| is_real(key)),
            Test::Number(predicate) => {
                let number = report.value(leaf.number);
                let number = number.or_else(|| report.confidence(leaf.number));
                let holds = number.is_some_and(|it| self.predicates[*predicate].holds(it));
                holds && !report.is_assumed(leaf.key)
            }
        };
        let evidence = u32::from(leaf.role != Role::Policy);
        let bare = |grade| Judged {
            grade,
            score: None,
            evidence,
        };
        if holds {
            let score = report.confidence(leaf.key).filter(|_| evidence > 0);
            return Judged {
                score,
                ..bare(Grade::Yes)
            };
        }
        if !report.is_failed(leaf.key) || matches!(leaf.test, Test::Never) {
            bare(Grade::No)
        } else if keeps_unknown {
            bare(Grade::Unknown)
        } else if self.read(at, report).is_some() {
            bare(Grade::AssumedYes)
        } else {
            bare(Grade::AssumedNo)
        }
    }

    /// What may still be found of a leaf.
    pub(super) fn foresee_judged(
        &self,
        at: usize,
        outlook: &Outlook<'_>,
        keeps_unknown: bool,
    ) -> Prospect {
        let leaf = &self.leaves[at];
        let real = |key: &Key| match outlook.is_assumed(*key) {
            true => Some(false),
            false => outlook.fact(*key).matched,
        };
        let found = match &leaf.test {
            Test::Never => Some(false),
            Test::Emitted => real(&leaf.key),
            Test::Domain(categories) => {
                let categories = self.categories[categories.clone()].iter().map(real);
                categories.fold(real(&leaf.key), either)
            }
            Test::Number(_) if outlook.is_assumed(leaf.key) => Some(false),
            Test::Number(predicate) => {
                let number = outlook.fact(leaf.number);
                let holds = self.predicates[*predicate].foresee(&number, Some(false));
                // While its rule is open, a failure may still stand for its match.
                holds.filter(|holds| !holds || outlook.failed(leaf.key) == Some(false))
            }
        };
        let failed = match leaf.test {
            Test::Never => Some(false),
            _ => outlook.failed(leaf.key),
        };
        let (low, high) = match (found, failed) {
            (Some(true), _) => (Grade::Yes, Grade::Yes),
            (Some(false), Some(false)) => (Grade::No, Grade::No),
            (Some(false), _) => {
                let (low, high) = match self.foresee_leaf(at, outlook).0 {
                    _ if keeps_unknown => (Grade::Unknown, Grade::Unknown),
                    Some(true) => (Grade::AssumedYes, Grade::AssumedYes),
                    Some(false) => (Grade::AssumedNo, Grade::AssumedNo),
                    None => (Grade::AssumedNo, Grade::AssumedYes),
                };
                (if failed.is_some() { low } else { Grade::No }, high)
            }
            (None, Some(true)) if keeps_unknown => (Grade::Unknown, Grade::Yes),
            (None, Some(true)) => (Grade::AssumedNo, Grade::Yes),
            (None, _) => (Grade::No, Grade::Yes),
        };
        let evidence = u32::from(leaf.role != Role::Policy);
        let mut score = Number::MISSING;
        if evidence > 0 && high == Grade::Yes {
            score = outlook.fact(leaf.key).confidence;
            score.missing |= low < Grade::Yes && failed != Some(false);
        }
        Prospect {
            low,
            high,
            score,
            evidence: (evidence, evidence),
        }
    }

    /// The kind of the scores that a tree can report; `None` if it reports none, or several, or one
    /// that compares with nothing.
    pub(super) fn score_kind(&self, at: usize) -> Option<ScoreKind> {
        let mut kinds = self.scored_leaves(at);
        let first = kinds.next()??;
        kinds.all(|kind| kind == Some(first)).then_some(first)
    }

    /// The kinds of the scores that the leaves of a subtree report, leaves below NOT excluded.
    fn scored_leaves(&self, at: usize) -> impl Iterator<Item = Option<ScoreKind>> {
        let mut below_not = at;
        (at..self.nodes[at].end).filter_map(move |index| {
            if index < below_not {
                return None;
            }
            match self.nodes[index].op {
                Op::Not => {
                    below_not = self.nodes[index].end;
                    None
                }
                Op::Leaf(leaf) => match self.leaves[leaf].role {
                    Role::Evidence(kind) => Some(kind),
                    Role::Policy => None,
                },
                Op::And | Op::Or => None,
            }
        })
    }

    /// The key whose failure is the leaf's.
    pub(super) fn failing_key(&self, leaf: usize) -> Key {
        self.leaves[leaf].key
    }

    /// Adds all that a leaf reads, and whether that fails.
    pub(super) fn need_judged_leaf(&self, leaf: usize, needs: &mut Needs) {
        self.need_leaf(leaf, needs);
        if !matches!(self.leaves[leaf].test, Test::Never) {
            needs.key(self.leaves[leaf].key);
        }
    }

    /// The keys that the leaves of a subtree test; a domain's categories stand behind its own key.
    pub(super) fn tested(&self, at: usize) -> impl Iterator<Item = Key> {
        self.nodes[at..self.nodes[at].end]
            .iter()
            .filter_map(|node| match node.op {
                Op::Leaf(leaf) => match &self.leaves[leaf].test {
                    Test::Never => None,
                    Test::Emitted | Test::Domain(_) => Some(self.leaves[leaf].key),
                    Test::Number(_) => Some(self.leaves[leaf].number),
                },
                _ => None,
            })
    }

    /// Adds all that a leaf reads.
    pub(super) fn need_leaf(&self, leaf: usize, needs: &mut Needs) {
        let family = self.written[leaf].family;
        let leaf = &self.leaves[leaf];
        match &leaf.test {
            Test::Never => return,
            Test::Emitted => needs.key(leaf.key),
            Test::Domain(categories) => {
                needs.key(leaf.key);
                self.categories[categories.clone()]
                    .iter()
                    .for_each(|&key| needs.key(key));
            }
            Test::Number(_) => needs.key(leaf.number),
        }
        if let Some(family) = family.filter(|_| leaf.match_on_error) {
            needs.failure(family);
        }
    }

    /// A leaf under this node tells the category.
    pub(super) fn has_category(&self, at: usize) -> bool {
        self.nodes[at..self.nodes[at].end]
            .iter()
            .any(|node| matches!(node.op, Op::Leaf(leaf) if category(&self.written[leaf].rule).is_some()))
    }

    fn append(
        &mut self,
        tree: &RuleNode,
        keys: &mut Keys,
        declared: &Declared,
        levels: usize,
    ) -> Result<(), TooDeep> {
        let levels = levels.checked_sub(1).ok_or(TooDeep)?;
        let at = self.nodes.len();
        let is_leaf = !tree.kind.is_empty();
        let op = if is_leaf {
            Op::Leaf(self.append_leaf(tree, keys, declared))
        } else {
            operator(&tree.operator)
        };
        self.nodes.push(Node { op, end: at + 1 });
        if !is_leaf {
            for child in &tree.conditions {
                self.append(child, keys, declared, levels)?;
            }
        }
        self.nodes[at].end = self.nodes.len();
        Ok(())
    }

    fn append_leaf(&mut self, tree: &RuleNode, keys: &mut Keys, declared: &Declared) -> usize {
        let family = Kind::parse(&tree.kind);
        let suffix = if tree.label.is_empty() {
            String::new()
        } else {
            format!(":{}", tree.label)
        };
        // A leaf of unknown type needs some key; `Test::Never` does not read it.
        let kind = family.unwrap_or(Kind::Projection);
        let key = keys.intern(kind, &tree.name);
        let number = keys.intern(kind, &format!("{}{suffix}", tree.name));
        let test = match (family, tree.predicate) {
            (None, _) | (Some(Kind::Classifier), None) => Test::Never,
            (Some(_), Some(predicate)) => {
                self.predicates.push(predicate);
                Test::Number(self.predicates.len() - 1)
            }
            (Some(Kind::Domain), None) => {
                let first = self.categories.len();
                let categories = declared.categories(&tree.name);
                self.categories.extend(
                    categories
                        .iter()
                        .map(|category| keys.intern(Kind::Domain, category)),
                );
                Test::Domain(first..self.categories.len())
            }
            (Some(_), None) => Test::Emitted,
        };
        let role = match (family, &test) {
            (Some(family), Test::Emitted | Test::Domain(_)) => family.family().role,
            _ => Role::Policy,
        };
        self.leaves.push(Leaf {
            role,
            test,
            key,
            number,
            match_on_error: tree.on_error.trim().eq_ignore_ascii_case("match"),
        });
        self.written.push(Written {
            family,
            kind: tree.kind.as_str().into(),
            name: tree.name.as_str().into(),
            label: tree.label.as_str().into(),
            rule: format!("{}:{}{suffix}", tree.kind, tree.name).into(),
        });
        self.leaves.len() - 1
    }
}

/// The category that a matched rule tells.
pub(super) fn category(rule: &str) -> Option<&str> {
    rule.strip_prefix("domain:")
}

/// Kleene's OR.
fn either(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

/// A match without a stored confidence counts 1.0; a stored 0 stays 0.
fn stored(report: &SignalReport, key: Key) -> f64 {
    report.confidence(key).unwrap_or(1.0)
}

/// Anything unknown, and nothing, is OR.
fn operator(text: &str) -> Op {
    let text = text.trim();
    if text.eq_ignore_ascii_case("AND") {
        Op::And
    } else if text.eq_ignore_ascii_case("NOT") {
        Op::Not
    } else {
        Op::Or
    }
}

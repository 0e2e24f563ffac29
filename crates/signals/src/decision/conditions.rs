//! Conditions that must not be missed: rule trees with three answers, true, false and unknown.
//!
//! A decision reads what is not known as not matched. A condition keeps it apart, in Kleene's
//! logic: a tree over an unknown fact is unknown unless the other facts settle it, and NOT of what
//! is unknown is unknown too. Callers take the safe side.

use super::rule::{self, Op, Rules};
use crate::declared::Declared;
use crate::report::outlook::{Needs, Outlook};
use crate::report::{Key, Keys};
use crate::rules::RuleNode;
use document::Problem;

/// Compiled trees, by index.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    rules: Rules,
    /// `None` always holds.
    roots: Vec<Option<usize>>,
}

impl Conditions {
    /// Compiles a tree and gives its index; every name that a leaf speaks of is interned. `path` is
    /// the tree's.
    ///
    /// # Errors
    /// The tree is nested too deeply.
    pub fn add(
        &mut self,
        path: &str,
        tree: Option<&RuleNode>,
        keys: &mut Keys,
        declared: &Declared,
    ) -> Result<usize, Problem> {
        let root = match tree.filter(|tree| !rule::is_blank(tree)) {
            Some(tree) => {
                let compiled = self.rules.compile(tree, keys, declared);
                Some(compiled.map_err(|deep| Problem::error(path, deep.to_string()))?)
            }
            None => None,
        };
        self.roots.push(root);
        Ok(self.roots.len() - 1)
    }

    /// Whether a tree holds; `None` where that depends on what is not known.
    #[must_use]
    pub fn holds(&self, index: usize, outlook: &Outlook<'_>) -> Option<bool> {
        match self.roots.get(index) {
            Some(Some(root)) => self.rules.certainly(*root, outlook),
            _ => Some(true),
        }
    }

    /// Adds the open facts on which it depends whether a tree holds.
    pub fn need(&self, index: usize, outlook: &Outlook<'_>, needs: &mut Needs) {
        if let Some(Some(root)) = self.roots.get(index) {
            self.rules.need_certainty(*root, outlook, needs);
        }
    }

    /// The keys that leaves of all trees test.
    pub fn tested(&self) -> impl Iterator<Item = Key> {
        let roots = self.roots.iter().copied().flatten();
        roots.flat_map(|root| self.rules.tested(root))
    }
}

impl Rules {
    fn certainly(&self, at: usize, outlook: &Outlook<'_>) -> Option<bool> {
        let mut children = self
            .children(at)
            .map(|child| self.certainly(child, outlook));
        match self.op(at) {
            Op::Leaf(leaf) => self.leaf_certainly(leaf, outlook),
            Op::And => children
                .try_fold(Some(true), |all, child| settle(all, child, false))
                .unwrap_or_else(|done| done),
            Op::Or => children
                .try_fold(Some(false), |any, child| settle(any, child, true))
                .unwrap_or_else(|done| done),
            // More or fewer children than one mean nothing.
            Op::Not => self
                .only_child(at)
                .and_then(|child| self.certainly(child, outlook))
                .map(|holds| !holds),
        }
    }

    fn need_certainty(&self, at: usize, outlook: &Outlook<'_>, needs: &mut Needs) {
        if self.certainly(at, outlook).is_some() {
            return;
        }
        match self.op(at) {
            Op::Leaf(leaf) => self.need_leaf(leaf, needs),
            _ => self
                .children(at)
                .for_each(|child| self.need_certainty(child, outlook, needs)),
        }
    }
}

/// One more child of AND (which `false` settles) or of OR (which `true` does).
fn settle(
    so_far: Option<bool>,
    child: Option<bool>,
    settling: bool,
) -> Result<Option<bool>, Option<bool>> {
    match child {
        Some(holds) if holds == settling => Err(child),
        Some(_) => Ok(so_far),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Kind, SignalReport};
    use crate::rules::NumericPredicate;

    fn leaf(rule: &str) -> RuleNode {
        let (kind, name) = rule.split_once(':').unwrap();
        RuleNode {
            kind: kind.into(),
            name: name.into(),
            ..RuleNode::default()
        }
    }

    fn node(operator: &str, rules: &[RuleNode]) -> RuleNode {
        RuleNode {
            operator: operator.into(),
            conditions: rules.to_vec(),
            ..RuleNode::default()
        }
    }

    /// `keyword:yes` matched, `keyword:no` did not, nothing is known of the family `pii`.
    #[track_caller]
    fn check(tree: &RuleNode, expected: Option<bool>) {
        let mut keys = Keys::default();
        let mut conditions = Conditions::default();
        let index = conditions
            .add("when", Some(tree), &mut keys, &Declared::default())
            .unwrap();
        let (yes, unknown) = (
            keys.intern(Kind::Keyword, "yes"),
            keys.intern(Kind::Pii, "unknown"),
        );
        let number = keys.intern(Kind::Embedding, "number");
        let mut report = SignalReport::new(&keys);
        report.emit(yes);
        report.set_value(number, 0.5);
        let mut outlook = Outlook::new(&keys, &report);
        outlook.await_family(Kind::Pii, &[unknown]);
        assert_eq!(conditions.holds(index, &outlook), expected, "{tree:?}");
        let mut needs = Needs::new(&keys);
        conditions.need(index, &outlook, &mut needs);
        assert_eq!(
            needs.has(unknown),
            expected.is_none() && format!("{tree:?}").contains("\"unknown\"")
        );
    }

    #[test]
    fn kleenes_logic() {
        let (yes, no, unknown) = (leaf("keyword:yes"), leaf("keyword:no"), leaf("pii:unknown"));
        for (leaf, expected) in [(&yes, Some(true)), (&no, Some(false)), (&unknown, None)] {
            check(leaf, expected);
            check(
                &node("NOT", std::slice::from_ref(leaf)),
                expected.map(|holds| !holds),
            );
            check(&node("AND", &[yes.clone(), leaf.clone()]), expected);
            check(&node("AND", &[leaf.clone(), no.clone()]), Some(false));
            check(&node("OR", &[leaf.clone(), no.clone()]), expected);
            check(&node("OR", &[yes.clone(), leaf.clone()]), Some(true));
        }
        let inner = node(
            "AND",
            &[yes.clone(), node("NOT", std::slice::from_ref(&unknown))],
        );
        check(&node("NOT", &[inner]), None);
        check(&node("NOT", &[node("AND", &[no, unknown])]), Some(true));
        check(&RuleNode::default(), Some(true));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let above = |rule: &str, bound| RuleNode {
            predicate: Some(NumericPredicate {
                gte: Some(bound),
                ..NumericPredicate::default()
            }),
            ..leaf(rule)
        };
        check(&above("embedding:number", 0.5), Some(true));
        check(&above("embedding:number", 0.6), Some(false));
        check(&above("embedding:missing", 0.6), None);
        check(&node("NOT", &[above("embedding:missing", 0.6)]), None);
        check(&leaf("astrology:aries"), None);
        check(
            &node("NOT", &[leaf("keyword:yes"), leaf("keyword:no")]),
            None,
        );
    }
}

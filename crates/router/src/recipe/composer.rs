//! Composers: conditions on other signals under which a complexity grade counts.
//!
//! Kept from the reference: a composer sees fewer families than a decision, compares types with
//! their case, takes a missing operator for AND, reads names exactly and no predicate; and a rule
//! whose name has a colon never survives its composer.

use signals::families::learned::complexity::ComplexityRule;
use signals::projection::step::Step;
use signals::report::{Key, Keys, Kind, SignalReport};
use signals::rules::{OnUnknown, RuleNode};

/// The composer of one complexity rule.
#[derive(Debug, Clone)]
pub(super) struct Composer {
    levels: [Key; 3],
    condition: Node,
    inputs: Vec<Key>,
    /// What it means that a failure leaves the condition open; `None` where a failure counts as no
    /// match.
    on_unknown: Option<OnUnknown>,
}

#[derive(Debug, Clone)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Matched(Key),
    Never,
}

/// Compiles the composers of a recipe.
pub(super) fn build(rules: &[ComplexityRule], keys: &mut Keys) -> Vec<Composer> {
    let composed = rules
        .iter()
        .filter_map(|rule| Some((rule, rule.composer.as_ref()?)));
    let built = composed.map(|(rule, tree)| {
        let level = |level| keys.intern(Kind::Complexity, &format!("{}:{level}", rule.name));
        let levels = ["hard", "medium", "easy"].map(level);
        let condition = if rule.name.contains(':') {
            Node::Never
        } else {
            Node::build(tree, keys)
        };
        let mut inputs = Vec::new();
        condition.collect(&mut inputs);
        Composer {
            levels,
            condition,
            inputs,
            on_unknown: tree.on_unknown(),
        }
    });
    built.collect()
}

impl Step for Composer {
    fn reads(&self) -> &[Key] {
        &self.inputs
    }

    fn writes(&self) -> &[Key] {
        &self.levels
    }

    fn may_refuse(&self) -> bool {
        self.on_unknown == Some(OnUnknown::FailRequest)
    }

    /// Takes the grade back where the condition does not hold. Its confidence stays, for
    /// predicates.
    fn apply(&self, _keys: &Keys, report: &mut SignalReport) {
        let graded = self.levels.iter().find(|&&level| report.is_matched(level));
        let Some(&graded) = graded else {
            return;
        };
        let holds = match self.condition.holds(report, self.on_unknown.is_some()) {
            Some(holds) => holds,
            None => {
                if self.may_refuse() {
                    report.refuse(graded);
                }
                self.on_unknown == Some(OnUnknown::Match)
            }
        };
        if holds {
            return;
        }
        for level in self
            .levels
            .into_iter()
            .filter(|&level| report.is_matched(level))
            .collect::<Vec<_>>()
        {
            let confidence = report.confidence(level);
            report.withdraw(level);
            if let Some(confidence) = confidence {
                report.set_confidence(level, confidence);
            }
        }
    }
}

impl Node {
    fn build(tree: &RuleNode, keys: &mut Keys) -> Self {
        if !tree.kind.is_empty() {
            let mut seen = Kind::ALL
                .into_iter()
                .filter(|kind| kind.family().is_composed);
            let family = seen.find(|kind| kind.as_str() == tree.kind);
            return family.map_or(Self::Never, |kind| {
                Self::Matched(keys.intern(kind, &tree.name))
            });
        }
        let mut children: Vec<Self> = tree
            .conditions
            .iter()
            .map(|child| Self::build(child, keys))
            .collect();
        let operator = tree.operator.trim();
        if operator.eq_ignore_ascii_case("OR") {
            Self::Or(children)
        } else if !operator.eq_ignore_ascii_case("NOT") {
            Self::And(children)
        } else if children.len() == 1 {
            children
                .pop()
                .map_or(Self::Never, |child| Self::Not(Box::new(child)))
        } else {
            Self::Never
        }
    }

    /// Whether the condition holds; `None` where what failed leaves that open, if `keeps_unknown`.
    fn holds(&self, report: &SignalReport, keeps_unknown: bool) -> Option<bool> {
        let children = match self {
            Self::And(children) | Self::Or(children) => children.iter(),
            Self::Not(child) => return child.holds(report, keeps_unknown).map(|holds| !holds),
            Self::Matched(key) if keeps_unknown && report.is_unknown(*key) => return None,
            Self::Matched(key) => return Some(report.is_matched(*key)),
            Self::Never => return Some(false),
        };
        let settling = matches!(self, Self::Or(_));
        let mut answer = Some(!settling);
        for child in children {
            match child.holds(report, keeps_unknown) {
                Some(holds) if holds == settling => return Some(settling),
                Some(_) => {}
                None => answer = None,
            }
        }
        answer
    }

    fn collect(&self, inputs: &mut Vec<Key>) {
        match self {
            Self::And(children) | Self::Or(children) => {
                children.iter().for_each(|child| child.collect(inputs))
            }
            Self::Not(child) => child.collect(inputs),
            Self::Matched(key) => inputs.push(*key),
            Self::Never => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(kind: &str, name: &str) -> RuleNode {
        RuleNode {
            kind: kind.into(),
            name: name.into(),
            ..RuleNode::default()
        }
    }

    fn node(operator: &str, conditions: &[RuleNode]) -> RuleNode {
        RuleNode {
            operator: operator.into(),
            conditions: conditions.to_vec(),
            ..RuleNode::default()
        }
    }

    /// Whether the grade of a rule survives when `keyword:k` and `authz:a` matched.
    #[track_caller]
    fn check(rule: &str, composer: RuleNode, survives: bool) {
        let rule = ComplexityRule {
            name: rule.into(),
            composer: Some(composer),
            ..ComplexityRule::default()
        };
        let mut keys = Keys::default();
        let composers = build(std::slice::from_ref(&rule), &mut keys);
        let graded = keys.intern(Kind::Complexity, &format!("{}:hard", rule.name));
        let found = [
            keys.intern(Kind::Keyword, "k"),
            keys.intern(Kind::Authz, "a"),
            graded,
        ];
        let mut report = SignalReport::new(&keys);
        found.into_iter().for_each(|key| report.emit(key));
        report.set_confidence(graded, 0.18);
        composers
            .iter()
            .for_each(|composer| composer.apply(&keys, &mut report));
        assert_eq!(report.is_matched(graded), survives, "{rule:?}");
        assert_eq!(report.confidence(graded), Some(0.18));
    }

    #[test]
    fn a_grade_survives_its_condition() {
        let (yes, no) = (leaf("keyword", "k"), leaf("keyword", "other"));
        check("c", yes.clone(), true);
        check("c", no.clone(), false);
        check("c", node("", &[yes.clone(), no.clone()]), false);
        check("c", node("OR", &[no.clone(), yes.clone()]), true);
        check("c", node("", &[]), true);
        check("c", node("OR", &[]), false);
        check("c", node("NOT", std::slice::from_ref(&no)), true);
        check("c", node("NOT", &[no.clone(), no.clone()]), false);
        check("c", node("NOT", &[]), false);
        check("c", leaf("Keyword", "k"), false);
        check("c", leaf("authz", "a"), false);
        check("c", node("NOT", &[leaf("authz", "a")]), true);
        check("a:b", yes, false);
    }

    /// What becomes of a grade, and of the request, where `keyword:down` failed and `keyword:k`
    /// matched.
    #[track_caller]
    fn check_failed(composer: RuleNode, on_unknown: &str, survives: bool, refuses: bool) {
        let rule = ComplexityRule {
            name: "c".into(),
            composer: Some(RuleNode {
                on_unknown: on_unknown.into(),
                ..composer
            }),
            ..ComplexityRule::default()
        };
        let mut keys = Keys::default();
        let composers = build(std::slice::from_ref(&rule), &mut keys);
        let graded = keys.intern(Kind::Complexity, "c:hard");
        let found = keys.intern(Kind::Keyword, "k");
        let down = keys.intern(Kind::Keyword, "down");
        let mut report = SignalReport::new(&keys);
        report.emit(graded);
        report.emit(found);
        report.fail(down, "down");
        composers[0].apply(&keys, &mut report);
        assert_eq!(report.is_matched(graded), survives, "{rule:?}");
        assert_eq!(report.unresolved(), refuses.then_some(graded), "{rule:?}");
    }

    #[test]
    fn a_failure_leaves_a_condition_open() {
        let (yes, down) = (leaf("keyword", "k"), leaf("keyword", "down"));
        check_failed(down.clone(), "", false, false);
        check_failed(node("NOT", std::slice::from_ref(&down)), "", true, false);
        for (policy, survives, refuses) in [
            ("no_match", false, false),
            ("match", true, false),
            ("fail_request", false, true),
        ] {
            check_failed(down.clone(), policy, survives, refuses);
            let not = node("NOT", std::slice::from_ref(&down));
            check_failed(not, policy, survives, refuses);
            let both = [yes.clone(), down.clone()];
            check_failed(node("AND", &both), policy, survives, refuses);
            check_failed(node("OR", &both), policy, true, false);
        }
    }
}

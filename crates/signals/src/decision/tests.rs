//! The worked examples of the decision engine, and the compiled evaluation against a naive one.

mod ranked;

// Named here, because the prelude of proptest has a trait of that name too.
use super::Strategy;
use super::*;
use crate::report::Key;
use crate::report::outlook::{self, Needs, Number, Outlook, Span};
use crate::rules::{NumericPredicate, RuleNode};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

fn leaf(rule: &str) -> RuleNode {
    let mut parts = rule.splitn(3, ':').map(str::to_owned);
    RuleNode {
        kind: parts.next().unwrap(),
        name: parts.next().unwrap(),
        label: parts.next().unwrap_or_default(),
        ..RuleNode::default()
    }
}

fn gte(rule: &str, bound: f64) -> RuleNode {
    RuleNode {
        predicate: Some(NumericPredicate {
            gte: Some(bound),
            ..NumericPredicate::default()
        }),
        ..leaf(rule)
    }
}

fn node<const N: usize>(operator: &str, conditions: [RuleNode; N]) -> RuleNode {
    RuleNode {
        operator: operator.into(),
        conditions: conditions.into(),
        ..RuleNode::default()
    }
}

/// A decision that owns its tree.
#[derive(Debug, Clone)]
struct Decision {
    name: String,
    priority: i64,
    tier: i64,
    rules: Option<RuleNode>,
}

impl Decision {
    fn spec(&self) -> DecisionSpec<'_> {
        DecisionSpec {
            name: &self.name,
            priority: self.priority,
            tier: self.tier,
            rules: self.rules.as_ref(),
        }
    }
}

fn decision(name: &str, priority: i64, tier: i64, rules: Option<RuleNode>) -> Decision {
    Decision {
        name: name.into(),
        priority,
        tier,
        rules,
    }
}

/// What was found about one `type:name[:label]`.
#[derive(Debug, Clone, Default)]
struct Fact {
    key: String,
    matched: bool,
    confidence: Option<f64>,
    value: Option<f64>,
    failed: bool,
    /// A failure counts as its match.
    assumed: bool,
}

fn found(key: &str, confidence: Option<f64>) -> Fact {
    Fact {
        key: key.into(),
        matched: true,
        confidence,
        ..Fact::default()
    }
}

fn report(keys: &mut Keys, facts: &[Fact]) -> SignalReport {
    let interned: Vec<Key> = facts
        .iter()
        .map(|fact| {
            let (kind, name) = fact.key.split_once(':').unwrap();
            keys.intern(Kind::parse(kind).unwrap(), name)
        })
        .collect();
    let mut report = SignalReport::new(keys);
    for (fact, key) in facts.iter().zip(interned) {
        if fact.matched {
            report.emit(key);
        }
        if let Some(confidence) = fact.confidence {
            report.set_confidence(key, confidence);
        }
        if let Some(value) = fact.value {
            report.set_value(key, value);
        }
        if fact.failed {
            report.fail(key, "classifier_timeout");
        }
        if fact.assumed {
            report.assume(key);
        }
    }
    report
}

fn declared() -> Declared {
    let mut declared = Declared::default();
    declared.push_domain("cs", &["computer science".into(), "a".into()]);
    declared.push_domain("b", &["c".into(), "d".into()]);
    declared
}

fn build(decisions: &[Decision], strategy: Strategy, facts: &[Fact]) -> (Decisions, SignalReport) {
    let mut keys = Keys::default();
    let decisions = Decisions::build(
        decisions.iter().map(Decision::spec),
        strategy,
        Ranking::V03,
        &mut keys,
        &declared(),
    )
    .unwrap();
    let report = report(&mut keys, facts);
    (decisions, report)
}

/// Confidence and matched rules of a tree; `None` where it does not hold.
#[track_caller]
fn check(rules: RuleNode, facts: &[Fact], expected: Option<(f64, &[&str])>) {
    let (decisions, report) = build(
        &[decision("d", 0, 0, Some(rules))],
        Strategy::Priority,
        facts,
    );
    let found = decisions.decide(&report).and_then(|won| won.confidence);
    assert_eq!(found.is_some(), expected.is_some());
    if let (Some(found), Some((confidence, rules))) = (found, expected) {
        assert!(
            (found - confidence).abs() < 1e-12,
            "{found} is not {confidence}"
        );
        assert_eq!(decisions.matched_rules(0, &report), rules);
    }
}

fn worked_tree() -> RuleNode {
    node(
        "OR",
        [
            node("AND", [leaf("embedding:code"), leaf("keyword:lang")]),
            node(
                "AND",
                [leaf("domain:cs"), node("NOT", [leaf("kb:private")])],
            ),
            leaf("projection:hard"),
        ],
    )
}

fn worked_facts() -> Vec<Fact> {
    vec![
        found("embedding:code", Some(0.72)),
        found("keyword:lang", None),
        found("domain:cs", Some(0.64)),
        found("projection:hard", Some(0.589)),
    ]
}

#[test]
fn worked_tree_takes_the_best_child_only() {
    check(
        worked_tree(),
        &worked_facts(),
        Some((0.86, &["embedding:code", "keyword:lang"])),
    );
    let (decisions, report) = build(
        &[decision("d", 0, 0, Some(worked_tree()))],
        Strategy::Priority,
        &worked_facts(),
    );
    assert_eq!(decisions.category(0, &report), None);
    let facts = &worked_facts()[1..];
    let (decisions, report) = build(
        &[decision("d", 0, 0, Some(worked_tree()))],
        Strategy::Priority,
        facts,
    );
    assert_eq!(decisions.category(0, &report), Some("cs"));
}

#[test]
fn operators() {
    let facts = [
        found("keyword:a", Some(0.6)),
        found("keyword:b", None),
        found("keyword:c", Some(0.2)),
    ];
    let nested = node("AND", [leaf("keyword:b"), leaf("keyword:c")]);
    check(
        node("AND", [leaf("keyword:a"), nested]),
        &facts,
        Some((0.6, &["keyword:a", "keyword:b", "keyword:c"])),
    );
    let guarded = node(
        "AND",
        [leaf("embedding:e"), node("NOT", [leaf("jailbreak:j")])],
    );
    check(
        guarded.clone(),
        &[found("embedding:e", Some(0.62))],
        Some((0.81, &["embedding:e"])),
    );
    check(
        guarded,
        &[found("embedding:e", Some(0.62)), found("jailbreak:j", None)],
        None,
    );
    check(node("AND", []), &[], Some((0.0, &[])));
    check(
        node("AND", [leaf("keyword:b"), node("AND", [])]),
        &facts,
        Some((0.5, &["keyword:b"])),
    );
    check(node("OR", []), &[], None);
    check(node("NOT", []), &[], None);
    check(
        node("NOT", [leaf("keyword:x"), leaf("keyword:y")]),
        &[],
        None,
    );
    check(
        node("XOR", [leaf("keyword:x"), leaf("keyword:c")]),
        &facts,
        Some((0.2, &["keyword:c"])),
    );
    check(
        node("", [leaf("keyword:c"), leaf("keyword:b")]),
        &facts,
        Some((1.0, &["keyword:b"])),
    );
    // Of equals the first.
    let tied = [found("keyword:x", Some(0.5)), found("keyword:y", Some(0.5))];
    check(
        node("OR", [leaf("keyword:y"), leaf("keyword:x")]),
        &tied,
        Some((0.5, &["keyword:y"])),
    );
}

#[test]
fn leaves() {
    // Type in any case, name as written; the rule's text is as written.
    check(
        leaf(" Keyword:a"),
        &[found("keyword:a", None)],
        Some((1.0, &[" Keyword:a"])),
    );
    check(leaf("keyword:A"), &[found("keyword:a", None)], None);
    // A stored 0 stays 0, an absent confidence counts 1.
    check(
        leaf("preference:p"),
        &[found("preference:p", Some(0.0))],
        Some((0.0, &["preference:p"])),
    );
    // Unknown types never match, so their negation does.
    check(leaf("astrology:aries"), &[], None);
    check(
        node("NOT", [leaf("astrology:aries")]),
        &[],
        Some((1.0, &[])),
    );
    // A classifier never matches without a predicate.
    check(
        leaf("classifier:c:yes"),
        &[
            found("classifier:c:yes", Some(0.9)),
            found("classifier:c", None),
        ],
        None,
    );
    // A metadata rule does.
    check(
        leaf("metadata:m"),
        &[found("metadata:m", Some(1.0))],
        Some((1.0, &["metadata:m"])),
    );
}

#[test]
fn a_domain_leaf_also_matches_its_categories_at_full_confidence() {
    check(
        leaf("domain:cs"),
        &[found("domain:cs", Some(0.6))],
        Some((0.6, &["domain:cs"])),
    );
    check(
        leaf("domain:cs"),
        &[found("domain:computer science", Some(0.6))],
        Some((1.0, &["domain:cs"])),
    );
    check(
        leaf("domain:cs"),
        &[found("domain:Computer Science", Some(0.6))],
        None,
    );
    check(
        leaf("domain:law"),
        &[found("domain:law", Some(0.3))],
        Some((0.3, &["domain:law"])),
    );
}

#[test]
fn predicates_read_numbers_without_a_match() {
    let number = |key: &str, value, confidence| Fact {
        key: key.into(),
        value,
        confidence,
        ..Fact::default()
    };
    let code = [number("embedding:code", Some(0.45), None)];
    check(
        gte("embedding:code", 0.4),
        &code,
        Some((1.0, &["embedding:code"])),
    );
    check(leaf("embedding:code"), &code, None);
    let label = [number("classifier:c:yes", Some(0.9), None)];
    check(
        gte("classifier:c:yes", 0.5),
        &label,
        Some((1.0, &["classifier:c:yes"])),
    );
    check(gte("classifier:c:no", 0.0), &label, None);
    // The value comes first, then the confidence, then nothing.
    check(
        gte("embedding:e", 0.5),
        &[number("embedding:e", Some(0.4), Some(0.9))],
        None,
    );
    check(
        gte("projection:p", 0.5),
        &[number("projection:p", None, Some(0.5))],
        Some((1.0, &["projection:p"])),
    );
    check(gte("keyword:k", 0.0), &[found("keyword:k", None)], None);
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        check(
            gte("embedding:e", -1.0),
            &[number("embedding:e", Some(odd), Some(0.9))],
            None,
        );
    }
    // Bounds are strict where they say so.
    for (value, holds) in [(1.0, false), (1.5, true), (2.0, false)] {
        let rule = RuleNode {
            predicate: Some(NumericPredicate {
                gt: Some(1.0),
                lt: Some(2.0),
                ..NumericPredicate::default()
            }),
            ..leaf("structure:s")
        };
        let facts = [number("structure:s", Some(value), None)];
        check(rule, &facts, holds.then_some((1.0, &["structure:s"])));
    }
}

#[test]
fn a_recorded_error_matches_where_the_rule_asks_for_it() {
    let on_error = |rule: RuleNode, policy: &str| RuleNode {
        on_error: policy.into(),
        ..rule
    };
    let failed = Fact {
        key: "classifier:c".into(),
        failed: true,
        ..Fact::default()
    };
    let expected: Option<(f64, &[&str])> = Some((1.0, &["classifier:c:yes"]));
    check(
        on_error(gte("classifier:c:yes", 0.5), "match"),
        std::slice::from_ref(&failed),
        expected,
    );
    check(
        on_error(gte("classifier:c:yes", 0.5), "no_match"),
        std::slice::from_ref(&failed),
        None,
    );
    check(
        on_error(leaf("classifier:c:yes"), "match"),
        std::slice::from_ref(&failed),
        None,
    );
    check(on_error(gte("classifier:c:yes", 0.5), "match"), &[], None);
    let low = Fact {
        key: "classifier:c:yes".into(),
        value: Some(0.1),
        ..Fact::default()
    };
    check(
        on_error(gte("classifier:c:yes", 0.5), "match"),
        &[failed, low],
        None,
    );
}

#[test]
fn winners() {
    #[track_caller]
    fn check(strategy: &str, decisions: &[(&str, i64, i64, Option<f64>)], expected: &str) {
        let facts: Vec<Fact> = decisions
            .iter()
            .filter_map(|(name, .., confidence)| {
                Some(found(&format!("keyword:{name}"), Some((*confidence)?)))
            })
            .collect();
        let decisions: Vec<Decision> = decisions
            .iter()
            .map(|(name, priority, tier, confidence)| {
                decision(
                    name,
                    *priority,
                    *tier,
                    confidence.map(|_| leaf(&format!("keyword:{name}"))),
                )
            })
            .collect();
        let (decisions, report) = build(&decisions, Strategy::parse(strategy), &facts);
        let won = decisions.decide(&report).unwrap();
        assert_eq!(decisions.name(won.index), expected);
    }
    // A decision without a confidence here has no rules: it always matches, with 0.
    let pair = [("A", 100, 0, Some(0.55)), ("B", 90, 0, Some(0.99))];
    check("priority", &pair, "A");
    check("", &pair, "A");
    check("anything", &pair, "A");
    check("confidence", &pair, "B");
    let tiers = [
        ("A", 0, 2, Some(1.0)),
        ("B", 0, 1, Some(0.4)),
        ("F", 0, 0, None),
    ];
    check("confidence", &tiers, "F");
    check("priority", &tiers[..2], "B");
    check(
        "priority",
        &[("A", 9, 1, Some(0.4)), ("B", 1, 1, Some(0.5))],
        "B",
    );
    check(
        "priority",
        &[("F", 0, 0, None), ("A", 0, 0, Some(0.1))],
        "A",
    );
    check(
        "priority",
        &[("F", 0, 0, None), ("A", 0, 0, Some(0.0))],
        "A",
    );
    check(
        "priority",
        &[("B", 0, 0, Some(0.5)), ("A", 0, 0, Some(0.5))],
        "A",
    );
    check(
        "priority",
        &[("F", 5, 0, None), ("A", 0, 0, Some(1.0))],
        "F",
    );
    check(
        "priority",
        &[("A", 0, -1, Some(0.1)), ("B", 5, 0, Some(0.9))],
        "B",
    );
}

#[test]
fn a_tier_counts_only_if_its_decision_matched() {
    let decisions = [
        decision("tiered", 0, 1, Some(leaf("keyword:absent"))),
        decision("low", 1, 0, Some(leaf("keyword:low"))),
        decision("high", 2, 0, Some(leaf("keyword:high"))),
    ];
    let facts = [
        found("keyword:low", Some(0.9)),
        found("keyword:high", Some(0.1)),
    ];
    let (decisions, report) = build(&decisions, Strategy::Priority, &facts);
    assert_eq!(decisions.decide(&report).unwrap().index, 2);
    assert_eq!(
        decisions
            .decide_among(&report, |index| index != 2)
            .unwrap()
            .index,
        1
    );
    assert_eq!(decisions.decide_among(&report, |index| index == 0), None);
}

#[test]
fn traces_show_what_was_evaluated() {
    let tree = node(
        "AND",
        [
            leaf("keyword:lang"),
            node("NOT", [leaf("embedding:code")]),
            leaf("keyword:never_reached"),
        ],
    );
    let decisions = [
        decision("guarded", 0, 0, Some(tree)),
        decision("negated", 0, 0, Some(node("NOT", [leaf("embedding:code")]))),
        decision("tree", 0, 0, Some(worked_tree())),
        decision("odd", 0, 0, Some(node("not", []))),
        decision("labelled", 0, 0, Some(gte("classifier:c:yes", 0.5))),
        decision("fallback", 0, 0, Some(RuleNode::default())),
    ];
    let (decisions, report) = build(&decisions, Strategy::Priority, &worked_facts());
    insta::assert_json_snapshot!(decisions.trace(&report));
}

#[test]
fn builds_report_every_problem() {
    let mut deep = leaf("keyword:a");
    for _ in 0..64 {
        deep = node("NOT", [deep]);
    }
    let decisions = [
        decision("twice", 0, 0, None),
        decision("twice", 0, 0, Some(deep)),
    ];
    let mut keys = Keys::default();
    let problems = Decisions::build(
        decisions.iter().map(Decision::spec),
        Strategy::Priority,
        Ranking::V03,
        &mut keys,
        &declared(),
    )
    .unwrap_err();
    let paths: Vec<&str> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(paths, ["decisions[1].rules"]);
}

#[test]
fn leaves_are_listed_depth_first() {
    let (decisions, _) = build(
        &[decision("d", 0, 0, Some(worked_tree()))],
        Strategy::Priority,
        &[],
    );
    let leaves: Vec<&str> = decisions.leaves(0).map(|(_, name)| name).collect();
    assert_eq!(leaves, ["code", "lang", "cs", "private", "hard"]);
    assert_eq!(decisions.leaves(0).next(), Some((Kind::Embedding, "code")));
}

/// The table of the semantics, read literally.
mod naive {
    use super::*;

    pub(super) struct Verdict {
        pub(super) matched: bool,
        pub(super) confidence: f64,
        pub(super) rules: Vec<String>,
    }

    fn no() -> Verdict {
        Verdict {
            matched: false,
            confidence: 0.0,
            rules: Vec::new(),
        }
    }

    pub(super) fn evaluate(tree: Option<&RuleNode>, facts: &[Fact]) -> Verdict {
        match tree {
            None => Verdict {
                matched: true,
                ..no()
            },
            Some(tree) if tree.kind.is_empty() => operator(tree, facts),
            Some(tree) => leaf(tree, facts),
        }
    }

    fn operator(tree: &RuleNode, facts: &[Fact]) -> Verdict {
        let mut children: Vec<Verdict> = tree
            .conditions
            .iter()
            .map(|child| evaluate(Some(child), facts))
            .collect();
        match tree.operator.as_str() {
            "AND" if children.iter().all(|child| child.matched) => Verdict {
                matched: true,
                confidence: match children.len() {
                    0 => 0.0,
                    count => {
                        children.iter().map(|child| child.confidence).sum::<f64>() / count as f64
                    }
                },
                rules: children.into_iter().flat_map(|child| child.rules).collect(),
            },
            "AND" => no(),
            "NOT" if children.len() == 1 && !children[0].matched => Verdict {
                matched: true,
                confidence: 1.0,
                rules: Vec::new(),
            },
            "NOT" => no(),
            _ => {
                children.retain(|child| child.matched);
                let best = children
                    .iter()
                    .map(|child| child.confidence)
                    .fold(f64::MIN, f64::max);
                children
                    .into_iter()
                    .find(|child| child.confidence == best)
                    .unwrap_or_else(no)
            }
        }
    }

    fn leaf(tree: &RuleNode, facts: &[Fact]) -> Verdict {
        let kind = tree.kind.trim().to_lowercase();
        let own = format!("{kind}:{}", tree.name);
        let fact = |key: &str| {
            facts
                .iter()
                .find(|fact| fact.key == key)
                .cloned()
                .unwrap_or_default()
        };
        let mut rule = format!("{}:{}", tree.kind, tree.name);
        let mut labelled = own.clone();
        if !tree.label.is_empty() {
            rule = format!("{rule}:{}", tree.label);
            labelled = format!("{own}:{}", tree.label);
        }
        let yes = |confidence| Verdict {
            matched: true,
            confidence,
            rules: vec![rule.clone()],
        };
        let failed = fact(&own).failed && tree.on_error == "match";
        if kind == "bogus" {
            return no();
        }
        if let Some(predicate) = &tree.predicate {
            let labelled = fact(&labelled);
            return match labelled.value.or(labelled.confidence) {
                Some(number) if number.is_finite() && predicate.holds(number) => yes(1.0),
                None if failed => yes(1.0),
                _ => no(),
            };
        }
        if kind == "classifier" {
            return no();
        }
        let mut names = vec![own.clone()];
        if kind == "domain" {
            names.extend(
                declared()
                    .categories(&tree.name)
                    .iter()
                    .map(|name| format!("domain:{name}")),
            );
        }
        if names.iter().any(|name| fact(name).matched) {
            return yes(fact(&own).confidence.unwrap_or(1.0));
        }
        if failed { yes(1.0) } else { no() }
    }
}

fn number() -> impl Generator<Value = f64> {
    prop_oneof![
        4 => (0_i32..=4).prop_map(|quarter| f64::from(quarter) / 4.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => -2.0..2.0,
    ]
}

fn tree() -> impl Generator<Value = RuleNode> {
    let bounds = || prop::option::of((0_i32..=4).prop_map(|quarter| f64::from(quarter) / 4.0));
    let predicate = (bounds(), bounds(), bounds(), bounds());
    let leaf = (
        prop::sample::select(vec![
            "keyword",
            " Domain",
            "domain",
            "embedding",
            "classifier",
            "bogus",
        ]),
        prop::sample::select(vec!["a", "b", "c", "cs"]),
        prop::sample::select(vec!["", "", "x"]),
        prop::option::of(predicate),
        prop::sample::select(vec!["", "match"]),
    );
    let leaf = leaf.prop_map(|(kind, name, label, predicate, on_error)| RuleNode {
        kind: kind.into(),
        name: name.into(),
        label: if kind == "classifier" {
            label.into()
        } else {
            String::new()
        },
        predicate: predicate.map(|(gt, gte, lt, lte)| NumericPredicate { gt, gte, lt, lte }),
        on_error: on_error.into(),
        ..RuleNode::default()
    });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let operator = prop::sample::select(vec!["AND", "OR", "NOT", "", "NAND"]);
        (operator, prop::collection::vec(inner, 0..4)).prop_map(|(operator, conditions)| RuleNode {
            operator: operator.into(),
            conditions,
            ..RuleNode::default()
        })
    })
}

/// A tree that is no leaf is never blank here: without operator and children it would be no rules
/// at all.
fn rules() -> impl Generator<Value = Option<RuleNode>> {
    prop::option::weighted(0.9, tree()).prop_map(|tree| tree.filter(|tree| !rule::is_blank(tree)))
}

fn facts() -> impl Generator<Value = Vec<Fact>> {
    let names: Vec<String> = ["keyword", "domain", "embedding", "classifier"]
        .iter()
        .flat_map(|kind| {
            ["a", "b", "c", "d", "cs", "a:x", "b:x"].map(|name| format!("{kind}:{name}"))
        })
        .collect();
    let fact = (
        any::<bool>(),
        prop::option::of(finite()),
        prop::option::of(number()),
        any::<bool>(),
    );
    prop::collection::vec(fact, names.len()).prop_map(move |facts| {
        let facts = names.iter().zip(facts);
        facts
            .map(|(key, (matched, confidence, value, failed))| Fact {
                key: key.clone(),
                matched,
                confidence,
                value,
                failed,
                assumed: false,
            })
            .collect()
    })
}

/// Confidences of matches are finite; a few values only, so that ties occur.
fn finite() -> impl Generator<Value = f64> {
    (-1_i32..=4).prop_map(|quarter| f64::from(quarter) / 4.0)
}

fn contest() -> impl Generator<Value = Vec<Decision>> {
    let one = (0_i64..3, prop_oneof![3 => Just(0), 1 => -1_i64..3], rules());
    prop::collection::vec(one, 1..6).prop_map(|decisions| {
        let decisions = decisions.into_iter().enumerate();
        decisions
            .map(|(index, (priority, tier, rules))| {
                decision(&format!("d{}", 9 - index), priority, tier, rules)
            })
            .collect()
    })
}

/// Sorts all matches as the semantics say and takes the first.
fn naive_winner(
    decisions: &[Decision],
    by_confidence: bool,
    facts: &[Fact],
) -> Option<(usize, f64)> {
    let mut matched: Vec<(usize, &Decision, f64)> = decisions
        .iter()
        .enumerate()
        .map(|(index, decision)| {
            (
                index,
                decision,
                naive::evaluate(decision.rules.as_ref(), facts),
            )
        })
        .filter(|(.., verdict)| verdict.matched)
        .map(|(index, decision, verdict)| (index, decision, verdict.confidence))
        .collect();
    let tiered = matched.iter().any(|(_, decision, _)| decision.tier > 0);
    matched.sort_by(|(_, left, left_confidence), (_, right, right_confidence)| {
        let tier = left.tier.cmp(&right.tier);
        let confidence = right_confidence.partial_cmp(left_confidence).unwrap();
        let priority = right.priority.cmp(&left.priority);
        let name = left.name.cmp(&right.name);
        match (tiered, by_confidence) {
            (true, _) => tier.then(confidence).then(priority).then(name),
            (false, true) => confidence.then(priority).then(name),
            (false, false) => priority.then(confidence).then(name),
        }
    });
    matched
        .first()
        .map(|(index, _, confidence)| (*index, *confidence))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn compiled_and_naive_evaluation_agree(decisions in contest(), facts in facts(), by_confidence: bool) {
        let strategy = if by_confidence { Strategy::Confidence } else { Strategy::Priority };
        let (compiled, report) = build(&decisions, strategy, &facts);
        let traces = compiled.trace(&report);
        for (index, decision) in decisions.iter().enumerate() {
            let expected = naive::evaluate(decision.rules.as_ref(), &facts);
            let alone = compiled.decide_among(&report, |other| other == index);
            prop_assert_eq!(alone.and_then(|won| won.confidence), expected.matched.then_some(expected.confidence));
            prop_assert_eq!(compiled.matched_rules(index, &report), expected.rules);
            prop_assert_eq!(traces[index].matched, expected.matched);
            if expected.matched {
                prop_assert_eq!(traces[index].confidence, expected.confidence);
            }
        }
        let won = compiled.decide(&report).map(|won| (won.index, won.confidence));
        let expected = naive_winner(&decisions, by_confidence, &facts);
        prop_assert_eq!(won, expected.map(|(index, confidence)| (index, Some(confidence))));
    }

    /// Facts that are not needed do not change winner, confidence and category, however they turn
    /// out.
    #[test]
    fn the_outcome_is_a_function_of_what_it_needs(
        decisions in contest(),
        facts in facts(),
        others in facts(),
        unknown in prop::collection::vec(prop::bool::weighted(0.4), 28),
        by_confidence: bool,
    ) {
        let strategy = if by_confidence { Strategy::Confidence } else { Strategy::Priority };
        let mut keys = Keys::default();
        let compiled = Decisions::build(decisions.iter().map(Decision::spec), strategy, Ranking::V03, &mut keys, &declared()).unwrap();
        let now = report(&mut keys, &facts);
        let before = facts.iter().zip(&unknown).map(|(fact, unknown)| {
            if *unknown { Fact { key: fact.key.clone(), ..Fact::default() } } else { fact.clone() }
        });
        let before = report(&mut keys, &before.collect::<Vec<_>>());
        let mut outlook = Outlook::new(&keys, &before);
        let any = Number { missing: true, span: Some(Span::ANY) };
        let key = |fact: &Fact| {
            let (kind, name) = fact.key.split_once(':').unwrap();
            keys.get(Kind::parse(kind).unwrap(), name).unwrap()
        };
        for (fact, _) in facts.iter().zip(&unknown).filter(|(_, unknown)| **unknown) {
            outlook.await_family(keys.kind(key(fact)), &[]);
            outlook.set(key(fact), outlook::Fact { matched: None, confidence: any, value: any });
        }
        let mut needs = Needs::new(&keys);
        compiled.need(&outlook, |_| true, &mut needs);
        let turned_out = facts.iter().zip(&others).zip(&unknown).map(|((fact, other), unknown)| {
            let kept = !unknown || needs.has(key(fact));
            let failed = if !unknown || needs.touch(keys.kind(key(fact)), &[]) { fact.failed } else { other.failed };
            Fact { failed, ..if kept { fact.clone() } else { other.clone() } }
        });
        let later = report(&mut keys.clone(), &turned_out.collect::<Vec<_>>());
        let outcome = |report: &SignalReport| {
            let won = compiled.decide(report)?;
            Some((won.index, won.confidence.map(f64::to_bits), compiled.category(won.index, report).map(str::to_owned)))
        };
        prop_assert_eq!(outcome(&now), outcome(&later));
    }
}

//! The ranking of v0.4: its worked examples, and the compiled evaluation against a naive one.

use super::*;
use crate::rules::OnUnknown;

fn compiled(
    decisions: &[Decision],
    strategy: Strategy,
    facts: &[Fact],
) -> (Decisions, SignalReport) {
    let mut keys = Keys::default();
    let specs = decisions.iter().map(Decision::spec);
    let decisions =
        Decisions::build(specs, strategy, Ranking::V04, &mut keys, &declared()).unwrap();
    let report = report(&mut keys, facts);
    (decisions, report)
}

fn down(key: &str) -> Fact {
    Fact {
        key: key.into(),
        failed: true,
        ..Fact::default()
    }
}

fn assumed(key: &str) -> Fact {
    Fact {
        confidence: Some(1.0),
        assumed: true,
        ..down(key)
    }
}

fn unknown(policy: &str, rules: RuleNode) -> RuleNode {
    RuleNode {
        on_unknown: policy.into(),
        ..rules
    }
}

/// The winner under each strategy, with the confidence that is reported and what decided.
#[track_caller]
fn check_winner(
    decisions: &[Decision],
    facts: &[Fact],
    by_priority: (&str, Option<f64>, DecidedBy),
    by_confidence: (&str, Option<f64>, DecidedBy),
) {
    for (strategy, expected) in [
        (Strategy::Priority, by_priority),
        (Strategy::Confidence, by_confidence),
    ] {
        let (compiled, report) = compiled(decisions, strategy, facts);
        let won = compiled.decide(&report).unwrap();
        let why = compiled.explain(&report).unwrap();
        assert_eq!(
            (compiled.name(won.index), won.confidence, why.decided_by),
            expected,
            "{strategy:?}: {why:?}"
        );
        assert_eq!(why.winner, expected.0);
    }
}

#[test]
fn winners() {
    use DecidedBy::{CatchAll, Confidence, Name, OnlyCandidate, Priority, Tier};
    let rule = |name: &str, priority, rule: &str| decision(name, priority, 0, Some(leaf(rule)));
    let probability = [
        rule("law", 10, "domain:law"),
        rule("health", 10, "domain:health"),
    ];
    let facts = [
        found("domain:law", Some(0.86)),
        found("domain:health", Some(0.95)),
    ];
    let health = ("health", Some(0.95), Confidence);
    check_winner(&probability, &facts, health, health);

    let domain = |score| {
        [
            found("domain:d", Some(score)),
            found("embedding:e", Some(0.99)),
        ]
    };
    let mixed = [
        rule("domain", 180, "domain:d"),
        rule("embedding", 60, "embedding:e"),
    ];
    let winner = ("domain", Some(0.7), Priority);
    check_winner(&mixed, &domain(0.7), winner, winner);
    let kinds = [rule("kb", 10, "kb:k"), rule("domain", 100, "domain:d")];
    let facts = [found("kb:k", Some(0.95)), found("domain:d", Some(0.8))];
    let winner = ("domain", Some(0.8), Priority);
    check_winner(&kinds, &facts, winner, winner);
    let nameless = [
        rule("hard", 10, "complexity:c:hard"),
        rule("domain", 20, "domain:d"),
    ];
    let nameless = nameless.map(|it| match it.name.as_str() {
        "hard" => Decision {
            rules: Some(RuleNode {
                kind: "complexity".into(),
                name: "c:hard".into(),
                ..RuleNode::default()
            }),
            ..it
        },
        _ => it,
    });
    let facts = [
        found("complexity:c:hard", Some(0.95)),
        found("domain:d", Some(0.8)),
    ];
    check_winner(&nameless, &facts, winner, winner);

    let words = [rule("k", 5, "keyword:k"), rule("e", 5, "embedding:e")];
    let facts = [found("keyword:k", None), found("embedding:e", Some(0.9))];
    let winner = ("e", Some(0.9), Name);
    check_winner(&words, &facts, winner, winner);

    let all = [
        decision("all", 500, 0, None),
        rule("domain", 1, "domain:d"),
        decision("empty", 400, 0, Some(node("AND", []))),
    ];
    let winner = ("domain", Some(0.55), CatchAll);
    check_winner(&all, &[found("domain:d", Some(0.55))], winner, winner);
    let winner = ("all", None, Priority);
    check_winner(&all, &[], winner, winner);
    let alone = [decision("all", 500, 0, None)];
    let winner = ("all", None, OnlyCandidate);
    check_winner(&alone, &[], winner, winner);

    let both = node("AND", [leaf("keyword:k"), leaf("domain:d")]);
    let gated = [
        decision("gated", 10, 0, Some(both)),
        rule("plain", 10, "domain:p"),
    ];
    let facts = [
        found("keyword:k", None),
        found("domain:d", Some(0.9)),
        found("domain:p", Some(0.8)),
    ];
    let winner = ("gated", Some(0.9), Confidence);
    check_winner(&gated, &facts, winner, winner);

    let two = node("AND", [leaf("domain:d"), leaf("embedding:e")]);
    let several = [
        decision("two", 100, 0, Some(two)),
        rule("one", 101, "domain:p"),
    ];
    let facts = [
        found("domain:d", Some(0.9)),
        found("embedding:e", Some(0.9)),
        found("domain:p", Some(0.6)),
    ];
    let winner = ("one", Some(0.6), Priority);
    check_winner(&several, &facts, winner, winner);

    let tiered = [
        decision("talk", 250, 1, Some(leaf("conversation:c"))),
        decision("band", 900, 1, Some(leaf("projection:p"))),
    ];
    let facts = [
        found("conversation:c", Some(1.0)),
        found("projection:p", Some(0.6)),
    ];
    let winner = ("band", None, Priority);
    check_winner(&tiered, &facts, winner, winner);
    let tiers = [
        decision("low", 1, 1, Some(leaf("keyword:k"))),
        decision("high", 900, 2, Some(leaf("keyword:k"))),
    ];
    let winner = ("low", None, Tier);
    check_winner(&tiers, &[found("keyword:k", None)], winner, winner);

    let guarded = [
        rule("jailbreak", 900, "jailbreak:j"),
        rule("domain", 1, "domain:d"),
    ];
    let facts = [assumed("jailbreak:j"), found("domain:d", Some(0.6))];
    let winner = ("jailbreak", None, Priority);
    check_winner(&guarded, &facts, winner, winner);

    let rescued = RuleNode {
        on_error: "match".into(),
        ..gte("classifier:c:yes", 0.5)
    };
    let either = node("OR", [rescued, leaf("domain:d")]);
    let branch = [decision("either", 1, 0, Some(either))];
    let facts = [down("classifier:c"), found("domain:d", Some(0.6))];
    let winner = ("either", Some(0.6), OnlyCandidate);
    check_winner(&branch, &facts, winner, winner);
    let winner = ("either", None, OnlyCandidate);
    check_winner(&branch, &facts[..1], winner, winner);
}

/// Whether a decision matches, by what, and whether it is left open.
#[track_caller]
fn check_unknown(rules: RuleNode, facts: &[Fact], expected: Option<&[&str]>, is_open: bool) {
    for ranking in [Ranking::V03, Ranking::V04] {
        let decisions = [decision("d", 0, 0, Some(rules.clone()))];
        let mut keys = Keys::default();
        let specs = decisions.iter().map(Decision::spec);
        let strategy = Strategy::Priority;
        let compiled = Decisions::build(specs, strategy, ranking, &mut keys, &declared()).unwrap();
        let report = report(&mut keys, facts);
        let found = compiled.decide(&report);
        let matched = compiled.matched_rules(0, &report);
        assert_eq!(
            found.map(|_| matched),
            expected.map(<[&str]>::to_vec),
            "{ranking:?}"
        );
        let open = compiled.unknown(&Outlook::new(&keys, &report), |_| true);
        assert_eq!(!open.is_empty(), is_open, "{ranking:?}");
    }
}

#[test]
fn failures_leave_decisions_open() {
    let guarded = || node("AND", [leaf("jailbreak:j"), leaf("keyword:k")]);
    let word = found("keyword:k", None);
    for (policy, expected) in [
        ("no_match", None),
        ("fail_request", None),
        ("match", Some(&["on_unknown:match"][..])),
    ] {
        // What holds or not without the failure is not open.
        let and = unknown(policy, guarded());
        check_unknown(and.clone(), &[down("jailbreak:j")], None, false);
        let facts = [down("jailbreak:j"), word.clone()];
        check_unknown(and.clone(), &facts, expected, true);
        // A failure that counts as a match is no match here.
        let facts = [assumed("jailbreak:j"), word.clone()];
        check_unknown(and, &facts, expected, true);
        let or = node("OR", [leaf("jailbreak:j"), leaf("keyword:k")]);
        let facts = [down("jailbreak:j"), word.clone()];
        check_unknown(
            unknown(policy, or.clone()),
            &facts,
            Some(&["keyword:k"]),
            false,
        );
        check_unknown(unknown(policy, or), &facts[..1], expected, true);
        let not = node("NOT", [leaf("jailbreak:j")]);
        check_unknown(unknown(policy, not.clone()), &facts, expected, true);
        check_unknown(unknown(policy, not), &[], Some(&[]), false);
        // What failed and was found all the same is known.
        let facts = [Fact {
            failed: true,
            ..found("jailbreak:j", Some(0.9))
        }];
        let rules = unknown(policy, leaf("jailbreak:j"));
        check_unknown(rules, &facts, Some(&["jailbreak:j"]), false);
    }
    // Without a policy of its own each leaf says what its failure means.
    let not = node(
        "NOT",
        [RuleNode {
            on_error: "match".into(),
            ..gte("classifier:c:yes", 0.5)
        }],
    );
    check_unknown(not, &[down("classifier:c")], None, false);
}

/// A failure of the rule takes a number back that is there already.
#[test]
fn numbers_need_the_rule_that_may_still_fail() {
    let rules = unknown("no_match", gte("classifier:c:yes", 0.0));
    let decisions = [decision("d", 0, 0, Some(rules))];
    let mut keys = Keys::default();
    let specs = decisions.iter().map(Decision::spec);
    let strategy = Strategy::Priority;
    let decisions =
        Decisions::build(specs, strategy, Ranking::V04, &mut keys, &declared()).unwrap();
    let number = Fact {
        value: Some(0.5),
        ..found("classifier:c:yes", None)
    };
    let report = report(&mut keys, &[number]);
    let rule = keys.get(Kind::Classifier, "c").unwrap();
    let mut outlook = Outlook::new(&keys, &report);
    outlook.await_family(Kind::Classifier, &[rule]);

    let mut needs = Needs::new(&keys);
    decisions.need(&outlook, |_| true, &mut needs);
    assert!(needs.has(rule));
}

#[test]
fn traces_tell_failures_apart() {
    let tree = unknown(
        "match",
        node(
            "AND",
            [
                leaf("domain:cs"),
                node("NOT", [leaf("jailbreak:j")]),
                leaf("keyword:k"),
            ],
        ),
    );
    let decisions = [
        decision("open", 5, 0, Some(tree)),
        decision("plain", 9, 0, Some(leaf("domain:cs"))),
        decision("rest", 100, 0, None),
    ];
    let facts = [
        found("domain:cs", Some(0.7)),
        found("keyword:k", None),
        down("jailbreak:j"),
    ];
    let (decisions, report) = compiled(&decisions, Strategy::Confidence, &facts);
    insta::assert_json_snapshot!((decisions.trace(&report), decisions.explain(&report)));
}

/// What a naive evaluation finds of a tree: grades from 0 (no) to 4 (yes), 2 being unknown.
struct Found {
    grade: u8,
    score: Option<f64>,
    evidence: u32,
    rules: Vec<String>,
}

fn naive(tree: &RuleNode, facts: &[Fact], keeps: bool) -> Found {
    let bare = |grade| Found {
        grade,
        score: None,
        evidence: 0,
        rules: Vec::new(),
    };
    if !tree.kind.is_empty() {
        return naive_leaf(tree, facts, keeps);
    }
    let children: Vec<Found> = tree
        .conditions
        .iter()
        .map(|child| naive(child, facts, keeps))
        .collect();
    match tree.operator.as_str() {
        "AND" => {
            let grade = children.iter().map(|child| child.grade).min().unwrap_or(4);
            let scores: Vec<f64> = children.iter().filter_map(|child| child.score).collect();
            let (sum, count) = (scores.iter().sum::<f64>(), scores.len());
            Found {
                grade,
                score: (count > 0).then(|| sum / count as f64),
                evidence: children.iter().map(|child| child.evidence).sum(),
                rules: children.into_iter().flat_map(|child| child.rules).collect(),
            }
        }
        "NOT" if children.len() == 1 => bare(4 - children[0].grade),
        "NOT" => bare(0),
        _ => {
            let grade = children.iter().map(|child| child.grade).max().unwrap_or(0);
            let mut best = children.into_iter().filter(|child| child.grade == grade);
            let first = best.next();
            let better = |one: Found, other: Found| match other.score > one.score {
                true => other,
                false => one,
            };
            first.map_or(bare(0), |first| best.fold(first, better))
        }
    }
}

fn naive_leaf(tree: &RuleNode, facts: &[Fact], keeps: bool) -> Found {
    let kind = tree.kind.trim().to_lowercase();
    let own = format!("{kind}:{}", tree.name);
    let fact = |key: &str| {
        let found = facts.iter().find(|fact| fact.key == key);
        found.cloned().unwrap_or_default()
    };
    let labelled = match tree.label.as_str() {
        "" => own.clone(),
        label => format!("{own}:{label}"),
    };
    let failed = fact(&own).failed && kind != "bogus";
    let is_assumed = fact(&own).assumed && !fact(&own).matched;
    let is_evidence = tree.predicate.is_none() && ["domain", "embedding"].contains(&kind.as_str());
    let number = fact(&labelled).value.or(fact(&labelled).confidence);
    let is_met = tree
        .predicate
        .as_ref()
        .is_some_and(|it| number.is_some_and(|number| it.holds(number)));
    let mut names = vec![own.clone()];
    if kind == "domain" {
        let declared = declared();
        names.extend(
            declared
                .categories(&tree.name)
                .iter()
                .map(|it| format!("domain:{it}")),
        );
    }
    let matched = names.iter().any(|name| fact(name).matched);
    let (real, rescued) = match (&tree.predicate, kind.as_str()) {
        (_, "bogus") | (None, "classifier") => (false, false),
        (Some(_), _) => {
            let rescued = number.is_none() && tree.on_error == "match";
            (is_met && !is_assumed, is_met || rescued)
        }
        (None, _) => (matched, is_assumed || tree.on_error == "match"),
    };
    let never = kind == "bogus" || tree.predicate.is_none() && kind == "classifier";
    let grade = match (real, failed && !never) {
        (true, _) => 4,
        (false, false) => 0,
        (false, true) if keeps => 2,
        (false, true) if rescued => 3,
        (false, true) => 1,
    };
    let label = match tree.label.as_str() {
        "" => String::new(),
        label => format!(":{label}"),
    };
    Found {
        grade,
        score: fact(&own).confidence.filter(|_| real && is_evidence),
        evidence: u32::from(is_evidence),
        rules: vec![format!("{}:{}{label}", tree.kind, tree.name)],
    }
}

/// Trees with some policies for failures.
fn policies() -> impl Generator<Value = Vec<Decision>> {
    let policy = prop::sample::select(vec!["", "no_match", "match", "fail_request"]);
    (contest(), prop::collection::vec(policy, 6)).prop_map(|(decisions, policies)| {
        let decisions = decisions.into_iter().zip(policies);
        let decisions = decisions.map(|(decision, policy)| Decision {
            rules: decision.rules.map(|rules| unknown(policy, rules)),
            ..decision
        });
        decisions.collect()
    })
}

/// Facts, where a failure stands for some matches.
fn failing() -> impl Generator<Value = Vec<Fact>> {
    facts().prop_map(|facts| {
        let facts = facts.into_iter().map(|fact| {
            let assumed = fact.failed && fact.matched && !fact.key.starts_with("domain");
            Fact {
                matched: fact.matched && !assumed,
                assumed,
                ..fact
            }
        });
        facts.collect()
    })
}

/// Sorts all matches as the semantics say and takes the first; the confidence is the reported one.
fn expected(
    decisions: &[Decision],
    by_confidence: bool,
    facts: &[Fact],
) -> Option<(usize, Option<f64>)> {
    struct Match<'a> {
        index: usize,
        decision: &'a Decision,
        catch_all: bool,
        score: Option<f64>,
        kind: Option<&'static str>,
    }
    let mut matches = Vec::new();
    for (index, decision) in decisions.iter().enumerate() {
        let Some(rules) = &decision.rules else {
            matches.push(Match {
                index,
                decision,
                catch_all: true,
                score: None,
                kind: None,
            });
            continue;
        };
        let policy = rules.on_unknown();
        let found = naive(rules, facts, policy.is_some());
        let holds = found.grade > 2 || found.grade == 2 && policy == Some(OnUnknown::Match);
        let score = found
            .score
            .filter(|_| found.grade == 4 && found.evidence == 1);
        if holds {
            matches.push(Match {
                index,
                decision,
                catch_all: rules.operator == "AND" && rules.conditions.is_empty(),
                score,
                kind: kind(rules).filter(|_| score.is_some()),
            });
        }
    }
    let tiered = matches.iter().any(|it| it.decision.tier > 0);
    let tier = matches.iter().map(|it| it.decision.tier).min();
    let pool: Vec<&Match<'_>> = matches
        .iter()
        .filter(|it| !it.catch_all && (!tiered || Some(it.decision.tier) == tier))
        .collect();
    let first = pool.first().and_then(|it| it.kind);
    let compares = first.is_some() && pool.iter().all(|it| it.kind == first);
    matches.sort_by(|left, right| {
        let tier = match tiered {
            true => left.decision.tier.cmp(&right.decision.tier),
            false => std::cmp::Ordering::Equal,
        };
        let score = match compares && !left.catch_all && !right.catch_all {
            true => right.score.partial_cmp(&left.score).unwrap(),
            false => std::cmp::Ordering::Equal,
        };
        let priority = right.decision.priority.cmp(&left.decision.priority);
        let strategy = match by_confidence {
            true => score.then(priority),
            false => priority.then(score),
        };
        tier.then(left.catch_all.cmp(&right.catch_all))
            .then(strategy)
            .then(left.decision.name.cmp(&right.decision.name))
    });
    matches.first().map(|it| (it.index, it.score))
}

/// The kind of all scores that a tree can report, if it is one.
fn kind(tree: &RuleNode) -> Option<&'static str> {
    fn collect(tree: &RuleNode, kinds: &mut Vec<&'static str>) {
        if tree.kind.is_empty() && tree.operator == "NOT" {
            return;
        }
        match tree.kind.trim().to_lowercase().as_str() {
            _ if tree.predicate.is_some() => {}
            "domain" => kinds.push("probability"),
            "embedding" => kinds.push("similarity"),
            _ => {}
        }
        tree.conditions
            .iter()
            .for_each(|child| collect(child, kinds));
    }
    let mut kinds = Vec::new();
    collect(tree, &mut kinds);
    let first = *kinds.first()?;
    kinds.iter().all(|kind| *kind == first).then_some(first)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn compiled_and_naive_evaluation_agree(
        decisions in policies(),
        facts in failing(),
        by_confidence: bool,
    ) {
        let strategy = if by_confidence { Strategy::Confidence } else { Strategy::Priority };
        let (compiled, report) = compiled(&decisions, strategy, &facts);
        for (index, decision) in decisions.iter().enumerate() {
            let Some(rules) = &decision.rules else { continue };
            let found = naive(rules, &facts, rules.on_unknown().is_some());
            if found.grade > 2 {
                prop_assert_eq!(compiled.matched_rules(index, &report), found.rules);
            }
            let alone = compiled.decide_among(&report, |other| other == index);
            let by_policy = found.grade == 2 && rules.on_unknown() == Some(OnUnknown::Match);
            prop_assert_eq!(alone.is_some(), found.grade > 2 || by_policy);
        }
        let won = compiled.decide(&report).map(|won| (won.index, won.confidence));
        prop_assert_eq!(won, expected(&decisions, by_confidence, &facts));
        let why = compiled.explain(&report);
        prop_assert_eq!(why.map(|why| why.winner), won.map(|(index, _)| compiled.name(index)));
    }

    /// Facts that are not needed do not change the outcome, however they turn out.
    #[test]
    fn the_outcome_is_a_function_of_what_it_needs(
        decisions in policies(),
        facts in failing(),
        others in failing(),
        unknown in prop::collection::vec(prop::bool::weighted(0.4), 28),
        by_confidence: bool,
        is_old: bool,
    ) {
        let strategy = if by_confidence { Strategy::Confidence } else { Strategy::Priority };
        let ranking = if is_old { Ranking::V03 } else { Ranking::V04 };
        let mut keys = Keys::default();
        let specs = decisions.iter().map(Decision::spec);
        let compiled = Decisions::build(specs, strategy, ranking, &mut keys, &declared()).unwrap();
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
            let is_kept = !unknown || needs.touch(keys.kind(key(fact)), &[key(fact)]);
            if is_kept { fact.clone() } else { other.clone() }
        });
        let later = report(&mut keys.clone(), &turned_out.collect::<Vec<_>>());
        let outcome = |report: &SignalReport| {
            let open = compiled.unknown(&Outlook::new(&keys, report), |_| true);
            let failing = open.iter().find(|(_, policy)| *policy == OnUnknown::FailRequest);
            if let Some((index, _)) = failing {
                return Some((*index, None, None));
            }
            let won = compiled.decide(report)?;
            let category = compiled.category(won.index, report).map(str::to_owned);
            Some((won.index, won.confidence.map(f64::to_bits), category))
        };
        prop_assert_eq!(outcome(&now), outcome(&later));
    }
}

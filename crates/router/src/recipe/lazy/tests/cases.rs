//! Tables: a policy, what the heuristics find, and which groups are asked.

use super::script::{Fact, Group, Health, Script, found, leaf, missed, node};
use crate::config::decisions::Decision;
use crate::recipe::Extent;
use inference::handle::Cost;
use signals::projection::section::{
    Mapping, MappingOutput, Partition, Projections, Score, ScoreInput,
};
use signals::report::Kind;
use signals::rules::NumericPredicate;
use signals::rules::RuleNode;

/// Keyword `a` matches and `b` does not; every learned rule matches at .6, but `jailbreak` and
/// `pii`.
fn groups() -> Vec<Group> {
    let health = Health::Sound;
    let learned = |name, cost, facts: &[Fact]| Group {
        name,
        cost: Some(cost),
        facts: facts.to_vec(),
        health,
    };
    let sure = Some(0.6);
    vec![
        Group {
            name: "keyword",
            cost: None,
            facts: vec![found("keyword:a", None), missed("keyword:b")],
            health,
        },
        learned("pii", Cost::Rules, &[missed("pii:p")]),
        learned(
            "domain",
            Cost::Encoder,
            &[
                found("domain:da", sure),
                missed("domain:db"),
                missed("domain:math"),
            ],
        ),
        learned(
            "embedding",
            Cost::Encoder,
            &[found("embedding:ea", sure), missed("embedding:eb")],
        ),
        learned(
            "complexity",
            Cost::Encoder,
            &[
                found("complexity:c:hard", sure),
                missed("complexity:c:easy"),
            ],
        ),
        learned("jailbreak", Cost::Model, &[missed("jailbreak:j")]),
        learned("image", Cost::Model, &[missed("embedding:ec")]),
        learned("preference", Cost::Remote, &[found("preference:p", sure)]),
    ]
}

fn decision(name: &str, priority: i64, tier: i64, rules: RuleNode) -> Decision {
    Decision {
        name: name.into(),
        priority,
        tier,
        rules: Some(rules),
        ..Decision::default()
    }
}

fn policy<const N: usize>(decisions: [(&str, i64, RuleNode); N]) -> Script {
    let decisions = decisions
        .into_iter()
        .map(|(name, priority, rules)| decision(name, priority, 0, rules));
    Script {
        decisions: decisions.collect(),
        groups: groups(),
        top_k: 0,
        ..Script::default()
    }
}

/// The winner and the groups that are asked, in order; full evaluation has the same outcome.
#[track_caller]
fn check(script: &Script, winner: &str, asked: &[&str]) {
    let lazy = script.run(Extent::Lazy { only: None }, None);
    assert_eq!(lazy.routed, script.run(Extent::Used, None).routed);
    assert_eq!(
        lazy.routed.map_or_else(String::new, |routed| routed.winner),
        winner
    );
    assert_eq!(lazy.asked, asked);
}

#[test]
fn what_cannot_win_is_not_asked() {
    // A privacy rule that a keyword settles keeps the request off the encoder.
    let private = |keyword| {
        policy([
            ("private", 100, leaf(keyword)),
            ("law", 10, leaf("domain:da")),
        ])
    };
    check(&private("keyword:a"), "private", &[]);
    check(&private("keyword:b"), "law", &["domain"]);
    let tail = |keyword| policy([("law", 100, leaf("domain:da")), ("word", 10, leaf(keyword))]);
    check(&tail("keyword:a"), "law", &["domain"]);
    // The dearer stage is not reached where the cheaper one settles it.
    let stages = |cheap| {
        policy([
            ("cheap", 50, leaf(cheap)),
            ("dear", 10, leaf("preference:p")),
        ])
    };
    check(&stages("domain:da"), "cheap", &["domain"]);
    check(&stages("domain:db"), "dear", &["domain", "preference"]);
    // Rules cost less than any model.
    let rules = policy([
        ("pii", 50, leaf("pii:p")),
        ("law", 20, leaf("domain:da")),
        ("bad", 10, leaf("jailbreak:j")),
    ]);
    check(&rules, "law", &["pii", "domain"]);
    // No decision.
    check(
        &policy([(
            "none",
            1,
            node("AND", vec![leaf("keyword:b"), leaf("domain:da")]),
        )]),
        "",
        &[],
    );
}

#[test]
fn within_a_stage_only_what_may_count_is_asked() {
    let both = |keyword| {
        let guarded = node("AND", vec![leaf("embedding:ea"), leaf(keyword)]);
        policy([("near", 100, guarded), ("law", 10, leaf("domain:da"))])
    };
    check(&both("keyword:b"), "law", &["domain"]);
    check(&both("keyword:a"), "near", &["domain", "embedding"]);
    let either = policy([(
        "any",
        1,
        node("OR", vec![leaf("domain:da"), leaf("embedding:ea")]),
    )]);
    check(&either, "any", &["domain", "embedding"]);
    // NOT wants the match alone, AND its mean.
    let guard = node(
        "AND",
        vec![leaf("keyword:a"), node("NOT", vec![leaf("jailbreak:j")])],
    );
    check(&policy([("safe", 1, guard)]), "safe", &["jailbreak"]);
    let nothing = node(
        "NOT",
        vec![node("AND", vec![leaf("keyword:b"), leaf("domain:da")])],
    );
    check(&policy([("safe", 1, nothing)]), "safe", &[]);
}

#[test]
fn confidence_and_name_settle_ties() {
    // A keyword counts 1.0, which no probability exceeds: of equals the first name wins.
    let tie = |first, second| policy([("a", 1, leaf(first)), ("b", 1, leaf(second))]);
    check(&tie("keyword:a", "domain:da"), "a", &[]);
    check(&tie("domain:da", "keyword:a"), "b", &["domain"]);
    // Cosines may exceed it by a rounding.
    check(&tie("keyword:a", "embedding:ea"), "a", &["embedding"]);
    let by_confidence = |low, high| Script {
        by_confidence: true,
        ..policy([
            ("word", low, leaf("keyword:a")),
            ("law", high, leaf("domain:da")),
        ])
    };
    check(&by_confidence(2, 1), "word", &[]);
    check(&by_confidence(1, 2), "word", &["domain"]);
}

#[test]
fn a_tier_that_may_match_keeps_the_order_open() {
    let tiers = |word, law| Script {
        decisions: vec![
            decision("word", 9, word, leaf("keyword:a")),
            decision("law", 1, law, leaf("domain:da")),
        ],
        ..policy([])
    };
    check(&tiers(0, 0), "word", &[]);
    // Untiered matches come before every tier.
    check(&tiers(0, 1), "word", &[]);
    check(&tiers(1, 2), "word", &[]);
    check(&tiers(2, 1), "law", &["domain"]);
    check(&tiers(1, 0), "law", &["domain"]);
    // Which of two untiered matches wins depends on whether a tier matches: then confidence counts
    // first.
    let mut script = policy([
        ("sure", 1, leaf("keyword:a")),
        (
            "half",
            9,
            node("AND", vec![leaf("keyword:a"), leaf("domain:da")]),
        ),
        ("tier", 0, leaf("preference:p")),
    ]);
    check(&script, "half", &["domain"]);
    script.decisions[2].tier = 1;
    check(&script, "sure", &["domain", "preference"]);
}

#[test]
fn the_category_is_settled_too() {
    let either = |first, second| policy([("d", 1, node("OR", vec![leaf(first), leaf(second)]))]);
    check(&either("keyword:a", "domain:da"), "d", &[]);
    check(&either("domain:da", "keyword:a"), "d", &["domain"]);
    check(&either("pii:p", "keyword:a"), "d", &[]);
    // A category of the domain settles the match, not whose confidence counts.
    check(&policy([("d", 1, leaf("domain:db"))]), "", &["domain"]);
}

fn banded(weights: &[(&str, &str, f64)], bound: f64, rules: RuleNode) -> Script {
    let input = |&(rule, value_source, weight): &(&str, &str, f64)| {
        let (kind, name) = rule.split_once(':').unwrap();
        let (kind, name, value_source) = (kind.into(), name.into(), value_source.into());
        ScoreInput {
            kind,
            name,
            value_source,
            weight,
            ..ScoreInput::default()
        }
    };
    let output = MappingOutput {
        name: "high".into(),
        gte: Some(bound),
        ..MappingOutput::default()
    };
    let score = Score {
        name: "s".into(),
        inputs: weights.iter().map(input).collect(),
        ..Score::default()
    };
    let mapping = Mapping {
        name: "m".into(),
        source: "s".into(),
        outputs: vec![output],
        ..Mapping::default()
    };
    let projections = Projections {
        scores: vec![score],
        mappings: vec![mapping],
        ..Projections::default()
    };
    Script {
        projections,
        ..policy([("high", 9, rules), ("word", 5, leaf("keyword:a"))])
    }
}

#[test]
fn bands_are_settled_by_intervals() {
    let gte = |bound| NumericPredicate {
        gte: Some(bound),
        ..NumericPredicate::default()
    };
    let at_least = |bound| RuleNode {
        predicate: Some(gte(bound)),
        ..leaf("projection:high")
    };
    let weak = [("keyword:a", "", 0.8), ("domain:da", "confidence", 0.1)];
    // The band holds whatever the domain says, but not how sure it is.
    check(
        &banded(&weak, 0.5, leaf("projection:high")),
        "high",
        &["domain"],
    );
    check(
        &banded(&weak, 0.5, node("NOT", vec![leaf("projection:high")])),
        "word",
        &[],
    );
    check(&banded(&weak, 0.5, at_least(0.5)), "high", &[]);
    check(&banded(&weak, 0.5, at_least(0.99)), "word", &["domain"]);
    check(&banded(&weak, 0.95, leaf("projection:high")), "word", &[]);
    check(
        &banded(&weak, 0.85, leaf("projection:high")),
        "high",
        &["domain"],
    );
    let heavy = [
        ("keyword:a", "", 0.4),
        ("embedding:ea", "confidence", 0.5),
        ("jailbreak:j", "", -0.1),
    ];
    check(&banded(&heavy, 2.0, leaf("projection:high")), "word", &[]);
    check(
        &banded(&heavy, 0.6, leaf("projection:high")),
        "high",
        &["embedding", "jailbreak"],
    );
    // An earlier band that may take the score leaves the later one open.
    let mut bands = banded(
        &weak,
        0.85,
        RuleNode {
            predicate: Some(gte(0.5)),
            ..leaf("projection:low")
        },
    );
    let low = MappingOutput {
        name: "low".into(),
        gte: Some(0.1),
        ..MappingOutput::default()
    };
    bands.projections.mappings[0].outputs.push(low);
    check(&bands, "word", &["domain"]);
    bands.projections.mappings[0].method = "multi_emit".into();
    check(&bands, "high", &[]);
    check(
        &banded(
            &[("keyword:b", "", 0.4), ("pii:p", "raw", 0.5)],
            0.6,
            leaf("projection:high"),
        ),
        "word",
        &["pii"],
    );
}

#[test]
fn partitions_composers_and_the_cut_wait_for_all_they_read() {
    let mut script = policy([("d", 1, leaf("domain:da")), ("word", 0, leaf("keyword:a"))]);
    script.projections.partitions = vec![Partition {
        name: "p".into(),
        semantics: "exclusive".into(),
        members: vec!["da".into(), "db".into()],
        default: "db".into(),
        ..Partition::default()
    }];
    check(&script, "d", &["domain"]);
    let mut composed = policy([
        ("hard", 9, leaf("complexity:c:hard")),
        ("word", 0, leaf("keyword:a")),
    ]);
    composed.composer = Some(("complexity:c:hard".into(), vec!["domain:da".into()]));
    check(&composed, "hard", &["domain", "complexity"]);
    composed.composer = Some(("complexity:c:hard".into(), vec!["keyword:b".into()]));
    check(&composed, "word", &["complexity"]);
    // The image may push the text's match out of the best one.
    let mut cut = policy([
        ("near", 9, leaf("embedding:ea")),
        ("word", 0, leaf("keyword:a")),
    ]);
    check(&cut, "near", &["embedding"]);
    cut.top_k = 1;
    check(&cut, "near", &["embedding", "image"]);
}

#[test]
fn an_algorithm_asked_by_name_narrows_the_field() {
    let mut script = policy([
        ("law", 9, leaf("domain:da")),
        ("word", 1, leaf("keyword:a")),
    ]);
    script.decisions[1].algorithm = Some(crate::algorithms::Algorithm {
        kind: "fusion".into(),
        ..Default::default()
    });
    let run = script.run(
        Extent::Lazy {
            only: Some("fusion"),
        },
        Some("fusion"),
    );
    assert_eq!(
        (run.routed.unwrap().winner.as_str(), run.asked.len()),
        ("word", 0)
    );
}

#[test]
fn what_was_avoided_is_told() {
    let script = policy([
        ("word", 9, leaf("keyword:a")),
        ("law", 1, leaf("domain:da")),
        ("p", 1, leaf("preference:p")),
    ]);
    let run = script.run(Extent::Lazy { only: None }, None);
    assert_eq!(
        run.report.skipped().collect::<Vec<_>>(),
        [Kind::Domain, Kind::Preference]
    );
    assert!(
        run.report.stage(Cost::Encoder).is_avoided() && !run.report.stage(Cost::Model).is_avoided()
    );
    let full = script.run(Extent::Used, None);
    assert_eq!(
        (
            full.report.skipped().count(),
            full.report.stage(Cost::Encoder).asked
        ),
        (0, 1)
    );
    assert!(!full.report.stage(Cost::Encoder).is_avoided());
}

//! Lazy and full evaluation agree on random policies and findings, and lazy evaluation saves
//! something.

use super::script::{Fact, Group, Health, Script, leaf, node};
use crate::algorithms::Algorithm;
use crate::config::decisions::{Allowed, Boundary, Decision};
use crate::recipe::Extent;
use inference::handle::Cost;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use selection::candidate::ModelRef;
use signals::decision::Ranking;
use signals::projection::section::{
    Calibration, Mapping, MappingOutput, Partition, Projections, Score, ScoreInput,
};
use signals::rules::NumericPredicate;
use signals::rules::{OnUnknown, RuleNode};
use std::cell::RefCell;
use std::collections::BTreeSet;

const NAMES: [&str; 16] = [
    "keyword:a",
    "keyword:b",
    "keyword:c",
    "structure:s",
    "pii:p",
    "domain:da",
    "domain:db",
    "domain:dc",
    "embedding:ea",
    "embedding:eb",
    "embedding:ec",
    "complexity:c:hard",
    "fact_check:f",
    "jailbreak:j",
    "preference:p",
    "embedding:ed",
];
const OUTPUTS: [&str; 3] = ["high", "mid", "low"];

/// Quarters make ties, the rest all else.
fn number(low: f64, high: f64) -> BoxedStrategy<f64> {
    let quarters = (low * 4.0).ceil() as i32..=(high * 4.0).floor() as i32;
    prop_oneof![
        quarters.prop_map(|quarter| f64::from(quarter) / 4.0),
        low..high
    ]
    .boxed()
}

/// Facts of a group: each key matches or not, and its numbers lie where those of its family do.
fn group(
    name: &'static str,
    cost: Option<Cost>,
    keys: &'static [&'static str],
    confidence: Option<(f64, f64)>,
    value: Option<(f64, f64)>,
) -> BoxedStrategy<Group> {
    let numbers = |bounds: Option<(f64, f64)>| match bounds {
        Some((low, high)) => prop::option::weighted(0.8, number(low, high)).boxed(),
        None => Just(None).boxed(),
    };
    let fact = (
        any::<bool>(),
        numbers(confidence),
        numbers(value),
        prop::bool::weighted(0.1),
    );
    let health =
        prop_oneof![12 => Just(Health::Sound), 1 => Just(Health::Down), 1 => Just(Health::Partial)];
    (prop::collection::vec(fact, keys.len()), health)
        .prop_map(move |(facts, health)| {
            let facts =
                keys.iter()
                    .zip(facts)
                    .map(|(key, (matched, confidence, value, failed))| Fact {
                        key: (*key).to_owned(),
                        matched,
                        confidence: confidence.filter(|_| matched || key.starts_with("classifier")),
                        value,
                        failed,
                    });
            Group {
                name,
                cost,
                facts: facts.collect(),
                health,
            }
        })
        .boxed()
}

fn groups() -> BoxedStrategy<Vec<Group>> {
    let probability = Some((0.0, 1.0));
    let cosine = Some((-1.0, 1.0));
    let margin = Some((-2.0, 2.0));
    let any = Some((-9.0, 9.0));
    let heuristics = (
        group(
            "keyword",
            None,
            &["keyword:a", "keyword:b", "keyword:c"],
            None,
            None,
        ),
        group("structure", None, &["structure:s"], probability, any),
    );
    let encoder = Some(Cost::Encoder);
    let cheap = (
        group("pii rules", Some(Cost::Rules), &["pii:p"], None, None),
        group(
            "domain",
            encoder,
            &["domain:da", "domain:db", "domain:dc", "domain:math"],
            probability,
            None,
        ),
        group(
            "embedding",
            encoder,
            &["embedding:ea", "embedding:eb", "embedding:ec"],
            cosine,
            cosine,
        ),
        group(
            "complexity",
            encoder,
            &["complexity:c:hard", "complexity:c:easy"],
            Some((0.0, 2.0)),
            margin,
        ),
        group("fact check", encoder, &["fact_check:f"], None, None),
        group("kb", encoder, &["kb:k", "kb:kb_metric:x:m"], cosine, margin),
    );
    let dear = (
        group("pii tokens", Some(Cost::Model), &["pii:p"], None, None),
        group(
            "classifier",
            Some(Cost::Model),
            &["classifier:l", "classifier:l:x"],
            any,
            any,
        ),
        group(
            "jailbreak",
            Some(Cost::Model),
            &["jailbreak:j"],
            margin,
            None,
        ),
        group(
            "preference",
            Some(Cost::Remote),
            &["preference:p"],
            any,
            any,
        ),
        group(
            "image",
            Some(Cost::Remote),
            &["embedding:ed"],
            margin,
            margin,
        ),
    );
    (heuristics, cheap, dear)
        .prop_map(|((a, b), (c, d, e, f, g, h), (i, j, k, l, m))| {
            vec![a, b, c, d, e, f, g, h, i, j, k, l, m]
        })
        .boxed()
}

fn predicate() -> BoxedStrategy<NumericPredicate> {
    let bound = || number(-1.0, 1.0);
    prop_oneof![
        bound().prop_map(|bound| NumericPredicate {
            gte: Some(bound),
            ..NumericPredicate::default()
        }),
        bound().prop_map(|bound| NumericPredicate {
            lt: Some(bound),
            ..NumericPredicate::default()
        }),
        (bound(), bound()).prop_map(|(gt, lte)| NumericPredicate {
            gt: Some(gt),
            lte: Some(lte),
            ..Default::default()
        }),
    ]
    .boxed()
}

fn rules() -> BoxedStrategy<RuleNode> {
    let plain = prop_oneof![
        6 => prop::sample::select(NAMES.to_vec()).prop_map(leaf),
        4 => prop::sample::select(NAMES[..4].to_vec()).prop_map(leaf),
        3 => prop::sample::select(OUTPUTS.to_vec()).prop_map(|name| leaf(&format!("projection:{name}"))),
        1 => Just(leaf("bogus:x")),
        1 => Just(leaf("kb:k")),
        1 => Just(leaf("classifier:l:x")),
    ];
    let leaf = (
        plain,
        prop::option::weighted(0.2, predicate()),
        prop::bool::weighted(0.15),
    )
        .prop_map(|(leaf, predicate, rescued)| RuleNode {
            predicate: predicate
                .or(leaf.predicate)
                .or((leaf.kind == "classifier").then(NumericPredicate::default)),
            on_error: if rescued {
                "match".into()
            } else {
                String::new()
            },
            ..leaf
        });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let operator =
            prop_oneof![3 => Just("AND"), 3 => Just("OR"), 2 => Just("NOT"), 1 => Just("")];
        (operator, prop::collection::vec(inner, 1..4)).prop_map(|(operator, mut conditions)| {
            if operator == "NOT" {
                conditions.truncate(1);
            }
            node(operator, conditions)
        })
    })
    .boxed()
}

/// The rules of a decision; some say what a failure means for it.
fn root() -> BoxedStrategy<RuleNode> {
    let on_unknown = prop_oneof![
        12 => Just(""),
        2 => Just("no_match"),
        2 => Just("match"),
        1 => Just("fail_request"),
    ];
    let root = (rules(), on_unknown).prop_map(|(mut rules, on_unknown)| {
        if !on_unknown.is_empty() {
            leave_failures(&mut rules);
        }
        rules.on_unknown = on_unknown.into();
        rules
    });
    root.boxed()
}

fn leave_failures(node: &mut RuleNode) {
    node.on_error.clear();
    node.conditions.iter_mut().for_each(leave_failures);
}

fn decisions() -> BoxedStrategy<Vec<Decision>> {
    let tier = prop_oneof![4 => Just(0_i64), 1 => -1_i64..3];
    let one = (
        0_i64..4,
        tier,
        prop::option::weighted(0.95, root()),
        any::<bool>(),
    );
    prop::collection::vec(one, 1..7)
        .prop_map(|decisions| {
            let built = decisions.into_iter().enumerate().map(
                |(index, (priority, tier, rules, fusion))| Decision {
                    name: format!("d{}", 9 - index),
                    priority,
                    tier,
                    rules,
                    model_refs: ["m", "n"]
                        .map(|model| ModelRef {
                            model: model.into(),
                            ..ModelRef::default()
                        })
                        .into(),
                    algorithm: fusion.then(|| Algorithm {
                        kind: "fusion".into(),
                        ..Algorithm::default()
                    }),
                    ..Decision::default()
                },
            );
            built.collect()
        })
        .boxed()
}

fn boundaries() -> BoxedStrategy<Vec<Boundary>> {
    let models = prop::sample::subsequence(vec!["m0", "m1", "m2", "m3"], 0..=3);
    let locations = prop::sample::subsequence(vec!["here", "there"], 0..=2);
    let one = (prop::option::weighted(0.95, rules()), models, locations);
    let words = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
    let one = one.prop_map(move |(when, models, locations)| Boundary {
        when,
        allow: Allowed {
            models: words(models),
            locations: words(locations),
            records: false,
        },
        ..Boundary::default()
    });
    let some = prop::collection::vec(one, 1..4).prop_map(|boundaries| {
        let named = boundaries.into_iter().enumerate();
        named
            .map(|(index, boundary)| Boundary {
                name: format!("b{index}"),
                ..boundary
            })
            .collect()
    });
    prop_oneof![1 => Just(Vec::new()), 1 => some].boxed()
}

fn partitions() -> BoxedStrategy<Vec<Partition>> {
    let members = prop_oneof![
        prop::sample::subsequence(vec!["da", "db", "dc"], 2..=3),
        prop::sample::subsequence(vec!["ea", "eb", "ec", "ed"], 2..=4),
    ];
    let one = (
        members,
        prop::option::of(prop::sample::select(vec![0.1, 1.0])),
        any::<prop::sample::Index>(),
    );
    let one = one.prop_map(|(members, temperature, default)| Partition {
        name: "p".into(),
        semantics: if temperature.is_some() {
            "softmax_exclusive"
        } else {
            "exclusive"
        }
        .into(),
        temperature: temperature.unwrap_or_default(),
        default: (*default.get(&members)).into(),
        members: members.into_iter().map(str::to_owned).collect(),
        ..Partition::default()
    });
    prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(one, 1..3)].boxed()
}

/// A score reads scores and outputs of earlier ones only.
fn input(score: usize) -> BoxedStrategy<ScoreInput> {
    let mut sources: Vec<String> = NAMES.map(str::to_owned).to_vec();
    sources.extend(["keyword:a", "keyword:b", "kb_metric:x:m", "classifier:l"].map(str::to_owned));
    sources.extend((0..score).map(|earlier| format!("score:s{earlier}")));
    sources.extend((0..score).map(|earlier| format!("output:{}", OUTPUTS[earlier % 3])));
    let source = (
        prop::sample::select(sources),
        prop::sample::select(vec!["", "confidence", "raw"]),
    );
    (source, number(-1.0, 1.0), prop::bool::weighted(0.3))
        .prop_map(|((source, value_source), weight, misses)| {
            let (kind, name) = source.split_once(':').unwrap();
            let plain = ScoreInput {
                kind: kind.into(),
                name: name.into(),
                value_source: value_source.into(),
                weight,
                miss: if misses { -0.25 } else { 0.0 },
                ..ScoreInput::default()
            };
            match kind {
                "kb_metric" => ScoreInput {
                    kb: "x".into(),
                    metric: "m".into(),
                    ..plain
                },
                "score" => ScoreInput {
                    kind: "projection".into(),
                    value_source: "score".into(),
                    ..plain
                },
                "output" => ScoreInput {
                    kind: "projection".into(),
                    value_source: "confidence".into(),
                    ..plain
                },
                _ => plain,
            }
        })
        .boxed()
}

fn mapping(score: usize) -> BoxedStrategy<Mapping> {
    let own = OUTPUTS[score % 3];
    // The first output is the score's own: inputs of later scores name it.
    let output = (
        prop::sample::select(vec![own, own, OUTPUTS[2]]),
        predicate(),
    )
        .prop_map(|(name, bounds)| {
            let NumericPredicate { gt, gte, lt, lte } = bounds;
            MappingOutput {
                name: name.into(),
                gt,
                gte,
                lt,
                lte,
                ..MappingOutput::default()
            }
        });
    (
        prop::collection::vec(output, 1..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(move |(mut outputs, multi, steep)| {
            outputs[0].name = own.into();
            Mapping {
                name: "m".into(),
                source: format!("s{score}"),
                method: if multi {
                    "multi_emit"
                } else {
                    "threshold_bands"
                }
                .into(),
                calibration: steep.then(|| Calibration {
                    slope: 2.0,
                    ..Calibration::default()
                }),
                outputs,
                ..Mapping::default()
            }
        })
        .boxed()
}

fn projections() -> BoxedStrategy<Projections> {
    let score = |index: usize| {
        let inputs = prop::collection::vec(input(index), 1..4);
        (inputs, prop::collection::vec(mapping(index), 1..3)).prop_map(move |(inputs, mappings)| {
            (
                Score {
                    name: format!("s{index}"),
                    inputs,
                    ..Score::default()
                },
                mappings,
            )
        })
    };
    (partitions(), score(0), score(1), score(2))
        .prop_map(|(partitions, first, second, third)| {
            let (scores, mappings): (Vec<_>, Vec<_>) = [first, second, third].into_iter().unzip();
            Projections {
                partitions,
                scores,
                mappings: mappings.into_iter().flatten().collect(),
            }
        })
        .boxed()
}

fn script() -> BoxedStrategy<Script> {
    let composed = prop::collection::vec(
        prop::sample::select(vec![
            "keyword:a",
            "domain:da",
            "embedding:ea",
            "fact_check:f",
        ]),
        1..3,
    );
    let composed = composed.prop_map(|all| {
        (
            "complexity:c:hard".to_owned(),
            all.into_iter().map(str::to_owned).collect(),
        )
    });
    let ranking = prop_oneof![Just(Ranking::V03), Just(Ranking::V04)];
    let policy = (
        decisions(),
        boundaries(),
        ranking,
        prop::bool::weighted(0.1),
    );
    let parts = (
        policy,
        any::<bool>(),
        projections(),
        prop::option::of(composed),
        -1_i64..3,
        groups(),
    );
    parts
        .prop_map(
            |(policy, by_confidence, projections, composer, top_k, groups)| {
                let (decisions, boundaries, ranking, refuses) = policy;
                Script {
                    decisions,
                    boundaries,
                    ranking,
                    refuses,
                    by_confidence,
                    projections,
                    composer,
                    top_k,
                    groups,
                }
            },
        )
        .boxed()
}

/// Stages that full and lazy evaluation ran, and how often lazy evaluation asked nothing though
/// full did.
#[derive(Debug, Default)]
struct Tally {
    full: usize,
    lazy: usize,
    requests: usize,
    silent: usize,
    /// Lazy evaluation asked something, but less than full.
    partly: usize,
}

impl Tally {
    fn agree(&mut self, script: &Script, only: Option<&str>) -> TestCaseResult {
        let full = script.run(Extent::Used, only);
        let lazy = script.run(Extent::Lazy { only }, only);
        prop_assert_eq!(lazy.refused, full.refused);
        if full.refused.is_none() {
            prop_assert_eq!(&lazy.routed, &full.routed);
            let is_told = |it: &(usize, OnUnknown)| full.unknown.contains(it);
            prop_assert!(lazy.unknown.iter().all(is_told), "{:?}", lazy.unknown);
        }
        prop_assert_eq!(lazy.verdict.allowed(), full.verdict.allowed());
        prop_assert_eq!(&lazy.verdict, &full.verdict);
        let bound = script.run(Extent::Bounding, only);
        prop_assert_eq!(&bound.verdict, &full.verdict);
        prop_assert!(
            !script.boundaries.is_empty() || bound.asked.is_empty(),
            "{:?}",
            bound.asked
        );
        let cost = |name: &String| {
            script
                .groups
                .iter()
                .find(|group| group.name == name)
                .and_then(|group| group.cost)
        };
        prop_assert!(
            lazy.asked.iter().all(|group| full.asked.contains(group)),
            "{:?}",
            lazy.asked
        );
        prop_assert!(
            lazy.asked.is_sorted_by_key(cost),
            "a stage comes back: {:?}",
            lazy.asked
        );
        let stages = |asked: &[String]| asked.iter().map(cost).collect::<BTreeSet<_>>().len();
        let (before, after) = (stages(&full.asked), stages(&lazy.asked));
        self.full += before;
        self.lazy += after;
        self.requests += usize::from(before > 0);
        self.silent += usize::from(before > 0 && after == 0);
        self.partly += usize::from(after > 0 && lazy.asked.len() < full.asked.len());
        Ok(())
    }
}

fn config() -> Config {
    let usual = Config::default();
    Config {
        cases: usual.cases.max(2_000),
        failure_persistence: None,
        ..usual
    }
}

/// So many policies that shares of them are told to less than half a percent.
fn shares() -> Config {
    let usual = config();
    Config {
        cases: usual.cases.max(8_000),
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lazy_and_full_evaluation_agree(script in script(), fusion: bool) {
        Tally::default().agree(&script, fusion.then_some("fusion"))?;
    }
}

/// What became of these policies, each evaluated to the end and lazily.
fn tally(scripts: BoxedStrategy<Script>) -> Tally {
    let mut runner =
        TestRunner::new_with_rng(shares(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let tally = RefCell::new(Tally::default());
    runner
        .run(&scripts, |script| tally.borrow_mut().agree(&script, None))
        .unwrap();
    let tally = tally.into_inner();
    eprintln!("{tally:?}: {} stages avoided", tally.full - tally.lazy);
    assert!(tally.requests > 4_000, "{tally:?}");
    // Nor does the test pass because nothing is ever asked.
    assert!(tally.lazy * 5 > tally.full, "{tally:?}");
    tally
}

/// Policies of v0.3, where each leaf says what its failure means.
fn old_script() -> BoxedStrategy<Script> {
    let old = script().prop_map(|mut script| {
        script.ranking = Ranking::V03;
        script.refuses = false;
        let trees = script.decisions.iter_mut();
        trees
            .filter_map(|decision| decision.rules.as_mut())
            .for_each(|tree| tree.on_unknown.clear());
        script
    });
    old.boxed()
}

#[test]
fn lazy_evaluation_avoids_stages() {
    let old = tally(old_script());
    assert!((old.full - old.lazy) * 3 > old.full, "{old:?}");
    assert!(
        old.silent * 8 > old.requests && old.partly * 5 > old.requests,
        "{old:?}"
    );
}

/// Whether scores compare, and whether the request fails, depends on more signals.
#[test]
fn lazy_evaluation_avoids_stages_under_either_ranking() {
    let all = tally(script());
    assert!((all.full - all.lazy) * 3 > all.full, "{all:?}");
    assert!(
        all.silent * 10 > all.requests && all.partly * 5 > all.requests,
        "{all:?}"
    );
}

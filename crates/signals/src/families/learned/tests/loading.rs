//! Knowledge bases and models: where they come from, and what is said when they do not.

use super::*;
use document::Severity;
use inference::ask::Failure;
use inference::catalog::{LoadError, Task, Wanted};
use inference::handle::{Classifier, Embedder, Tagger};
use std::path::Path;
use std::sync::Arc;

/// A catalog whose models count as real: some folders are missing, and one file is there.
#[derive(Default)]
struct Shelf {
    fake: Fake,
    missing: Vec<&'static str>,
    file: Option<&'static str>,
}

impl Shelf {
    fn look(&self, wanted: &Wanted) -> Result<(), LoadError> {
        let gone = self.missing.contains(&wanted.folder.as_str());
        let error = || LoadError::Missing {
            name: wanted.folder.clone(),
            looked_in: "shelf".into(),
        };
        if gone { Err(error()) } else { Ok(()) }
    }
}

impl Catalog for Shelf {
    fn embedder(&self, wanted: &Wanted) -> Result<Embedder, LoadError> {
        self.look(wanted)?;
        let embedder = self.fake.embedder(wanted)?;
        let name = if wanted.folder.is_empty() {
            "encoder"
        } else {
            &wanted.folder
        };
        Ok(Embedder {
            name: name.into(),
            backing: Some(Arc::new(())),
            ..embedder
        })
    }

    fn classifier(&self, task: Task, wanted: &Wanted) -> Result<Classifier, LoadError> {
        self.look(wanted)?;
        Ok(Classifier {
            backing: Some(Arc::new(())),
            ..self.fake.classifier(task, wanted)?
        })
    }

    fn tagger(&self, wanted: &Wanted) -> Result<Tagger, LoadError> {
        self.look(wanted)?;
        self.fake.tagger(wanted)
    }

    fn vectors(&self, by: &Embedder, texts: &[String]) -> Result<Vec<Arc<[f32]>>, LoadError> {
        self.fake.vectors(by, texts)
    }

    fn text(&self, path: &Path) -> Result<String, LoadError> {
        let error = || LoadError::Missing {
            name: path.display().to_string(),
            looked_in: "shelf".into(),
        };
        self.file.map(str::to_owned).ok_or_else(error)
    }
}

/// Problems, or else warnings, that loading a document meets: `path: words`.
#[track_caller]
fn check_load(yaml: &str, shelf: &Shelf, used: bool, expected: &[&str]) {
    let document = document(yaml);
    let reads = |kind: Kind, name: &str| used && reads(kind, name);
    let deps = Deps {
        catalog: shelf,
        used: &reads,
        ..Deps::default()
    };
    let scope = document.scope();
    let mut findings = Findings::default();
    build(&scope, &mut Keys::default(), &deps, &mut findings);
    let (sign, severity) = if findings.has_errors() {
        ("", Severity::Error)
    } else {
        ("~", Severity::Warning)
    };
    let found = findings.into_problems();
    let lines: Vec<String> = found
        .iter()
        .filter(|found| found.severity == severity)
        .map(|found| format!("{sign}{}: {}", found.path, found.message))
        .collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        let (path, words) = expected.split_once(": ").unwrap();
        assert!(
            line.starts_with(path) && line.contains(words),
            "`{expected}` is not in `{line}`"
        );
    }
}

#[test]
fn missing_models_are_refused_where_they_are_needed() {
    let gone = |folder| Shelf {
        missing: vec![folder],
        ..Shelf::default()
    };
    let rule = "embeddings: [{name: e, threshold: 0.1, candidates: [a]}]";
    let encoder = with(
        rule,
        "embeddings: {semantic: {bert_model_path: m/bert, embedding_config: {model_type: bert}}}",
    );
    check_load(&encoder, &Shelf::default(), true, &[]);
    check_load(
        &encoder,
        &gone("m/bert"),
        true,
        &["global.model_catalog.embeddings.semantic: `m/bert` is not installed"],
    );
    check_load(
        &signals(rule),
        &gone(""),
        true,
        &["global.model_catalog.embeddings.semantic: is not installed"],
    );
    check_load(
        &signals(rule),
        &gone(""),
        false,
        &["~global.model_catalog.embeddings.semantic: is not installed"],
    );
    let topic = with(
        "domains: [{name: law}]",
        "system: {domain_classifier: m/topics}",
    );
    let module = "global.model_catalog.modules.classifier.domain";
    check_load(&topic, &Shelf::default(), true, &[]);
    check_load(
        &topic,
        &gone("m/topics"),
        true,
        &[&format!("~{module}: `m/topics` is not installed")],
    );
    let own = signals("classifiers: [{name: c, type: local, model_path: m/own, labels: [A, B]}]");
    check_load(
        &own,
        &gone("m/own"),
        true,
        &["routing.signals.classifiers[0].model_path: is not installed"],
    );
    let remote = with(
        rule,
        "embeddings: {semantic: {embedding_config: {backend: openai_compatible}, endpoint: {base_url: 'http://e/v1', model: bge}}}",
    );
    check_load(
        &remote,
        &Shelf::default(),
        true,
        &["global.model_catalog.embeddings.semantic: model `bge` is not installed"],
    );
    let named = with(
        "preferences: [{name: p, description: a}]",
        "embeddings: {semantic: {gemma_model_path: m/gemma}}\n    modules: {classifier: {preference: {embedding_model: gemma}}}",
    );
    check_load(
        &named,
        &gone("m/gemma"),
        true,
        &["global.model_catalog.modules.classifier.preference: `m/gemma` is not installed"],
    );
}

#[test]
fn labels_must_fit() {
    let own = signals("classifiers: [{name: c, type: local, model_path: m, labels: [A, B]}]");
    let shelf = Shelf {
        fake: Fake::default().own("m", &["A", "C"]),
        ..Shelf::default()
    };
    check_load(
        &own,
        &shelf,
        true,
        &["routing.signals.classifiers[0].labels: `m` has no label `B`; it has A, C"],
    );
    let guard = with(
        "jailbreak: [{name: j, threshold: 0.5}]",
        "modules: {prompt_guard: {positive_labels: [injection]}}",
    );
    let path = "global.model_catalog.modules.prompt_guard.positive_labels: ";
    check_load(
        &guard,
        &Shelf::default(),
        true,
        &[&format!(
            "{path}(injection) is a label of `jailbreak` (benign, jailbreak)"
        )],
    );
}

#[test]
fn thresholds_beyond_the_rules_own_examples_are_odd() {
    let fake = || {
        Fake::default()
            .vector("a", &[1.0, 0.0])
            .vector("b", &[0.6, 0.8])
            .vector("c", &[0.0, 1.0])
    };
    let shelf = || Shelf {
        fake: fake(),
        ..Shelf::default()
    };
    let rule = |threshold: f32| {
        signals(&format!(
            "embeddings: [{{name: e, threshold: {threshold}, candidates: [a, b, c, a]}}]"
        ))
    };
    check_load(&rule(0.8), &shelf(), true, &[]);
    check_load(
        &rule(0.81),
        &shelf(),
        true,
        &["~routing.signals.embeddings[0].threshold: the nearest have 0.80"],
    );
    check_load(
        &signals("embeddings: [{name: e, threshold: 0.9, candidates: [a]}]"),
        &shelf(),
        true,
        &[],
    );
    let preference =
        signals("preferences: [{name: p, description: a, examples: [c], threshold: 0.3}]");
    check_load(
        &preference,
        &shelf(),
        true,
        &["~routing.signals.preferences[0].threshold: the nearest have 0.00"],
    );
    let complexity = |threshold: f32| {
        signals(&format!(
            "complexity: [{{name: c, threshold: {threshold}, hard: {{candidates: [a]}}, easy: {{candidates: [b]}}}}]"
        ))
    };
    check_load(&complexity(0.3), &shelf(), true, &[]);
    check_load(
        &complexity(0.4),
        &shelf(),
        true,
        &["~routing.signals.complexity[0].threshold: their margins end at 0.40"],
    );
    // Nothing is known of similarities without a model.
    let document = document(&rule(0.99));
    let scope = document.scope();
    let deps = Deps {
        catalog: &fake(),
        used: &reads,
        ..Deps::default()
    };
    let mut findings = Findings::default();
    build(&scope, &mut Keys::default(), &deps, &mut findings);
    assert_eq!(findings.into_problems(), []);
}

const LABELS: &str = r#"{"labels": {"b": {"exemplars": ["b"]}, "a": {"exemplars": ["a", "a"]}, "c": {"description": "x", "exemplars": ["c"]}}}"#;
const BASE: &str = "kbs: [{name: Docs, source: {path: docs/}, threshold: 0.5, label_thresholds: {c: 0.7}, groups: {ab: [a, b], rest: [c]}, metrics: [{name: Lead, type: group_margin, positive_group: ab, negative_group: rest}]}]";

fn knowledge(similarities: [f32; 3]) -> Shelf {
    let axes = [
        ("a", [1.0, 0.0, 0.0]),
        ("b", [0.0, 1.0, 0.0]),
        ("c", [0.0, 0.0, 1.0]),
        ("q", similarities),
    ];
    let fake = axes
        .into_iter()
        .fold(Fake::default(), |fake, (text, vector)| {
            fake.vector(text, &vector)
        });
    Shelf {
        fake,
        file: Some(LABELS),
        ..Shelf::default()
    }
}

/// Matches of a knowledge base, and its three metrics.
#[track_caller]
fn check_kb(similarities: [f32; 3], expected: &[&str], metrics: [f64; 3]) {
    let rules = "kb: [{name: label_b, kb: Docs, target: {kind: label, value: b}}, {name: label_c, kb: Docs, target: {kind: label, value: c}}, {name: group, kb: Docs, target: {kind: group, value: ab}}, {name: best_c, kb: Docs, match: best, target: {kind: label, value: c}}, {name: best_rest, kb: Docs, match: best, target: {kind: group, value: rest}}]";
    let shelf = knowledge(similarities);
    let document = document(&with(rules, BASE));
    let mut keys = Keys::default();
    let deps = Deps {
        catalog: &shelf,
        used: &reads,
        ..Deps::default()
    };
    let families = built(&document, &mut keys, &deps);
    let prompt = says("q");
    let input = SignalInput::new(&prompt, None);
    let mut report = SignalReport::new(&keys);
    let answers = shelf
        .fake
        .ask(&families[0].questions(&input), Instant::now())
        .now_or_never()
        .unwrap();
    families[0].conclude(&input, &answers, &mut report);
    let found = Found { keys, report };
    assert_eq!(found.lines(), expected);
    let names =
        ["best_score", "best_matched_score", "lead"].map(|name| format!("kb_metric:docs:{name}"));
    assert_eq!(
        names.map(|name| found.value(Kind::Kb, &name).unwrap()),
        metrics
    );
}

#[test]
fn knowledge_bases_match_by_threshold_or_best() {
    check_kb(
        [0.6, 0.5, 0.0],
        &["kb:label_b 0.5000", "kb:group 0.6000"],
        [0.6, 0.6, 0.6],
    );
    check_kb(
        [0.1, 0.2, 0.69],
        &["kb:best_c 0.6900", "kb:best_rest 0.6900"],
        [0.69, 0.0, -0.49],
    );
    check_kb(
        [0.0, 0.0, 0.7],
        &[
            "kb:label_c 0.7000",
            "kb:best_c 0.7000",
            "kb:best_rest 0.7000",
        ],
        [0.7, 0.7, -0.7],
    );
    // A tie goes to the smaller name; groups end at 0.
    check_kb([-0.1, -0.2, -0.1], &[], [-0.1, 0.0, 0.0]);
}

#[test]
fn knowledge_bases_come_from_disk_or_are_built_in() {
    let rules = "kb: [{name: k, kb: Docs, target: {kind: label, value: b}}]";
    check_load(&with(rules, BASE), &knowledge([0.0; 3]), true, &[]);
    check_load(
        &with(rules, BASE),
        &Shelf::default(),
        true,
        &["global.model_catalog.kbs[0].source: is not installed"],
    );
    let broken = Shelf {
        file: Some("[]"),
        ..Shelf::default()
    };
    check_load(
        &with(rules, BASE),
        &broken,
        true,
        &["global.model_catalog.kbs[0].source: is no manifest"],
    );
    let unknown = "kb: [{name: k, kb: Docs, target: {kind: label, value: z}}]";
    check_load(
        &with(unknown, BASE),
        &knowledge([0.0; 3]),
        true,
        &[
            "~routing.signals.kb[0].target.value: `Docs` has no label `z`, so the rule never matches",
        ],
    );
    let privacy = "kbs: [{name: privacy_kb, source: {path: knowledge_bases/privacy/, manifest: labels.json}, groups: {private: [pii, nothing]}}]";
    let rule = "kb: [{name: k, kb: privacy_kb, target: {kind: label, value: pii}}]";
    check_load(
        &with(rule, privacy),
        &Shelf::default(),
        true,
        &["~global.model_catalog.kbs[0].groups.private: no label is called `nothing`"],
    );
}

/// A base that only a projection reads is read, and a failed one says so.
#[test]
fn metrics_need_no_rule() {
    let projections = "  projections: {scores: [{name: s, method: weighted_sum, inputs: [{type: kb_metric, kb: privacy_kb, metric: best_score, weight: 1}]}]}\n";
    let catalog = "global: {model_catalog: {kbs: [{name: privacy_kb, source: {path: knowledge_bases/privacy/}}]}}\n";
    let yaml = format!("routing:\n{projections}{catalog}");
    let fake = Fake::default().vector("q", &[1.0]);
    let found = check(&yaml, &fake, &says("q"), &[]);
    assert_eq!(
        found.value(Kind::Kb, "kb_metric:privacy_kb:best_score"),
        Some(0.0)
    );
    check(
        &yaml,
        &fake.failing("encoder", Failure::Unready),
        &says("q"),
        &[
            "?kb:kb_metric:privacy_kb:best_score unready",
            "?kb:kb_metric:privacy_kb:best_matched_score unready",
            "!kb=unready",
        ],
    );
}

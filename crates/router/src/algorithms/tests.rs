//! Policies of every algorithm, built and asked: who sets which parameter, what artifacts do, and
//! that nobody ever chooses a candidate that is not eligible.

use super::method;
use crate::config::{self, Document};
use crate::models::Models;
use crate::recipe::{Recipe, Source};
use conversation::shared_state::SharedState;
use document::{Findings, Problem};
use inference::catalog::{Catalog, LoadError, RemoteClassifier, RemoteEmbedder, Task, Wanted};
use inference::fake::Fake;
use inference::handle::{Classifier, Embedder, Tagger};
use proptest::prelude::*;
use selection::algorithms::{Fallback, Selection, SelectionRequest};
use signals::families::Deps;
use std::path::Path;
use std::sync::Arc;

/// A catalog with one file of text.
struct WithFile {
    fake: Fake,
    file: String,
}

impl Catalog for WithFile {
    fn embedder(&self, wanted: &Wanted) -> Result<Embedder, LoadError> {
        self.fake.embedder(wanted)
    }

    fn classifier(&self, task: Task, wanted: &Wanted) -> Result<Classifier, LoadError> {
        self.fake.classifier(task, wanted)
    }

    fn tagger(&self, wanted: &Wanted) -> Result<Tagger, LoadError> {
        self.fake.tagger(wanted)
    }

    fn vectors(&self, by: &Embedder, texts: &[String]) -> Result<Vec<Arc<[f32]>>, LoadError> {
        self.fake.vectors(by, texts)
    }

    fn remote_embedder(&self, wanted: &RemoteEmbedder) -> Result<Embedder, LoadError> {
        self.fake.remote_embedder(wanted)
    }

    fn remote_classifier(&self, wanted: &RemoteClassifier) -> Result<Classifier, LoadError> {
        self.fake.remote_classifier(wanted)
    }

    fn text(&self, path: &Path) -> Result<String, LoadError> {
        match path.to_str() {
            Some("artifact.json") => Ok(self.file.clone()),
            _ => Err(LoadError::Missing {
                name: path.display().to_string(),
                looked_in: path.to_owned(),
            }),
        }
    }
}

/// Three models; c has no card of its own to compare.
const POLICY: &str = "
version: v0.3
providers:
  defaults: {default_model: a}
  models:
    - {name: a, pricing: {prompt_per_1m: 10}}
    - {name: b, pricing: {prompt_per_1m: 2}}
    - {name: c}
routing:
  modelCards:
    - {name: a, quality_score: 0.9, description: codes, capabilities: [Rust]}
    - {name: b, quality_score: 0.6, description: writes}
    - {name: c}
  decisions:
    - {name: d, modelRefs: [{model: a}, {model: b}, {model: c}], algorithm: ALGORITHM}
global: {router: {model_selection: GLOBAL}}
";

fn document(algorithm: &str, global: &str) -> Document {
    let policy = POLICY
        .replace("ALGORITHM", algorithm)
        .replace("GLOBAL", global);
    let loaded = config::load(&policy, &|_| None);
    assert_eq!(loaded.problems, [], "{policy}");
    loaded.document.unwrap()
}

fn build(algorithm: &str, global: &str, file: &str) -> Recipe {
    built(algorithm, global, file).0
}

/// A recipe, and what was found while it was built.
fn built(algorithm: &str, global: &str, file: &str) -> (Recipe, Vec<Problem>) {
    let document = document(algorithm, global);
    let fake = Fake::default()
        .vector("codes", &[1.0, 0.0])
        .vector("codes. Capabilities: Rust", &[0.0, 1.0])
        .vector("writes", &[0.6, 0.8]);
    let catalog = WithFile {
        fake,
        file: file.to_owned(),
    };
    let deps = Deps {
        catalog: &catalog,
        ..Deps::default()
    };
    let source = Source {
        name: "r",
        path: "routing",
        routing: &document.routing,
        document: &document,
    };
    let mut findings = Findings::default();
    let recipe = Recipe::build(
        source,
        &Models::default(),
        &SharedState::default(),
        &deps,
        &mut findings,
    );
    assert!(!findings.has_errors(), "{findings:?}");
    (recipe, findings.into_problems())
}

fn select(recipe: &Recipe, eligible: &[usize]) -> Selection {
    let asked = SelectionRequest {
        vector: Some(&[1.0, 0.0]),
        category: "law",
        ..SelectionRequest::default()
    };
    recipe.routes[0].candidates.select(&asked, eligible)
}

#[track_caller]
fn check(algorithm: &str, global: &str, file: &str, candidate: usize) {
    let selection = select(&build(algorithm, global, file), &[0, 1, 2]);
    assert_eq!(
        (selection.candidate, selection.fallback),
        (Some(candidate), None),
        "{algorithm}: {}",
        selection.reason
    );
}

#[test]
fn each_algorithm_is_built_and_chooses() {
    check("{type: static}", "{}", "", 0);
    check("{type: weighted}", "{}", "", 0);
    check(
        "{type: multi_factor, multi_factor: {weights: {cost: 1}}}",
        "{}",
        "",
        1,
    );
    check(
        "{type: latency_aware, latency_aware: {tpot_percentile: 90}}",
        "{}",
        "",
        0,
    );
    check("{type: automix}", "{}", "", 0);
    check(
        "{type: automix}",
        "{automix: {cost_aware_routing: true}}",
        "",
        2,
    );
    check(
        "{type: automix, automix: {cost_aware_routing: true}}",
        "{}",
        "",
        0,
    );
    // The description of b outweighs the quality of a, and its price helps.
    check("{type: hybrid}", "{}", "", 1);
}

/// Capabilities are on for the process, and off as soon as a decision has a block that does not
/// mention them.
#[test]
fn the_decisions_block_turns_capabilities_off() {
    check(
        "{type: router_dc, router_dc: {temperature: 0.1}}",
        "{}",
        "",
        0,
    );
    check(
        "{type: router_dc, router_dc: {use_capabilities: true}}",
        "{}",
        "",
        1,
    );
    check("{type: router_dc}", "{}", "", 1);
    check(
        "{type: router_dc}",
        "{router_dc: {use_capabilities: false}}",
        "",
        0,
    );
    check(
        "{type: router_dc}",
        "{router_dc: {temperature: 0.2}}",
        "",
        1,
    );
}

fn artifact(model: &str) -> String {
    let mut vector = vec!["0"; 16];
    vector[0] = "1";
    let vector = vector.join(",");
    format!(
        r#"{{"algorithm": "knn", "trained": true, "k": 1, "embeddings": [[{vector}]], "labels": ["{model}"], "qualities": [1], "latencies": [5]}}"#
    )
}

const KNN: &str = "{ml: {knn: {pretrained_path: artifact.json}}}";

#[test]
fn artifacts_name_the_model() {
    check("{type: knn}", KNN, &artifact("b"), 1);
    let (recipe, found) = built("{type: knn}", KNN, &artifact("b"));
    assert_eq!(found, []);
    assert!(recipe.routes[0].candidates.embedder().is_some());
    // b was dropped, and nothing else can be named.
    let selection = select(&recipe, &[0, 2]);
    assert_eq!(
        (selection.candidate, selection.fallback),
        (Some(0), Some(Fallback::Error))
    );
    let stranger = select(
        &build("{type: knn}", KNN, &artifact("stranger")),
        &[0, 1, 2],
    );
    assert_eq!(
        (stranger.candidate, stranger.fallback),
        (Some(0), Some(Fallback::Error))
    );
}

#[test]
fn what_cannot_be_used_is_a_warning_and_the_first_candidate_is_taken() {
    #[track_caller]
    fn check(algorithm: &str, global: &str, file: &str, warning: &str) {
        let (recipe, warnings) = built(&format!("{{type: {algorithm}}}"), global, file);
        let selection = select(&recipe, &[1, 2]);
        assert_eq!(
            (selection.candidate, selection.fallback),
            (Some(1), Some(Fallback::Error))
        );
        assert!(
            recipe.routes[0].candidates.embedder().is_none(),
            "nothing is embedded for nobody"
        );
        let path = format!("global.router.model_selection.ml.{algorithm}.pretrained_path");
        let found: Vec<&Problem> = warnings.iter().filter(|found| found.path == path).collect();
        match warning {
            "" => assert_eq!(warnings, []),
            _ => assert!(
                found.len() == 1 && found[0].message.contains(warning),
                "{warnings:?}"
            ),
        }
    }
    check("knn", "{}", "", "");
    check("knn", "{ml: {models_path: somewhere}}", "", "");
    check(
        "knn",
        "{ml: {knn: {pretrained_path: nowhere.json}}}",
        "",
        "is not installed",
    );
    check("knn", KNN, "{", "is no artifact of `knn`");
    check(
        "knn",
        KNN,
        &artifact("b").replace(",0]", "]"),
        "was fitted on 15 numbers; vectors of `encoder`",
    );
    for algorithm in ["kmeans", "svm", "mlp"] {
        let global = format!("{{ml: {{{algorithm}: {{pretrained_path: artifact.json}}}}}}");
        check(
            algorithm,
            &global,
            &artifact("b"),
            &format!("is no artifact of `{algorithm}`"),
        );
    }
}

#[test]
fn prompt_is_not_available() {
    let selection = select(
        &build("{type: prompt, prompt: {model: a}}", "{}", ""),
        &[0, 1, 2],
    );
    assert_eq!(
        (selection.candidate, selection.fallback),
        (Some(0), Some(Fallback::Unavailable))
    );
}

const ALGORITHMS: [&str; 9] = [
    "{type: static}",
    "{type: weighted}",
    "{type: multi_factor}",
    "{type: multi_factor, multi_factor: {weights: {energy: 1}, slo: {max_cost_per_1m: 1}}}",
    "{type: latency_aware, latency_aware: {tpot_percentile: 90, ttft_percentile: 95}}",
    "{type: router_dc}",
    "{type: automix}",
    "{type: hybrid}",
    "{type: knn}",
];

#[test]
fn types_that_choose_no_single_model_select_statically() {
    for (algorithm, expected) in [
        ("", "static"),
        ("fusion", "static"),
        ("confidence", "static"),
        ("astrology", "static"),
        ("multi_factor", "multi_factor"),
        ("mlp", "mlp"),
    ] {
        assert_eq!(method(algorithm), expected, "{algorithm}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked, the choice is eligible, and scores are numbers.
    #[test]
    fn only_the_eligible_are_chosen(
        vector in proptest::option::of(proptest::collection::vec(proptest::num::f32::ANY, 0..4)),
        draw in proptest::option::of(0.0..1.0_f64),
        kept in proptest::sample::subsequence(vec![0_usize, 1, 2], 1..=3),
    ) {
        for algorithm in ALGORITHMS {
            let recipe = build(algorithm, KNN, &artifact("b"));
            let asked = SelectionRequest { vector: vector.as_deref(), draw, ..SelectionRequest::default() };
            let selection = recipe.routes[0].candidates.select(&asked, &kept);
            prop_assert!(selection.candidate.is_some_and(|index| kept.contains(&index)), "{algorithm} {selection:?}");
            prop_assert!(selection.score.is_finite() && selection.confidence.is_finite(), "{algorithm} {selection:?}");
            let finite = selection.scores.iter().all(|(index, score)| kept.contains(index) && score.is_finite());
            prop_assert!(finite, "{algorithm} {selection:?}");
        }
    }
}

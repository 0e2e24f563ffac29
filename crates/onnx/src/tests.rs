//! Real graphs on ONNX Runtime. Skipped, and said so, where models are not installed.

use crate::{Provider, Runtime, RuntimeSettings, StartError};
use futures_executor::block_on;
use inference::ask::{Answer, Ask, Failure, Question, Reply, What};
use inference::catalog::{Catalog, LoadError, Task, Wanted};
use inference::engine::Engine;
use inference::handle::Embedder;
use inference::language::{DetectLanguage, Detected};
use inference::library::Library;
use inference::settings::{EngineSettings, LibrarySettings, Precision};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

struct Real {
    engine: Arc<Engine>,
    library: Library,
}

impl Real {
    fn embedder(&self) -> Embedder {
        self.library.embedder(&Wanted::default()).unwrap()
    }

    fn ask(&self, by: &Embedder, text: &str) -> Reply {
        let question = Question::new(text.into(), What::Vector(by.clone()));
        block_on(
            self.engine
                .ask(&[question], Instant::now() + Duration::from_secs(60)),
        )
        .pop()
        .unwrap()
        .unwrap()
    }

    fn vector(&self, by: &Embedder, text: &str) -> Arc<[f32]> {
        match self.ask(by, text).answer {
            Answer::Vector(vector) => vector,
            other => panic!("{other:?}"),
        }
    }
}

fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("MERIT_MODELS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.merit/models")),
        PathBuf::from,
    );
    if folder.join("onnxruntime").is_dir() && folder.join("all-MiniLM-L6-v2").is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: no models in {}; run `cargo xtask models`",
        folder.display()
    );
    None
}

fn runtime(models: &Path, providers: &[Provider]) -> Result<Runtime, StartError> {
    Runtime::load(&RuntimeSettings {
        library: None,
        models: models.to_owned(),
        providers: providers.to_vec(),
    })
}

/// An engine with nothing in its cache. It keeps nothing either, so that every answer is a run.
fn real(precision: Precision) -> Option<Real> {
    let models = models()?;
    let mut settings = EngineSettings {
        lanes: 2,
        ..EngineSettings::default()
    };
    settings.cache.entries = 0;
    let backend = Arc::new(runtime(&models, &[Provider::Cpu]).unwrap());
    let engine = Arc::new(Engine::start(&settings).unwrap());
    let library = LibrarySettings {
        precision,
        ..LibrarySettings::new(models, &settings)
    };
    Some(Real {
        library: Library::new(library, backend, Arc::clone(&engine)),
        engine,
    })
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[track_caller]
fn check(real: &Real, pair: (&str, &str), expected: f32, tolerance: f32) {
    let by = real.embedder();
    let found = cosine(&real.vector(&by, pair.0), &real.vector(&by, pair.1));
    assert!(
        (found - expected).abs() < tolerance,
        "{pair:?}: {found}, not {expected}"
    );
}

/// The example pairs of the encoder's own description, as it publishes them.
const PAIRS: [((&str, &str), f32); 2] = [
    (("That is a happy person", "That is a happy dog"), 0.6946),
    (
        ("That is a happy person", "That is a very happy person"),
        0.9429,
    ),
];

#[test]
fn gives_the_published_cosines() {
    let Some(real) = real(Precision::Fp32) else {
        return;
    };
    PAIRS
        .iter()
        .for_each(|(pair, expected)| check(&real, *pair, *expected, 1e-3));
    check(
        &real,
        ("That is a happy person", "Today is a sunny day"),
        0.2569,
        1e-3,
    );
}

#[test]
fn int8_is_near() {
    let Some(real) = real(Precision::Int8) else {
        return;
    };
    PAIRS
        .iter()
        .for_each(|(pair, expected)| check(&real, *pair, *expected, 0.03));
}

#[test]
fn equal_files_are_loaded_once() {
    let Some(real) = real(Precision::Int8) else {
        return;
    };
    let (first, second) = (real.embedder(), real.embedder());
    assert!(Arc::ptr_eq(
        first.backing.as_ref().unwrap(),
        second.backing.as_ref().unwrap()
    ));
    let named = Wanted {
        folder: "models/all-MiniLM-L6-v2".to_owned(),
        mapping: None,
    };
    let third = real.library.embedder(&named).unwrap();
    assert!(Arc::ptr_eq(
        first.backing.as_ref().unwrap(),
        third.backing.as_ref().unwrap()
    ));
    assert_eq!(real.library.notes(), [""; 0]);
}

#[test]
fn says_what_stands_in() {
    let Some(real) = real(Precision::Int8) else {
        return;
    };
    let wanted = |folder: &str| Wanted {
        folder: folder.to_owned(),
        mapping: None,
    };
    assert_eq!(
        real.library
            .embedder(&wanted("models/mom-embedding-pro"))
            .unwrap()
            .dimension,
        384
    );
    assert_eq!(
        real.library.notes(),
        ["models/mom-embedding-pro is not installed; all-MiniLM-L6-v2 answers for it"]
    );
    let missing = real
        .library
        .classifier(Task::Own, &wanted("models/ours"))
        .err();
    assert!(
        matches!(missing, Some(LoadError::Missing { .. })),
        "{missing:?}"
    );
}

#[test]
fn features_have_statics_beside_them() {
    let Some(real) = real(Precision::Int8) else {
        return;
    };
    let by = real.embedder();
    let features = real
        .engine
        .features(&by, &["What is the capital of France?".to_owned()])
        .unwrap();
    let [window] = features[0].as_slice() else {
        panic!("{features:?}")
    };
    assert_eq!(
        (window.pooled.len(), window.statics.len(), window.tokens),
        (384, 512, 7)
    );
    for unit in [
        &window.pooled[..],
        &window.statics[..256],
        &window.statics[256..],
    ] {
        assert!((cosine(unit, unit) - 1.0).abs() < 1e-4);
    }
    let states = real.engine.states(&by, "Ärger in Köln").unwrap();
    assert_eq!(states[0].1.dim(), (states[0].0.len(), 384));
    assert_eq!(states[0].0.last().unwrap().1, "Ärger in Köln".len());
}

#[test]
fn cost_is_linear_and_bounded() {
    let Some(real) = real(Precision::Int8) else {
        return;
    };
    let by = real.embedder();
    let runs = |text: &str| {
        let before = real.engine.statistics().runs;
        let reply = real.ask(&by, text);
        (real.engine.statistics().runs - before, reply.truncated)
    };
    let numbered = |words: usize| {
        (0..words)
            .map(|word| char::from(b'a' + (word % 26) as u8).to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(runs(&numbered(200)), (1, false));
    assert_eq!(runs(&numbered(500)), (3, false));
    assert_eq!(runs(&numbered(8_000)), (3, false));
    // Equal windows are read once.
    assert_eq!(runs(&"word ".repeat(500)), (2, false));
    let begin = Instant::now();
    assert_eq!(runs(&numbered(250_000)), (3, true));
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn missing_providers_are_errors_unless_another_follows() {
    let Some(models) = models() else { return };
    let refused = runtime(&models, &[Provider::Cuda]).err();
    if refused.is_none() {
        eprintln!("skipped: CUDA is here");
        return;
    }
    assert!(
        matches!(
            refused,
            Some(StartError::Provider {
                provider: Provider::Cuda,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(
        runtime(
            &models,
            &[Provider::TensorRt, Provider::Cuda, Provider::Cpu]
        )
        .unwrap()
        .provider(),
        Provider::Cpu
    );
}

#[test]
fn a_missing_library_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = runtime(folder.path(), &[])
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(
        missing.contains("cargo xtask models") && missing.contains("--onnxruntime"),
        "{missing}"
    );
}

#[test]
fn without_a_model_questions_are_unready() {
    let Some(real) = real(Precision::Int8) else {
        return;
    };
    let by = Embedder {
        backing: None,
        ..real.embedder()
    };
    let question = Question::new("text".into(), What::Vector(by));
    let outcomes = block_on(
        real.engine
            .ask(&[question], Instant::now() + Duration::from_secs(1)),
    );
    assert_eq!(outcomes, [Err(Failure::Unready)]);
}

/// Cosines that the package of the encoder's weights gives by an engine of its own.
const PAIRS_OF_LANGUAGES: [((&str, &str), f32); 4] = [
    (
        (
            "How do I reset my password?",
            "¿Cómo puedo restablecer mi contraseña?",
        ),
        0.9078,
    ),
    (
        ("How do I reset my password?", "今日の天気はどうですか"),
        0.7383,
    ),
    (("今天天气怎么样？", "今日の天気はどうですか"), 0.9219),
    (
        (
            "안녕하세요, 오늘 뭐 먹을까요?",
            "Привет, что поедим сегодня?",
        ),
        0.9034,
    ),
];

const MULTILINGUAL: &str = "multilingual-e5-small";

/// The models with the encoder of other languages, where it is installed.
fn real_multilingual() -> Option<Real> {
    let real = real(Precision::Int8)?;
    if models()?.join(MULTILINGUAL).is_dir() {
        return Some(real);
    }
    eprintln!("skipped: no {MULTILINGUAL}; run `cargo xtask models`");
    None
}

#[test]
fn the_encoder_of_other_languages_is_near_its_source() {
    let Some(real) = real_multilingual() else {
        return;
    };
    let by = real.library.embedder(&Wanted {
        folder: MULTILINGUAL.to_owned(),
        mapping: None,
    });
    let by = by.unwrap();
    for ((left, right), expected) in PAIRS_OF_LANGUAGES {
        let found = cosine(&real.vector(&by, left), &real.vector(&by, right));
        assert!((found - expected).abs() < 0.02, "{left}: {found}");
    }
}

/// Takes all that is not ASCII for another language than English.
struct ByScript;

impl DetectLanguage for ByScript {
    fn detect(&self, text: &str) -> Option<Detected> {
        Some(Detected {
            code: if text.is_ascii() { "en" } else { "ja" },
            confidence: 1.0,
        })
    }
}

#[test]
fn examples_in_english_answer_questions_in_other_languages() {
    let Some(Real { engine, library }) = real_multilingual() else {
        return;
    };
    let library = library.with_languages(Arc::new(ByScript));
    let by = library.embedder_by_language(&Wanted::default()).unwrap();
    let examples = ["How do I reset my password?", "Will it rain tomorrow?"];
    let examples = library.vectors(&by, &examples.map(String::from)).unwrap();
    let real = Real { engine, library };

    let similarities = |text: &str| -> Vec<f32> {
        let vector = real.vector(&by, text);
        assert_eq!(vector.len(), by.dimension);
        let each = examples.iter();
        each.map(|example| by.scale.similarity(&vector, example))
            .collect()
    };
    for text in [
        "I forgot my password",
        "パスワードを忘れました",
        "Ich hab’ mein Passwort vergessen",
    ] {
        let found = similarities(text);
        assert!(found[0] > 0.45 && found[0] > found[1], "{text}: {found:?}");
    }
    assert_eq!(real.library.notes(), [""; 0]);
}

/// Vectors alone, and amid eight threads that ask for other things: equal to the last bit.
#[test]
fn traffic_changes_no_vector() {
    let Some(real) = real(Precision::Int8) else {
        return;
    };
    let by = real.embedder();
    let stop = AtomicBool::new(false);
    let texts = prop::collection::vec("[a-zA-Zäöüß€😀中文 .,!?0-9]{1,600}", 12);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let texts = texts.new_tree(&mut runner).unwrap().current();
    let alone: Vec<_> = texts.iter().map(|text| real.vector(&by, text)).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (real, by, stop, texts) = (&real, &by, &stop, &texts);
            scope.spawn(move || {
                let mut turn = thread;
                while !stop.load(Ordering::Relaxed) {
                    real.vector(by, &format!("{turn} {}", texts[turn % texts.len()]));
                    turn += 1;
                }
            });
        }
        let amid: Vec<_> = texts.iter().map(|text| real.vector(&by, text)).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(alone == amid);
    });
}

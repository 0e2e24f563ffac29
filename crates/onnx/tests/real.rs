//! Real graphs on ONNX Runtime. Skipped, and said so, where models are not installed.

use futures_executor::block_on;
use inference::ask::{Answer, Ask, Question, Reply, What};
use inference::catalog::{Catalog, Wanted};
use inference::engine::Engine;
use inference::handle::Embedder;
use inference::library::Library;
use inference::settings::{EngineSettings, LibrarySettings};
use onnx::{Provider, Runtime, RuntimeSettings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Real {
    engine: Arc<Engine>,
    library: Library,
}

fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("MERIT_MODELS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.merit/models")), PathBuf::from);
    if folder.join("onnxruntime").is_dir() && folder.join("all-MiniLM-L6-v2").is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no models in {}; run `cargo xtask models`", folder.display());
    None
}

fn real() -> Option<Real> {
    with(&EngineSettings { lanes: 2, ..EngineSettings::default() })
}

fn with(settings: &EngineSettings) -> Option<Real> {
    let models = models()?;
    let runtime = RuntimeSettings { library: None, models: models.clone(), providers: vec![Provider::Cpu] };
    let backend = Arc::new(Runtime::load(&runtime).unwrap());
    let engine = Arc::new(Engine::start(settings).unwrap());
    let library = Library::new(LibrarySettings::new(models, settings), backend, Arc::clone(&engine));
    Some(Real { engine, library })
}

fn vector(engine: &Engine, by: &Embedder, text: &str) -> Reply {
    let question = Question::new(text.into(), What::Vector(by.clone()));
    block_on(engine.ask(&[question], Instant::now() + Duration::from_secs(60))).pop().unwrap().unwrap()
}

fn numbers(reply: Reply) -> Arc<[f32]> {
    match reply.answer {
        Answer::Vector(vector) => vector,
        other => panic!("{other:?}"),
    }
}

#[test]
fn knows_what_is_alike() {
    let Some(real) = real() else { return };
    let by = real.library.embedder(&Wanted::default()).unwrap();
    let of = |text: &str| numbers(vector(&real.engine, &by, text));
    let cosine = |a: &str, b: &str| of(a).iter().zip(of(b).iter()).map(|(a, b)| a * b).sum::<f32>();
    let alike = cosine("How do I sort a list in Python?", "Sorting lists with Python code");
    let different = cosine("How do I sort a list in Python?", "The cat sleeps on the warm sofa.");
    assert!(alike > 0.7 && different < 0.15, "{alike} {different}");
    assert_eq!(by.dimension, 384);
    assert!((of("x").iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
}

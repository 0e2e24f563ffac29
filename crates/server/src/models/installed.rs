//! Models in a folder, run by ONNX Runtime.

use super::{Open, Opened};
use inference::cache::Bounds;
use inference::catalog::LoadError;
use inference::engine::Engine;
use inference::language::DetectLanguage;
use inference::library::Library;
use inference::settings::{EngineSettings, LibrarySettings, Precision};
use onnx::{Provider, Runtime, RuntimeSettings};
use router::config::server::{ExecutionProvider, Inference};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file in the folder of example vectors.
const VECTORS: &str = "prototypes.bin";

/// Where models and their runtime are, as the command line says.
#[derive(Debug, Clone, Default)]
pub struct Installed {
    /// Folder of all models.
    pub models: Option<PathBuf>,
    /// File of the ONNX Runtime library.
    pub onnxruntime: Option<PathBuf>,
}

impl Open for Installed {
    fn open(
        &self,
        settings: &Inference,
        languages: Option<Arc<dyn DetectLanguage>>,
    ) -> Result<Opened, LoadError> {
        let models = self.folder()?;
        let providers: Vec<Provider> = settings
            .execution_providers
            .iter()
            .map(|name| provider(*name))
            .collect();
        let library = self.onnxruntime.clone();
        let runtime = RuntimeSettings {
            library,
            models: models.to_owned(),
            providers,
        };
        let runtime = Runtime::load(&runtime).map_err(|error| unusable("onnxruntime", &error))?;
        let engine_settings = engine_settings(settings);
        let engine = Engine::start(&engine_settings).map_err(|error| unusable("engine", &error))?;
        let engine = Arc::new(engine);
        let library = LibrarySettings {
            precision: precision(&settings.precision, runtime.provider()),
            vectors: vectors(&settings.prototype_cache)?,
            ..LibrarySettings::new(models.to_owned(), &engine_settings)
        };
        tracing::info!(
            provider = runtime.provider().as_str(),
            precision = library.precision.as_str(),
            lanes = engine_settings.lanes(),
            models = %models.display(),
            "models are run here"
        );
        let library = Library::new(library, Arc::new(runtime), Arc::clone(&engine));
        let library = match languages {
            Some(languages) => library.with_languages(languages),
            None => library,
        };
        Ok(Opened {
            catalog: Arc::new(library),
            asker: engine.clone(),
            engine: Some(engine),
        })
    }
}

impl Installed {
    fn folder(&self) -> Result<&Path, LoadError> {
        let Some(models) = &self.models else {
            let problem = "no folder of models is given; install them with `cargo xtask models` and pass --models DIR \
                           (or set MERIT_MODELS)";
            return Err(unusable("encoder", &problem));
        };
        if models.is_dir() {
            return Ok(models);
        }
        let problem = format!(
            "the folder of models, {}, does not exist; install them with `cargo xtask models` or correct --models \
             (MERIT_MODELS)",
            models.display()
        );
        Err(unusable("encoder", &problem))
    }
}

fn engine_settings(settings: &Inference) -> EngineSettings {
    let bytes = usize::try_from(settings.cache_bytes).unwrap_or(usize::MAX);
    EngineSettings {
        lanes: settings.lanes as usize,
        queued_calls: settings.queue as usize,
        cache: Bounds {
            entries: settings.cache_entries as usize,
            bytes,
        },
    }
}

fn provider(name: ExecutionProvider) -> Provider {
    match name {
        ExecutionProvider::Cpu => Provider::Cpu,
        ExecutionProvider::Cuda => Provider::Cuda,
        ExecutionProvider::Tensorrt => Provider::TensorRt,
    }
}

/// Integers are fast on processors, and slow on cards.
fn precision(word: &str, provider: Provider) -> Precision {
    match (word, provider) {
        ("int8", _) => Precision::Int8,
        ("fp32", _) => Precision::Fp32,
        (_, Provider::Cpu) => Precision::Int8,
        _ => Precision::Fp32,
    }
}

/// The file of example vectors; its folder is made if need be.
fn vectors(folder: &str) -> Result<Option<PathBuf>, LoadError> {
    if folder.is_empty() {
        return Ok(None);
    }
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder).map_err(|error| {
        let problem = format!(
            "`global.server.inference.prototype_cache` {} cannot be made: {error}",
            folder.display()
        );
        unusable("prototypes", &problem)
    })?;
    Ok(Some(folder.join(VECTORS)))
}

fn unusable(name: &str, problem: &dyn std::fmt::Display) -> LoadError {
    LoadError::Unusable {
        name: name.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(installed: &Installed, settings: &Inference, expected: &[&str]) {
        let error = installed
            .open(settings, None)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let at = |models: Option<&Path>, library: Option<&str>| Installed {
            models: models.map(Path::to_owned),
            onnxruntime: library.map(PathBuf::from),
        };
        let usual = Inference::default();
        check(
            &at(None, None),
            &usual,
            &["--models DIR", "MERIT_MODELS", "cargo xtask models"],
        );
        check(
            &at(Some(Path::new("/nowhere")), None),
            &usual,
            &["/nowhere", "does not exist", "cargo xtask models"],
        );
        check(
            &at(Some(folder.path()), None),
            &usual,
            &["onnxruntime", "cargo xtask models"],
        );
        check(
            &at(Some(folder.path()), Some("/nowhere.so")),
            &usual,
            &["/nowhere.so", "--onnxruntime"],
        );
    }

    #[test]
    fn precision_follows_the_provider() {
        for (word, provider, expected) in [
            ("auto", Provider::Cpu, Precision::Int8),
            ("auto", Provider::Cuda, Precision::Fp32),
            ("fp32", Provider::Cpu, Precision::Fp32),
            ("int8", Provider::Cuda, Precision::Int8),
        ] {
            assert_eq!(precision(word, provider), expected, "{word} {provider:?}");
        }
    }
}

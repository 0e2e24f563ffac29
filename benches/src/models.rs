//! The installed models behind the engine, as the product opens them.

use anyhow::{Context as _, Result, anyhow, ensure};
use inference::catalog::{Catalog as _, Wanted};
use inference::engine::Engine;
use inference::handle::Embedder;
use inference::library::Library;
use inference::model::Model;
use inference::settings::{EngineSettings, LibrarySettings, Precision};
use onnx::{Provider, Runtime, RuntimeSettings};
use signals::families::language::LanguageDetector;
use std::path::PathBuf;
use std::sync::Arc;
use tests::envoy::root;

/// Engine and library over the folder of models.
pub struct Models {
    /// Answers questions.
    pub engine: Arc<Engine>,
    /// Finds models.
    pub library: Library,
    /// ONNX Runtime, loaded once a process.
    pub runtime: Arc<Runtime>,
}

/// `MERIT_MODELS`, else where `cargo xtask models` puts them.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("MERIT_MODELS").map_or_else(|| root().join(".merit/models"), PathBuf::from)
}

/// The detector that chooses between encoders, with the installed model where there is one.
fn languages() -> Result<LanguageDetector> {
    let assets = std::env::var_os("MERIT_ASSETS")
        .map_or_else(|| root().join(".merit/assets"), PathBuf::from);
    let model = Some(assets.join("lid.176.ftz")).filter(|file| file.is_file());
    Ok(LanguageDetector::load(model.as_deref())?)
}

impl Models {
    /// Opens what is installed; `lanes` of 0 are as many as cores.
    ///
    /// # Errors
    /// Nothing is installed, or it does not run.
    pub fn open(lanes: usize) -> Result<Self> {
        let models = folder();
        ensure!(
            models.is_dir(),
            "no models in {}; run `cargo xtask models`",
            models.display()
        );
        let runtime = RuntimeSettings {
            library: None,
            models,
            providers: vec![Provider::Cpu],
        };
        Self::on(Arc::new(Runtime::load(&runtime)?), lanes, Precision::Int8)
    }

    /// Another engine on the same runtime.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn on(runtime: Arc<Runtime>, lanes: usize, precision: Precision) -> Result<Self> {
        let settings = EngineSettings {
            lanes,
            ..EngineSettings::default()
        };
        let engine = Arc::new(Engine::start(&settings)?);
        let library = LibrarySettings {
            precision,
            ..LibrarySettings::new(folder(), &settings)
        };
        let library = Library::new(
            library,
            Arc::<Runtime>::clone(&runtime),
            Arc::clone(&engine),
        )
        .with_languages(Arc::new(languages()?));
        Ok(Self {
            engine,
            library,
            runtime,
        })
    }

    /// The default encoder.
    ///
    /// # Errors
    /// It is not installed, or does not run.
    pub fn encoder(&self) -> Result<Embedder> {
        Ok(self.library.embedder(&Wanted::default())?)
    }

    /// The graph behind the default encoder, without an engine around it.
    ///
    /// # Errors
    /// As [`encoder`](Self::encoder).
    pub fn bare(&self) -> Result<Arc<Model>> {
        let backing = self
            .encoder()?
            .backing
            .context("an encoder without a model")?;
        backing
            .downcast()
            .map_err(|_| anyhow!("an encoder of another kind"))
    }
}

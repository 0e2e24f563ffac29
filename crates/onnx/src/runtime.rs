//! The library, found and loaded once a process, and the sessions that it opens.

use crate::session::Graph;
use crate::weights::Weights;
use inference::backend::{Backend, Batching, OpenError, Session};
use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// ONNX Runtime, ready to open graphs.
pub struct Runtime {
    environment: Environment,
    providers: Vec<Provider>,
}

/// How to find and use the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// The library's file; without it, `onnxruntime/libonnxruntime.so*` below the models.
    pub library: Option<PathBuf>,
    /// Folder of all models.
    pub models: PathBuf,
    /// Execution providers in order of preference; the first that is there runs everything. Empty
    /// means the CPU.
    pub providers: Vec<Provider>,
}

/// What runs a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// An NVIDIA GPU with engines that are built for the graph.
    TensorRt,
}

impl Provider {
    /// Its name in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
        }
    }

    fn dispatch(self) -> ExecutionProviderDispatch {
        match self {
            // An arena a session: windows are of bounded length, so it stays small. Without it,
            // threads that come and go in the system's allocator leave more behind.
            Self::Cpu => ep::CPU::default().with_arena_allocator(true).build(),
            Self::Cuda => ep::CUDA::default().build().error_on_failure(),
            Self::TensorRt => ep::TensorRT::default().build().error_on_failure(),
        }
    }

    fn is_in_library(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => ep::CUDA::is_available().unwrap_or(false),
            Self::TensorRt => ep::TensorRT::is_available().unwrap_or(false),
        }
    }
}

/// Why the runtime cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No library is there.
    #[error("ONNX Runtime is not installed: no {}; run `cargo xtask models`, or set --onnxruntime", looked_for.display())]
    Missing {
        /// Where it would be.
        looked_for: PathBuf,
    },
    /// What is there cannot be loaded.
    #[error("ONNX Runtime cannot be loaded from {}: {problem}; run `cargo xtask models`, or set --onnxruntime", file.display())]
    Unloadable {
        /// The file.
        file: PathBuf,
        /// What the loader says.
        problem: String,
    },
    /// None of the providers is there.
    #[error("execution provider {} is not available: {problem}; list `cpu` after it to fall back, or install ONNX Runtime with it", provider.as_str())]
    Provider {
        /// The last of the list.
        provider: Provider,
        /// What the library says.
        problem: String,
    },
    /// The library fails.
    #[error("ONNX Runtime does not start: {0}")]
    Failed(String),
}

impl Runtime {
    /// Loads the library and chooses the provider.
    ///
    /// # Errors
    /// The library is not there, is too old, or has none of the providers.
    pub fn load(settings: &RuntimeSettings) -> Result<Self, StartError> {
        let file = find(settings)?;
        let environment = environment(&file)?;
        let providers = choose(&environment, &settings.providers)?;
        Ok(Self {
            environment,
            providers,
        })
    }

    /// The provider that graphs run on.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.providers.first().copied().unwrap_or(Provider::Cpu)
    }

    fn open_one(
        &self,
        file: &[u8],
        weights: &Weights,
        packed: &PrepackedWeights,
    ) -> Result<Graph, ort::Error> {
        let builder = builder(&self.environment, &self.providers)?;
        let mut builder = weights.give(builder)?.with_prepacked_weights(packed)?;
        Graph::new(builder.commit_from_memory(file)?)
    }
}

impl Backend for Runtime {
    fn open(&self, graph: &Path, sessions: usize) -> Result<Vec<Box<dyn Session>>, OpenError> {
        let unopened = |problem: String| OpenError {
            graph: graph.to_owned(),
            problem: problem.into(),
        };
        let file = std::fs::read(graph).map_err(|error| unopened(error.to_string()))?;
        let weights = Weights::of(&file);
        let packed = PrepackedWeights::new();
        let open = |_| {
            let graph = self
                .open_one(&file, &weights, &packed)
                .map_err(|error| unopened(error.to_string()))?;
            Ok(Box::new(graph) as Box<dyn Session>)
        };
        (0..sessions.max(1)).map(open).collect()
    }

    fn batching(&self) -> Batching {
        Batching::One
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Runtime({:?})", self.providers)
    }
}

/// The process's one environment: the first library that is loaded stays.
fn environment(file: &Path) -> Result<Environment, StartError> {
    static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);
    let unloadable = |problem: String| StartError::Unloadable {
        file: file.to_owned(),
        problem,
    };
    // The loader takes relative paths from the executable's folder; ours are from the working
    // folder.
    let whole = std::path::absolute(file).map_err(|error| unloadable(error.to_string()))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((before, environment)) = loaded.as_ref() {
        return match *before == whole {
            true => Ok(environment.clone()),
            false => Err(unloadable(format!(
                "{} is in use; start again for another",
                before.display()
            ))),
        };
    }
    let builder = ort::init_from(&whole).map_err(|error| unloadable(error.to_string()))?;
    let environment = builder
        .with_name("merit")
        .with_telemetry(false)
        .build()
        .map_err(failed)?;
    *loaded = Some((whole, environment.clone()));
    Ok(environment)
}

/// One thread a run: lanes are the parallelism. Lengths vary, so a memory plan of one length serves
/// no other.
fn builder(
    environment: &Environment,
    providers: &[Provider],
) -> Result<SessionBuilder, ort::Error> {
    let dispatches: Vec<_> = providers
        .iter()
        .map(|provider| provider.dispatch())
        .collect();
    let builder = ort::session::Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_memory_pattern(false)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_flush_to_zero()?
        .with_execution_providers(dispatches)?;
    Ok(builder)
}

/// The providers from the first that is there on. One that is not there is an error if it is the
/// last.
fn choose(environment: &Environment, wanted: &[Provider]) -> Result<Vec<Provider>, StartError> {
    let mut rest = if wanted.is_empty() {
        &[Provider::Cpu][..]
    } else {
        wanted
    };
    loop {
        let Some(first) = rest.first() else {
            return Ok(vec![Provider::Cpu]);
        };
        let problem = match first.is_in_library() {
            false => "the library was built without it".to_owned(),
            true => match builder(environment, &[*first]) {
                Ok(_) => return Ok(rest.to_vec()),
                Err(error) => error.to_string(),
            },
        };
        if rest.len() == 1 {
            return Err(StartError::Provider {
                provider: *first,
                problem,
            });
        }
        tracing::warn!(
            provider = first.as_str(),
            problem,
            "execution provider is not available"
        );
        rest = &rest[1..];
    }
}

fn find(settings: &RuntimeSettings) -> Result<PathBuf, StartError> {
    if let Some(file) = &settings.library {
        return if file.is_file() {
            Ok(file.clone())
        } else {
            Err(StartError::Missing {
                looked_for: file.clone(),
            })
        };
    }
    let folder = settings.models.join("onnxruntime");
    let named = |file: &PathBuf| {
        file.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so"))
    };
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.retain(named);
    files.sort();
    files.pop().ok_or_else(|| StartError::Missing {
        looked_for: folder.join("libonnxruntime.so*"),
    })
}

fn failed(error: ort::Error) -> StartError {
    StartError::Failed(error.to_string())
}

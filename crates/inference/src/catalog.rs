//! Finding models for a document.

use crate::handle::{Classifier, CosineMap, Cost, Embedder, Tagger};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Finds models. Loading is slow and happens while a generation is built, off the request's way;
/// equal files load once.
pub trait Catalog: Send + Sync {
    /// The encoder that a document asks for.
    ///
    /// # Errors
    /// It is not there, is damaged, or does not run.
    fn embedder(&self, wanted: &Wanted) -> Result<Embedder, LoadError>;

    /// The encoder that a document asks for, or one for each language where it names none: vectors
    /// of texts and examples then have two parts, which their scale compares.
    ///
    /// # Errors
    /// As [`embedder`](Self::embedder).
    fn embedder_by_language(&self, wanted: &Wanted) -> Result<Embedder, LoadError> {
        self.embedder(wanted)
    }

    /// A classifier of sequences: the folder that is asked for if it is installed, else the head
    /// for the task.
    ///
    /// # Errors
    /// As [`embedder`](Self::embedder); also labels that do not fit the model.
    fn classifier(&self, task: Task, wanted: &Wanted) -> Result<Classifier, LoadError>;

    /// A classifier of tokens, with rules for what can be verified.
    ///
    /// # Errors
    /// As [`classifier`](Self::classifier).
    fn tagger(&self, wanted: &Wanted) -> Result<Tagger, LoadError>;

    /// Vectors of example texts, in order, from the store of earlier runs where they are there.
    ///
    /// # Errors
    /// The model fails.
    fn vectors(&self, by: &Embedder, texts: &[String]) -> Result<Vec<Arc<[f32]>>, LoadError>;

    /// An encoder behind an OpenAI-compatible API. Its questions cost [`Cost::Remote`].
    ///
    /// # Errors
    /// Nothing here can ask over the network.
    fn remote_embedder(&self, wanted: &RemoteEmbedder) -> Result<Embedder, LoadError> {
        Err(wanted.endpoint.missing())
    }

    /// A model that is asked over the network which label a text has. Its questions cost
    /// [`Cost::Remote`].
    ///
    /// # Errors
    /// As [`remote_embedder`](Self::remote_embedder).
    fn remote_classifier(&self, wanted: &RemoteClassifier) -> Result<Classifier, LoadError> {
        Err(wanted.endpoint.missing())
    }

    /// The text of a file that a document names, absolute or below the folder that documents' paths
    /// start from.
    ///
    /// # Errors
    /// It cannot be read.
    fn text(&self, path: &Path) -> Result<String, LoadError> {
        std::fs::read_to_string(path).map_err(|_| LoadError::Missing {
            name: path.display().to_string(),
            looked_in: path.to_owned(),
        })
    }
}

/// A server of models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Name in the document, for people.
    pub name: String,
    /// URL below which the API's paths lie, for example `https://host/v1`.
    pub base_url: String,
    /// Model id.
    pub model: String,
    /// Environment variable of the credential; empty if there is none.
    pub key_variable: String,
    /// The credential itself; empty if there is none.
    pub key: Secret,
    /// Time limit of one call, within the request's own.
    pub timeout: Duration,
    /// Further attempts.
    pub retries: u32,
}

impl Endpoint {
    fn missing(&self) -> LoadError {
        LoadError::Missing {
            name: self.name.clone(),
            looked_in: PathBuf::from(&self.base_url),
        }
    }
}

/// An encoder over the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteEmbedder {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Dimensions asked for; 0 leaves it to the model.
    pub dimensions: usize,
}

/// A model that names the label of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RemoteClassifier {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How it is asked.
    pub protocol: RemoteProtocol,
    /// Labels in class order.
    pub labels: Vec<String>,
    /// What it is told.
    pub instructions: String,
    /// Longest answer in tokens; 0 leaves it to the model.
    pub max_tokens: u32,
    /// Sampling temperature.
    pub temperature: f64,
}

/// How a remote classifier is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RemoteProtocol {
    /// A chat completion that answers with a label.
    #[default]
    Chat,
    /// An endpoint that answers with labels and probabilities.
    Classify,
}

/// A credential: shown to nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_empty() { "none" } else { "***" })
    }
}

/// What a sequence classifier decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// One of the 14 categories of MMLU-Pro.
    Domain,
    /// Attack or not.
    Jailbreak,
    /// The answer rests on facts that can be checked.
    FactCheck,
    /// What the user thinks of the last answer.
    UserFeedback,
    /// Text, image or both.
    Modality,
    /// A classifier of the operator's own: only a folder will do.
    Own,
}

impl Task {
    /// Name of the shipped head.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Jailbreak => "jailbreak",
            Self::FactCheck => "fact_check",
            Self::UserFeedback => "user_feedback",
            Self::Modality => "modality",
            Self::Own => "own",
        }
    }
}

/// What a document says about a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Folder as written, below the models' folder or absolute; empty asks for what is built in.
    pub folder: String,
    /// File of labels, for models whose folder has none.
    pub mapping: Option<PathBuf>,
}

/// A model that cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// Nothing is there.
    #[error("model `{name}` is not installed; looked in {}", looked_in.display())]
    Missing {
        /// What was asked for.
        name: String,
        /// Where it would be.
        looked_in: PathBuf,
    },
    /// What is there cannot be used.
    #[error("model `{name}`: {problem}")]
    Unusable {
        /// What was asked for.
        name: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// Handles without models: names and labels are right, questions fail as unready. For `check` and
/// `explain` on a machine without models.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bare;

impl Bare {
    /// An encoder without a model.
    #[must_use]
    pub fn encoder() -> Embedder {
        let scale = CosineMap::default();
        Embedder {
            name: "none".into(),
            dimension: 0,
            cost: Cost::Encoder,
            scale,
            digest: "".into(),
            backing: None,
        }
    }

    /// A task's labels without a model.
    #[must_use]
    pub fn head(task: Task) -> Classifier {
        let labels = labels(task).iter().map(|label| Arc::from(*label)).collect();
        Classifier {
            name: task.as_str().into(),
            labels,
            threshold: None,
            cost: Cost::Encoder,
            backing: None,
        }
    }

    /// A finder of entities without a model.
    #[must_use]
    pub fn finder() -> Tagger {
        Tagger {
            name: "pii".into(),
            kinds: Arc::default(),
            cost: Cost::Encoder,
            backing: None,
        }
    }
}

impl Catalog for Bare {
    fn embedder(&self, _wanted: &Wanted) -> Result<Embedder, LoadError> {
        Ok(Self::encoder())
    }

    fn classifier(&self, task: Task, _wanted: &Wanted) -> Result<Classifier, LoadError> {
        Ok(Self::head(task))
    }

    fn tagger(&self, _wanted: &Wanted) -> Result<Tagger, LoadError> {
        Ok(Self::finder())
    }

    fn vectors(&self, _by: &Embedder, texts: &[String]) -> Result<Vec<Arc<[f32]>>, LoadError> {
        Ok(texts.iter().map(|_| Arc::default()).collect())
    }

    fn remote_embedder(&self, wanted: &RemoteEmbedder) -> Result<Embedder, LoadError> {
        let name = wanted.endpoint.name.as_str().into();
        Ok(Embedder {
            name,
            cost: Cost::Remote,
            ..Self::encoder()
        })
    }

    fn remote_classifier(&self, wanted: &RemoteClassifier) -> Result<Classifier, LoadError> {
        Ok(wanted.without_model())
    }
}

impl RemoteClassifier {
    /// A handle with the right name, labels and cost, and nothing behind it.
    #[must_use]
    pub fn without_model(&self) -> Classifier {
        let labels = self
            .labels
            .iter()
            .map(|label| Arc::from(label.as_str()))
            .collect();
        let name = self.endpoint.name.as_str().into();
        Classifier {
            name,
            labels,
            threshold: None,
            cost: Cost::Remote,
            backing: None,
        }
    }
}

/// The labels of the shipped heads, in class order.
#[must_use]
pub fn labels(task: Task) -> &'static [&'static str] {
    match task {
        Task::Domain => &[
            "biology",
            "business",
            "chemistry",
            "computer science",
            "economics",
            "engineering",
            "health",
            "history",
            "law",
            "math",
            "other",
            "philosophy",
            "physics",
            "psychology",
        ],
        Task::Jailbreak => &["benign", "jailbreak"],
        Task::FactCheck => &["no_fact_check_needed", "needs_fact_check"],
        Task::UserFeedback => &[
            "satisfied",
            "need_clarification",
            "wrong_answer",
            "want_different",
        ],
        Task::Modality => &["AR", "DIFFUSION", "BOTH"],
        Task::Own => &[],
    }
}

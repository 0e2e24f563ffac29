//! The frame of algorithms that were fitted on routing records: `knn`, `kmeans`, `svm`, `mlp`.
//!
//! ```yaml
//! global:
//!   router:
//!     model_selection:
//!       ml:
//!         knn: { pretrained_path: selection/knn.json }   # written by `merit train selection`
//! ```
//!
//! Each reads one vector: that of the user's turn, followed by fourteen numbers, one of them 1,
//! for the category. They answer with a model's name. Without a usable artifact they do
//! not choose, and the decision falls back visibly.

use super::method::{Building, Checking, DecisionInput, Method};
use super::process::{MlSelection, PATH};
use super::{Choice, SelectionError, SelectionInput, Selector};
use inference::handle::Embedder;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Categories in the order of their places behind the vector.
pub const CATEGORIES: [&str; 14] = [
    "math",
    "physics",
    "chemistry",
    "biology",
    "computer science",
    "history",
    "economics",
    "business",
    "law",
    "health",
    "psychology",
    "philosophy",
    "other",
    "unknown",
];
/// What is said of a parameter of fitting.
pub(super) const FITTED: &str = "has no effect: what was fitted is in the artifact";
/// Place of everything that is not in the list.
const OTHER: usize = 12;

/// Returns the vector that artifacts are fitted on and read.
#[must_use]
pub fn features(vector: &[f32], category: &str) -> Vec<f64> {
    let place = CATEGORIES
        .iter()
        .position(|name| *name == category)
        .unwrap_or(OTHER);
    let one_hot = (0..CATEGORIES.len()).map(|index| if index == place { 1.0 } else { 0.0 });
    vector
        .iter()
        .map(|number| f64::from(*number))
        .chain(one_hot)
        .collect()
}

/// A fitted algorithm.
pub trait Artifact: Send + Sync {
    /// Returns how many numbers its vector has.
    fn dimension(&self) -> usize;

    /// Chooses a model among those that it may name; `None` if it may name none, or has no finite
    /// answer.
    fn choose<'a>(&'a self, features: &[f64], may: &dyn Fn(&str) -> bool) -> Option<&'a str>;
}

/// An algorithm whose artifact is read from a file.
pub(super) trait Fitted: Artifact + Sized + 'static {
    /// The name: `algorithm.type`, and the block below `model_selection.ml`.
    const NAME: &'static str;

    /// Returns the file that the document names, if it has the algorithm's block.
    fn path(ml: &MlSelection) -> Option<&str>;

    /// Reads the artifact.
    ///
    /// # Errors
    /// It is something else, or does not fit together.
    fn load(json: &str, building: &mut Building<'_>) -> Result<Self, ArtifactError>;
}

impl<A: Fitted> Method for A {
    type Block = ();
    const NAME: &'static str = <A as Fitted>::NAME;

    fn check(_block: Option<&()>, checking: &mut Checking<'_>) {
        report_missing::<A>(checking);
    }

    fn build(
        _block: Option<&()>,
        _decision: &DecisionInput<'_>,
        building: &mut Building<'_>,
    ) -> Option<Box<dyn Selector>> {
        Some(selector::<A>(building))
    }
}

/// Artifacts of one recipe by algorithm; `None` for one that cannot be used.
pub type Artifacts = HashMap<&'static str, Option<Arc<dyn Artifact>>>;

/// Builds the selector of a fitted algorithm; without a usable artifact it never answers.
fn selector<A: Fitted>(building: &mut Building<'_>) -> Box<dyn Selector> {
    let Some(artifact) = artifact::<A>(building) else {
        return Box::new(Untrained);
    };
    let encoder = building.encoder();
    match Learned::new(<A as Fitted>::NAME, artifact, encoder) {
        Ok(learned) => Box::new(learned),
        Err(error) => {
            report_untrained::<A>(&error, building);
            Box::new(Untrained)
        }
    }
}

/// Reports that an algorithm has no artifact, where it has something to choose.
fn report_missing<A: Fitted>(checking: &mut Checking<'_>) {
    let ml = checking.process.and_then(|process| process.ml.as_ref());
    if checking.model_refs.len() >= 2 && ml.and_then(file::<A>).is_none() {
        let name = <A as Fitted>::NAME;
        let message = format!(
            "`{name}` is not trained, so every request falls back to the first candidate: `{PATH}.ml.{name}.pretrained_path` is missing"
        );
        checking.findings.warn(checking.path, message);
    }
}

/// Returns the file of an algorithm's artifact, if one is named.
fn file<A: Fitted>(ml: &MlSelection) -> Option<&str> {
    A::path(ml).map(str::trim).filter(|path| !path.is_empty())
}

/// Returns the artifact of an algorithm, which all decisions of the recipe share.
fn artifact<A: Fitted>(building: &mut Building<'_>) -> Option<Arc<dyn Artifact>> {
    if let Some(artifact) = building.artifacts.get(<A as Fitted>::NAME) {
        return artifact.clone();
    }
    let path = file::<A>(building.process?.ml.as_ref()?)?;
    let read: Option<Arc<dyn Artifact>> = match building.catalog.text(Path::new(path)) {
        Ok(json) => match A::load(&json, building) {
            Ok(artifact) => Some(Arc::new(artifact)),
            Err(error) => {
                report_untrained::<A>(&error, building);
                None
            }
        },
        Err(error) => {
            report_untrained::<A>(&error, building);
            None
        }
    };
    building
        .artifacts
        .entry(<A as Fitted>::NAME)
        .or_insert(read)
        .clone()
}

fn report_untrained<A: Fitted>(error: &dyn std::fmt::Display, building: &mut Building<'_>) {
    let name = <A as Fitted>::NAME;
    let message = format!("{error}; `{name}` is not trained, so the first candidate is taken");
    let path = format!("{PATH}.ml.{name}.pretrained_path");
    building.findings.warn(path, message);
}

/// An artifact that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is no artifact of this algorithm.
    #[error("is no artifact of `{algorithm}`: {problem}")]
    Malformed {
        /// The algorithm that was wanted.
        algorithm: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// It was fitted on other vectors.
    #[error("was fitted on {found} numbers; vectors of `{encoder}` and the category have {wanted}")]
    Dimension {
        /// What it reads.
        found: usize,
        /// What there is.
        wanted: usize,
        /// The encoder.
        encoder: Arc<str>,
    },
}

/// Builds the checks of artifacts: first what is said twice must agree, then numbers must be
/// numbers.
pub(super) struct ArtifactCheck {
    pub(super) algorithm: &'static str,
}

impl ArtifactCheck {
    /// Reads JSON, and wants its `algorithm` (where it has one) to be this one, and `trained` not
    /// to be false.
    pub(super) fn read<T: serde::de::DeserializeOwned>(
        &self,
        json: &str,
    ) -> Result<T, ArtifactError> {
        let head: Head = serde_json::from_str(json).map_err(|error| self.error(error))?;
        if head
            .algorithm
            .as_deref()
            .is_some_and(|name| name != self.algorithm)
        {
            return Err(self.error(format!(
                "its `algorithm` is `{}`",
                head.algorithm.unwrap_or_default()
            )));
        }
        if head.trained == Some(false) {
            return Err(self.error("its `trained` is false"));
        }
        serde_json::from_str(json).map_err(|error| self.error(error))
    }

    pub(super) fn error(&self, problem: impl ToString) -> ArtifactError {
        ArtifactError::Malformed {
            algorithm: self.algorithm,
            problem: problem.to_string(),
        }
    }

    pub(super) fn ensure(&self, holds: bool, problem: impl ToString) -> Result<(), ArtifactError> {
        if holds {
            Ok(())
        } else {
            Err(self.error(problem))
        }
    }

    /// Checks that all rows are there, equally long, and made of finite numbers. Returns their
    /// length.
    pub(super) fn rows(&self, name: &str, rows: &[Vec<f64>]) -> Result<usize, ArtifactError> {
        let length = rows.first().map_or(0, Vec::len);
        self.ensure(length > 0, format!("`{name}` is empty"))?;
        self.ensure(
            rows.iter().all(|row| row.len() == length),
            format!("rows of `{name}` differ in length"),
        )?;
        rows.iter().try_for_each(|row| self.finite(name, row))?;
        Ok(length)
    }

    pub(super) fn finite(&self, name: &str, numbers: &[f64]) -> Result<(), ArtifactError> {
        self.ensure(
            numbers.iter().all(|number| number.is_finite()),
            format!("`{name}` holds a number that is none"),
        )
    }
}

#[derive(serde::Deserialize)]
struct Head {
    algorithm: Option<String>,
    trained: Option<bool>,
}

/// Asks an artifact.
pub struct Learned {
    encoder: Embedder,
    artifact: Arc<dyn Artifact>,
    reason: Arc<str>,
}

impl Learned {
    /// Builds the algorithm; `algorithm` is its name, for the reason.
    ///
    /// # Errors
    /// The artifact reads other vectors than the encoder gives. An encoder that does not know its
    /// own dimension is believed.
    pub fn new(
        algorithm: &str,
        artifact: Arc<dyn Artifact>,
        encoder: Embedder,
    ) -> Result<Self, ArtifactError> {
        let (found, wanted) = (artifact.dimension(), encoder.dimension + CATEGORIES.len());
        if encoder.dimension > 0 && found != wanted {
            return Err(ArtifactError::Dimension {
                found,
                wanted,
                encoder: encoder.name.clone(),
            });
        }
        Ok(Self {
            encoder,
            artifact,
            reason: format!("named by the {algorithm} artifact").into(),
        })
    }
}

impl Selector for Learned {
    fn select(&self, input: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        let failed = |why: &str| SelectionError::Failed(why.into());
        let vector = input
            .request
            .vector
            .ok_or_else(|| failed("no vector of the user's turn"))?;
        let features = features(vector, input.request.category);
        if features.len() != self.artifact.dimension()
            || features.iter().any(|number| !number.is_finite())
        {
            return Err(failed("a vector of another kind"));
        }
        // Names of candidates that were dropped are passed over; a name that is no candidate's is
        // an answer, and wrong.
        let dropped =
            |name: &str| names(input, name).next().is_some() && eligible(input, name).is_none();
        let name = self.artifact.choose(&features, &|name| !dropped(name));
        let name = name.ok_or_else(|| failed("the artifact names no model"))?;
        let candidate = eligible(input, name)
            .ok_or_else(|| failed("the artifact names a model that is no candidate"))?;
        Ok(Choice {
            candidate,
            score: 1.0,
            confidence: 0.8,
            reason: Arc::clone(&self.reason),
            scores: Vec::new(),
        })
    }

    fn embedder(&self) -> Option<&Embedder> {
        Some(&self.encoder)
    }
}

/// Returns the candidates that a label means: by adapter, or by model where there is no adapter.
fn names<'a>(input: &SelectionInput<'a>, label: &str) -> impl Iterator<Item = usize> + use<'a> {
    let label = label.to_owned();
    let candidates = input.candidates.iter().enumerate();
    candidates
        .filter(move |(_, it)| super::upstream_name(&it.model_ref) == label)
        .map(|(index, _)| index)
}

fn eligible(input: &SelectionInput<'_>, label: &str) -> Option<usize> {
    names(input, label).find(|index| input.eligible.contains(index))
}

/// An algorithm without an artifact.
#[derive(Debug)]
pub struct Untrained;

impl Selector for Untrained {
    fn select(&self, _: &SelectionInput<'_>) -> Result<Choice, SelectionError> {
        Err(SelectionError::Failed("the selector is not trained".into()))
    }
}

/// Returns the squared Euclidean distance.
pub(super) fn squared_distance(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| (left - right) * (left - right))
        .sum()
}

#[cfg(test)]
mod tests;

//! The classifiers that the classification API answers with: those that some decision reaches, or
//! all with `preload`.

use document::{Problem, Severity};
use inference::catalog::{Catalog, LoadError, Task, Wanted};
use inference::handle::{Classifier, Embedder, Tagger};
use router::config::Document;
use router::generation::Generation;
use signals::catalog::ModelCatalog;
use signals::report::Kind;
use signals::wanted::{Asked, AskedEncoder};

/// Handles and thresholds, as the served document has them.
#[derive(Debug, Default)]
pub(crate) struct Classifiers {
    /// Domain.
    pub(crate) domain: Option<Sequence>,
    /// Jailbreak.
    pub(crate) jailbreak: Option<Sequence>,
    /// Fact check.
    pub(crate) fact_check: Option<Sequence>,
    /// User feedback.
    pub(crate) user_feedback: Option<Sequence>,
    /// Personal data.
    pub(crate) pii: Option<Entities>,
    /// Vectors.
    pub(crate) embedder: Option<Embedder>,
}

/// A classifier of texts, ready for use.
#[derive(Debug)]
pub(crate) struct Sequence {
    /// Its handle.
    pub(crate) model: Classifier,
    /// Least confidence.
    pub(crate) threshold: f32,
    /// Labels that count as a finding.
    pub(crate) positive: Vec<String>,
    /// Label of what stays below the threshold; empty keeps the label.
    pub(crate) fallback: String,
}

/// A finder of entities, ready for use.
#[derive(Debug)]
pub(crate) struct Entities {
    /// Its handle.
    pub(crate) model: Tagger,
    /// Least confidence.
    pub(crate) threshold: f32,
}

/// Families whose signals are read from the shared encoder or from heads on it.
const ENCODED: [Kind; 11] = [
    Kind::Embedding,
    Kind::Domain,
    Kind::FactCheck,
    Kind::UserFeedback,
    Kind::Reask,
    Kind::Preference,
    Kind::Complexity,
    Kind::Modality,
    Kind::Jailbreak,
    Kind::Pii,
    Kind::Kb,
];

impl Classifiers {
    /// Loads what the document reaches; a second look at files that a signal uses costs nothing.
    ///
    /// # Errors
    /// A model is not there.
    pub(crate) fn load(generation: &Generation, catalog: &dyn Catalog) -> Result<Self, LoadError> {
        let models = &generation.document.global.model_catalog;
        let all = generation.document.global.server.inference.preload;
        let reached = |kind: Kind| all || generation.recipes.iter().any(|recipe| recipe.uses(kind));
        let sequence = |kind: Kind, task: Task| {
            reached(kind)
                .then(|| sequence(models, task, catalog))
                .transpose()
        };
        let encoder = ENCODED.into_iter().any(reached);
        Ok(Self {
            domain: sequence(Kind::Domain, Task::Domain)?,
            jailbreak: sequence(Kind::Jailbreak, Task::Jailbreak)?,
            fact_check: sequence(Kind::FactCheck, Task::FactCheck)?,
            user_feedback: sequence(Kind::UserFeedback, Task::UserFeedback)?,
            pii: reached(Kind::Pii)
                .then(|| entities(models, catalog))
                .transpose()?,
            embedder: encoder.then(|| embedder(models, catalog)).transpose()?,
        })
    }
}

fn sequence(
    models: &ModelCatalog,
    task: Task,
    catalog: &dyn Catalog,
) -> Result<Sequence, LoadError> {
    let asked = Asked::classifier(models, task);
    let model = or_built_in(&asked.model, |wanted| catalog.classifier(task, wanted))?;
    let threshold = asked.threshold(model.threshold);
    let module = asked.module.cloned().unwrap_or_default();
    let positive = match (task, module.positive_labels.is_empty()) {
        (Task::Jailbreak, true) => vec!["jailbreak".to_owned()],
        _ => module.positive_labels,
    };
    Ok(Sequence {
        model,
        threshold,
        positive,
        fallback: module.fallback_category,
    })
}

fn entities(models: &ModelCatalog, catalog: &dyn Catalog) -> Result<Entities, LoadError> {
    let asked = Asked::tagger(models);
    let model = or_built_in(&asked.model, |wanted| catalog.tagger(wanted))?;
    Ok(Entities {
        threshold: asked.threshold(None),
        model,
    })
}

/// The encoder of all signals: that of the document's folder, of its API, or ours.
fn embedder(models: &ModelCatalog, catalog: &dyn Catalog) -> Result<Embedder, LoadError> {
    match AskedEncoder::of(models) {
        AskedEncoder::Folder(wanted) => or_built_in(&wanted, |wanted| catalog.embedder(wanted)),
        AskedEncoder::Service(wanted) => catalog.remote_embedder(&wanted),
    }
}

/// What the document names; if that is not there, what is built in, as for the signals, which warn
/// of it.
fn or_built_in<T>(
    wanted: &Wanted,
    find: impl Fn(&Wanted) -> Result<T, LoadError>,
) -> Result<T, LoadError> {
    match find(wanted) {
        Err(LoadError::Missing { .. }) if !wanted.folder.is_empty() => find(&Wanted::default()),
        found => found,
    }
}

/// Model folders of the document that stand for heads of ours, for `merit check`.
pub(super) fn resolutions(document: &Document, catalog: &dyn Catalog) -> Vec<Problem> {
    let models = &document.global.model_catalog;
    let mut notes = Vec::new();
    let mut note = |folder: &str, found: &str, what: &str| {
        let own = folder.rsplit('/').next().unwrap_or(folder);
        if !folder.is_empty() && found != own && found != folder {
            let message = format!(
                "`{folder}` is read as the built-in {what} `{found}` where no such folder is installed"
            );
            notes.push(Problem::new(
                Severity::Note,
                "global.model_catalog",
                message,
            ));
        }
    };
    for task in [
        Task::Domain,
        Task::Jailbreak,
        Task::FactCheck,
        Task::UserFeedback,
    ] {
        let wanted = Asked::classifier(models, task).model;
        // What cannot be loaded is an error of the signal that needs it, not of this list.
        if !wanted.folder.is_empty()
            && let Ok(model) = catalog.classifier(task, &wanted)
        {
            note(&wanted.folder, &model.name, "head");
        }
    }
    if let AskedEncoder::Folder(encoder) = AskedEncoder::of(models)
        && !encoder.folder.is_empty()
        && let Ok(model) = catalog.embedder(&encoder)
    {
        let name = if model.dimension == 0 {
            "all-MiniLM-L6-v2"
        } else {
            &model.name
        };
        note(&encoder.folder, name, "encoder");
    }
    notes
}

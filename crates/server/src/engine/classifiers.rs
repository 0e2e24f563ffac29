//! The classifiers that the classification API answers with: those that some decision reaches, or all with `preload`.

use crate::problem::{Diagnostic, Severity};
use inference::catalog::{Catalog, Endpoint, LoadError, RemoteEmbedder, Task, Wanted};
use inference::handle::{Classifier, Embedder, Tagger};
use router::config::Document;
use router::config::catalog::{EmbeddingEndpoint, ModelCatalog, SystemModels};
use router::config::modules::ClassifierModule;
use router::generation::Generation;
use router::report::Kind;
use std::path::PathBuf;
use std::time::Duration;

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
        let document = &generation.document;
        let all = document.global.server.inference.preload;
        let reached = |kind: Kind| all || generation.recipes.iter().any(|recipe| recipe.uses(kind));
        let sequence = |kind: Kind, task: Task| reached(kind).then(|| sequence(document, task, catalog)).transpose();
        let encoder = ENCODED.into_iter().any(reached);
        Ok(Self {
            domain: sequence(Kind::Domain, Task::Domain)?,
            jailbreak: sequence(Kind::Jailbreak, Task::Jailbreak)?,
            fact_check: sequence(Kind::FactCheck, Task::FactCheck)?,
            user_feedback: sequence(Kind::UserFeedback, Task::UserFeedback)?,
            pii: reached(Kind::Pii).then(|| entities(document, catalog)).transpose()?,
            embedder: encoder.then(|| embedder(&document.global.model_catalog, catalog)).transpose()?,
        })
    }
}

fn sequence(document: &Document, task: Task, catalog: &dyn Catalog) -> Result<Sequence, LoadError> {
    let (module, wanted) = asked_for(&document.global.model_catalog, task);
    let model = or_built_in(&wanted, |wanted| catalog.classifier(task, wanted))?;
    let module = module.cloned().unwrap_or_default();
    let positive = match (task, module.positive_labels.is_empty()) {
        (Task::Jailbreak, true) => vec!["jailbreak".to_owned()],
        _ => module.positive_labels,
    };
    let threshold = match (task, module.threshold) {
        // As the signals of the reference have it: nothing written as zero.
        (Task::FactCheck, Some(threshold)) if threshold <= 0.0 => 0.7,
        (Task::UserFeedback, Some(threshold)) if threshold <= 0.0 => 0.5,
        (_, written) => written.or(model.threshold).unwrap_or(usual(task)),
    };
    Ok(Sequence { model, threshold, positive, fallback: module.fallback_category })
}

fn entities(document: &Document, catalog: &dyn Catalog) -> Result<Entities, LoadError> {
    let models = &document.global.model_catalog;
    let module = models.modules.classifier.pii.as_ref();
    let mapping = |module: &ClassifierModule| module.pii_mapping_path.clone();
    let wanted = wanted(module, &models.system, &models.system.pii_classifier, mapping);
    let threshold = module.and_then(|module| module.threshold).unwrap_or(0.9);
    Ok(Entities { model: or_built_in(&wanted, |wanted| catalog.tagger(wanted))?, threshold })
}

/// The encoder of all signals: that of the document's folder, of its API, or ours.
fn embedder(models: &ModelCatalog, catalog: &dyn Catalog) -> Result<Embedder, LoadError> {
    let semantic = models.embeddings.semantic.as_ref();
    let config = semantic.and_then(|semantic| semantic.embedding_config.as_ref());
    if config.is_some_and(|config| config.backend == "openai_compatible" || config.model_type == "remote") {
        let endpoint = semantic.and_then(|semantic| semantic.endpoint.clone()).unwrap_or_default();
        return catalog.remote_embedder(&remote(&endpoint));
    }
    or_built_in(&encoder_of(models), |wanted| catalog.embedder(wanted))
}

fn remote(endpoint: &EmbeddingEndpoint) -> RemoteEmbedder {
    let seconds = if endpoint.timeout_seconds == 0 { 5 } else { endpoint.timeout_seconds };
    let service = Endpoint {
        name: endpoint.model.clone(),
        base_url: endpoint.base_url.trim().to_owned(),
        model: endpoint.model.clone(),
        key_variable: endpoint.api_key_env.clone(),
        timeout: Duration::from_secs(seconds.into()),
        retries: endpoint.max_retries,
        ..Endpoint::default()
    };
    RemoteEmbedder { endpoint: service, dimensions: endpoint.dimensions as usize }
}

/// What the document names; if that is not there, what is built in, as for the signals, which warn of it.
fn or_built_in<T>(wanted: &Wanted, find: impl Fn(&Wanted) -> Result<T, LoadError>) -> Result<T, LoadError> {
    match find(wanted) {
        Err(LoadError::Missing { .. }) if !wanted.folder.is_empty() => find(&Wanted::default()),
        found => found,
    }
}

/// The module of a task, and the model that it asks for.
fn asked_for(models: &ModelCatalog, task: Task) -> (Option<&ClassifierModule>, Wanted) {
    let (modules, system) = (&models.modules, &models.system);
    let (module, built_in) = match task {
        Task::Domain => (modules.classifier.domain.as_ref(), &system.domain_classifier),
        Task::Jailbreak => (modules.prompt_guard.as_ref(), &system.prompt_guard),
        Task::FactCheck => {
            let module = modules.hallucination_mitigation.as_ref().and_then(|module| module.fact_check.as_ref());
            (module, &system.fact_check_classifier)
        }
        Task::UserFeedback => (modules.feedback_detector.as_ref(), &system.feedback_detector),
        Task::Modality | Task::Own => return (None, Wanted::default()),
    };
    let mapping = |module: &ClassifierModule| match task {
        Task::Domain => module.category_mapping_path.clone(),
        Task::Jailbreak => module.jailbreak_mapping_path.clone(),
        Task::UserFeedback => module.feedback_mapping_path.clone(),
        _ => String::new(),
    };
    (module, wanted(module, system, built_in, mapping))
}

/// `model_id` wins over `model_ref`, which is a key of `system`; without either, `system` has an entry of the task.
fn wanted(
    module: Option<&ClassifierModule>,
    system: &SystemModels,
    built_in: &str,
    mapping: impl Fn(&ClassifierModule) -> String,
) -> Wanted {
    let Some(module) = module else { return Wanted { folder: built_in.to_owned(), mapping: None } };
    let folder = match (module.model_id.as_str(), module.model_ref.as_str()) {
        ("", "") => built_in,
        ("", key) => bound(system, key),
        (folder, _) => folder,
    };
    let mapping = Some(mapping(module)).filter(|path| !path.is_empty()).map(PathBuf::from);
    Wanted { folder: folder.to_owned(), mapping }
}

fn bound<'a>(system: &'a SystemModels, key: &str) -> &'a str {
    match key {
        "prompt_guard" => &system.prompt_guard,
        "domain_classifier" => &system.domain_classifier,
        "pii_classifier" => &system.pii_classifier,
        "fact_check_classifier" => &system.fact_check_classifier,
        "feedback_detector" => &system.feedback_detector,
        _ => "",
    }
}

/// The folder of the encoder that the document names.
fn encoder_of(models: &ModelCatalog) -> Wanted {
    let Some(semantic) = &models.embeddings.semantic else { return Wanted::default() };
    let kind = semantic.embedding_config.as_ref().map_or("", |config| config.model_type.as_str());
    let folder = match kind {
        "qwen3" => &semantic.qwen3_model_path,
        "gemma" => &semantic.gemma_model_path,
        "bert" => &semantic.bert_model_path,
        "multimodal" => &semantic.multimodal_model_path,
        _ => &semantic.mmbert_model_path,
    };
    Wanted { folder: folder.clone(), mapping: None }
}

/// The reference's thresholds where the document has none.
fn usual(task: Task) -> f32 {
    match task {
        Task::Jailbreak | Task::UserFeedback => 0.7,
        Task::FactCheck => 0.6,
        Task::Domain | Task::Modality | Task::Own => 0.5,
    }
}

/// Model folders of the document that stand for heads of ours, for `merit check`.
pub(super) fn resolutions(document: &Document, catalog: &dyn Catalog) -> Vec<Diagnostic> {
    let models = &document.global.model_catalog;
    let mut notes = Vec::new();
    let mut note = |folder: &str, found: &str, what: &str| {
        let own = folder.rsplit('/').next().unwrap_or(folder);
        if !folder.is_empty() && found != own && found != folder {
            let message =
                format!("`{folder}` is read as the built-in {what} `{found}` where no such folder is installed");
            notes.push(Diagnostic::new(Severity::Note, "global.model_catalog", message));
        }
    };
    for task in [Task::Domain, Task::Jailbreak, Task::FactCheck, Task::UserFeedback] {
        let (_, wanted) = asked_for(models, task);
        // What cannot be loaded is an error of the signal that needs it, not of this list.
        if !wanted.folder.is_empty()
            && let Ok(model) = catalog.classifier(task, &wanted)
        {
            note(&wanted.folder, &model.name, "head");
        }
    }
    let encoder = encoder_of(models);
    if !encoder.folder.is_empty()
        && let Ok(model) = catalog.embedder(&encoder)
    {
        let name = if model.dimension == 0 { "all-MiniLM-L6-v2" } else { &model.name };
        note(&encoder.folder, name, "encoder");
    }
    notes
}

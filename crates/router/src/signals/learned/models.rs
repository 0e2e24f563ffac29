//! Finding the models that a document asks for, and saying what becomes of those that cannot be had.

use crate::config::catalog::{EmbeddingEndpoint, ExternalModel};
use crate::config::modules::ClassifierModule;
use crate::config::{Document, Routing};
use crate::report::{Keys, Kind};
use crate::signals::{Deps, Problem};
use inference::catalog::{
    Bare, Endpoint, LoadError, RemoteClassifier, RemoteEmbedder, RemoteProtocol, Secret, Task, Wanted,
};
use inference::handle::{Classifier, Embedder, Tagger};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const SEMANTIC: &str = "global.model_catalog.embeddings.semantic";

/// What compiling the families needs, and what it finds wrong.
pub(super) struct Building<'a> {
    pub(super) routing: &'a Routing,
    pub(super) document: &'a Document,
    pub(super) keys: &'a mut Keys,
    pub(super) deps: &'a Deps<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    encoder: Option<Result<Embedder, LoadError>>,
}

/// Where a document says which folder holds a classifier.
pub(super) struct Source<'a> {
    /// The module's path.
    pub(super) path: &'static str,
    /// The module.
    pub(super) module: Option<&'a ClassifierModule>,
    /// The folder of `system` that is meant where the module names none.
    pub(super) system: &'a str,
    /// The module's file of labels.
    pub(super) mapping: &'a str,
}

impl<'a> Building<'a> {
    pub(super) fn new(routing: &'a Routing, document: &'a Document, keys: &'a mut Keys, deps: &'a Deps<'a>) -> Self {
        Self { routing, document, keys, deps, problems: Vec::new(), warnings: Vec::new(), encoder: None }
    }

    /// The encoder of all signals.
    pub(super) fn encoder(&mut self, kind: Kind) -> Embedder {
        let found = match self.encoder.take() {
            Some(found) => found,
            None => self.find_encoder(),
        };
        self.encoder = Some(found.clone());
        found.unwrap_or_else(|error| {
            self.lack(kind, SEMANTIC, &error);
            Bare::encoder()
        })
    }

    /// The encoder of this folder or of this `model_type`; nothing means that of all signals.
    pub(super) fn encoder_named(&mut self, kind: Kind, path: &str, name: &str) -> Embedder {
        let name = name.trim();
        if name.is_empty() {
            return self.encoder(kind);
        }
        let folder = self.encoder_folder(name).unwrap_or(name).to_owned();
        let wanted = Wanted { folder, mapping: None };
        let found = self.deps.catalog.embedder(&wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            Bare::encoder()
        })
    }

    fn find_encoder(&self) -> Result<Embedder, LoadError> {
        let document = self.document;
        let semantic = document.global.model_catalog.embeddings.semantic.as_ref();
        let config = semantic.and_then(|semantic| semantic.embedding_config.as_ref());
        let remote =
            config.is_some_and(|config| config.backend == "openai_compatible" || config.model_type == "remote");
        if remote {
            let endpoint = semantic.and_then(|semantic| semantic.endpoint.clone()).unwrap_or_default();
            return self.deps.catalog.remote_embedder(&remote_embedder(&endpoint));
        }
        let model_type = config.map(|config| config.model_type.trim()).filter(|name| !name.is_empty());
        let folder = self.encoder_folder(model_type.unwrap_or("mmbert")).unwrap_or_default().to_owned();
        let wanted = Wanted { folder, mapping: None };
        self.deps.catalog.embedder(&wanted)
    }

    /// The folder of a `model_type`.
    fn encoder_folder(&self, model_type: &str) -> Option<&'a str> {
        let semantic = self.document.global.model_catalog.embeddings.semantic.as_ref();
        let folder = |path: fn(&crate::config::catalog::SemanticEmbeddings) -> &String| {
            Some(semantic.map_or("", |semantic| path(semantic).trim()))
        };
        match model_type {
            "qwen3" => folder(|semantic| &semantic.qwen3_model_path),
            "gemma" => folder(|semantic| &semantic.gemma_model_path),
            "mmbert" => folder(|semantic| &semantic.mmbert_model_path),
            "multimodal" => folder(|semantic| &semantic.multimodal_model_path),
            "bert" => folder(|semantic| &semantic.bert_model_path),
            _ => None,
        }
    }

    /// The classifier of a task: the folder that the document names, or what the catalog has instead.
    pub(super) fn classifier(&mut self, kind: Kind, task: Task, source: &Source<'_>) -> Classifier {
        let wanted = self.wanted(source);
        let found = self.deps.catalog.classifier(task, &wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, source.path, &error);
            Bare::head(task)
        })
    }

    /// The classifier of tokens.
    pub(super) fn tagger(&mut self, kind: Kind, source: &Source<'_>) -> Tagger {
        let wanted = self.wanted(source);
        let found = self.deps.catalog.tagger(&wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, source.path, &error);
            Bare::finder()
        })
    }

    /// A classifier of the operator's own: nothing else will do.
    pub(super) fn own_classifier(&mut self, kind: Kind, path: &str, folder: &str) -> Classifier {
        let wanted = Wanted { folder: folder.trim().to_owned(), mapping: None };
        let found = self.deps.catalog.classifier(Task::Own, &wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            Bare::head(Task::Own)
        })
    }

    /// A model that is asked over the network.
    pub(super) fn remote_classifier(&mut self, kind: Kind, path: &str, wanted: &RemoteClassifier) -> Classifier {
        let found = self.deps.catalog.remote_classifier(wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            wanted.without_model()
        })
    }

    /// Vectors of example texts; empty ones where they cannot be had.
    pub(super) fn vectors(&mut self, kind: Kind, path: &str, by: &Embedder, texts: &[String]) -> Vec<Arc<[f32]>> {
        let found = self.deps.catalog.vectors(by, texts);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            texts.iter().map(|_| Arc::default()).collect()
        })
    }

    fn wanted(&self, source: &Source<'_>) -> Wanted {
        let system = &self.document.global.model_catalog.system;
        let named = source.module.map_or("", |module| module.model_id.trim());
        let referred = match source.module.map_or("", |module| module.model_ref.trim()) {
            "prompt_guard" => &system.prompt_guard,
            "domain_classifier" => &system.domain_classifier,
            "pii_classifier" => &system.pii_classifier,
            "fact_check_classifier" => &system.fact_check_classifier,
            "feedback_detector" => &system.feedback_detector,
            _ => source.system,
        };
        let folder = if named.is_empty() { referred.trim() } else { named };
        let mapping = Some(source.mapping.trim()).filter(|path| !path.is_empty()).map(PathBuf::from);
        Wanted { folder: folder.to_owned(), mapping }
    }

    /// A model that cannot be had is a problem if a decision needs it.
    fn lack(&mut self, kind: Kind, path: &str, error: &LoadError) {
        if (self.deps.used)(kind, "") {
            self.problem(path, error);
        } else {
            self.warn(path, error);
        }
    }

    /// Something that forbids serving the document.
    pub(super) fn problem(&mut self, path: impl Into<String>, message: impl Display) {
        push(&mut self.problems, path.into(), message.to_string());
    }

    /// Something odd.
    pub(super) fn warn(&mut self, path: impl Into<String>, message: impl Display) {
        push(&mut self.warnings, path.into(), message.to_string());
    }
}

/// One line once: families that share a model share its faults.
fn push(list: &mut Vec<Problem>, path: String, message: String) {
    let problem = Problem { path, message };
    if !list.contains(&problem) {
        list.push(problem);
    }
}

fn remote_embedder(endpoint: &EmbeddingEndpoint) -> RemoteEmbedder {
    let seconds = if endpoint.timeout_seconds == 0 { 5 } else { endpoint.timeout_seconds };
    let server = Endpoint {
        name: endpoint.model.clone(),
        base_url: endpoint.base_url.trim().trim_end_matches('/').to_owned(),
        model: endpoint.model.clone(),
        key_variable: endpoint.api_key_env.clone(),
        key: Secret::default(),
        timeout: Duration::from_secs(seconds.into()),
        retries: endpoint.max_retries,
    };
    RemoteEmbedder { endpoint: server, dimensions: endpoint.dimensions as usize }
}

/// A model of `global.model_catalog.external` that is to choose among labels.
pub(super) fn remote_classifier(external: &ExternalModel, labels: Vec<String>, instructions: &str) -> RemoteClassifier {
    let server = &external.llm_endpoint;
    let scheme = if server.protocol == "https" { "https" } else { "http" };
    let port = if server.port == 0 { String::new() } else { format!(":{}", server.port) };
    let seconds = if external.llm_timeout_seconds == 0 { 5 } else { external.llm_timeout_seconds };
    let endpoint = Endpoint {
        name: external.name.clone(),
        base_url: format!("{scheme}://{}{port}/v1", server.address),
        model: external.llm_model_name.clone(),
        key_variable: String::new(),
        key: Secret(external.access_key.clone()),
        timeout: Duration::from_secs(seconds.into()),
        retries: 0,
    };
    let max_tokens = if external.max_tokens == 0 { 128 } else { external.max_tokens };
    RemoteClassifier {
        endpoint,
        protocol: RemoteProtocol::Chat,
        labels,
        instructions: instructions.to_owned(),
        max_tokens,
        temperature: external.temperature,
    }
}

//! Finding the models that a document asks for, and saying what becomes of those that cannot be
//! had.

use crate::config::catalog::ExternalModel;
use crate::config::{Document, Routing};
use crate::report::{Keys, Kind};
use crate::signals::{Deps, Problem};
use crate::wanted::{Asked, AskedEncoder, encoder_folder};
use inference::catalog::{
    Bare, Endpoint, LoadError, RemoteClassifier, RemoteProtocol, Secret, Task, Wanted,
};
use inference::handle::{Classifier, Embedder, Tagger};
use std::fmt::Display;
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

impl<'a> Building<'a> {
    pub(super) fn new(
        routing: &'a Routing,
        document: &'a Document,
        keys: &'a mut Keys,
        deps: &'a Deps<'a>,
    ) -> Self {
        Self {
            routing,
            document,
            keys,
            deps,
            problems: Vec::new(),
            warnings: Vec::new(),
            encoder: None,
        }
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
        let folder = encoder_folder(&self.document.global.model_catalog, name)
            .unwrap_or(name)
            .to_owned();
        let wanted = Wanted {
            folder,
            mapping: None,
        };
        let found = self.deps.catalog.embedder(&wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            Bare::encoder()
        })
    }

    fn find_encoder(&self) -> Result<Embedder, LoadError> {
        match AskedEncoder::of(&self.document.global.model_catalog) {
            AskedEncoder::Folder(wanted) => self.deps.catalog.embedder(&wanted),
            AskedEncoder::Service(wanted) => self.deps.catalog.remote_embedder(&wanted),
        }
    }

    /// The classifier of a task: the folder that the document names, or what the catalog has
    /// instead.
    pub(super) fn classifier(&mut self, kind: Kind, task: Task, asked: &Asked<'_>) -> Classifier {
        let found = self.deps.catalog.classifier(task, &asked.model);
        found.unwrap_or_else(|error| {
            self.lack(kind, asked.path, &error);
            Bare::head(task)
        })
    }

    /// The classifier of tokens.
    pub(super) fn tagger(&mut self, kind: Kind, asked: &Asked<'_>) -> Tagger {
        let found = self.deps.catalog.tagger(&asked.model);
        found.unwrap_or_else(|error| {
            self.lack(kind, asked.path, &error);
            Bare::finder()
        })
    }

    /// A classifier of the operator's own: nothing else will do.
    pub(super) fn own_classifier(&mut self, kind: Kind, path: &str, folder: &str) -> Classifier {
        let wanted = Wanted {
            folder: folder.trim().to_owned(),
            mapping: None,
        };
        let found = self.deps.catalog.classifier(Task::Own, &wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            Bare::head(Task::Own)
        })
    }

    /// A model that is asked over the network.
    pub(super) fn remote_classifier(
        &mut self,
        kind: Kind,
        path: &str,
        wanted: &RemoteClassifier,
    ) -> Classifier {
        let found = self.deps.catalog.remote_classifier(wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            wanted.without_model()
        })
    }

    /// Vectors of example texts; empty ones where they cannot be had.
    pub(super) fn vectors(
        &mut self,
        kind: Kind,
        path: &str,
        by: &Embedder,
        texts: &[String],
    ) -> Vec<Arc<[f32]>> {
        let found = self.deps.catalog.vectors(by, texts);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            texts.iter().map(|_| Arc::default()).collect()
        })
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

/// A model of `global.model_catalog.external` that is to choose among labels.
pub(super) fn remote_classifier(
    external: &ExternalModel,
    labels: Vec<String>,
    instructions: &str,
) -> RemoteClassifier {
    let server = &external.llm_endpoint;
    let scheme = if server.protocol == "https" {
        "https"
    } else {
        "http"
    };
    let port = if server.port == 0 {
        String::new()
    } else {
        format!(":{}", server.port)
    };
    let seconds = if external.llm_timeout_seconds == 0 {
        5
    } else {
        external.llm_timeout_seconds
    };
    let endpoint = Endpoint {
        name: external.name.clone(),
        base_url: format!("{scheme}://{}{port}/v1", server.address),
        model: external.llm_model_name.clone(),
        key_variable: String::new(),
        key: Secret(external.access_key.clone()),
        timeout: Duration::from_secs(seconds.into()),
        retries: 0,
    };
    let max_tokens = if external.max_tokens == 0 {
        128
    } else {
        external.max_tokens
    };
    RemoteClassifier {
        endpoint,
        protocol: RemoteProtocol::Chat,
        labels,
        instructions: instructions.to_owned(),
        max_tokens,
        temperature: external.temperature,
    }
}

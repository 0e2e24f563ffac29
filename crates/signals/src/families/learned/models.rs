//! Finding the models that a document asks for, and saying what becomes of those that cannot be
//! had.

use super::Building;
use crate::catalog::ExternalModel;
use crate::report::Kind;
use crate::scope::Scope;
use crate::wanted::{Asked, AskedEncoder, encoder_folder};
use document::{Findings, Problem, Severity};
use inference::catalog::{
    Bare, Endpoint, LoadError, RemoteClassifier, RemoteProtocol, Secret, Task, Wanted,
};
use inference::handle::{Classifier, Embedder, Tagger};
use std::sync::Arc;
use std::time::Duration;

const SEMANTIC: &str = "global.model_catalog.embeddings.semantic";

impl Building<'_> {
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
        let folder = encoder_folder(self.scope.models, name)
            .unwrap_or(name)
            .to_owned();
        let wanted = Wanted {
            folder,
            mapping: None,
        };
        let found = self.deps.catalog.embedder_by_language(&wanted);
        found.unwrap_or_else(|error| {
            self.lack(kind, path, &error);
            Bare::encoder()
        })
    }

    fn find_encoder(&self) -> Result<Embedder, LoadError> {
        match AskedEncoder::of(self.scope.models) {
            AskedEncoder::Folder(wanted) => self.deps.catalog.embedder_by_language(&wanted),
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

    /// Reports a model that cannot be had: an error where a decision needs it, else a warning.
    fn lack(&mut self, kind: Kind, path: &str, error: &LoadError) {
        let severity = if (self.deps.used)(kind, "") {
            Severity::Error
        } else {
            Severity::Warning
        };
        self.findings
            .push(Problem::new(severity, path, error.to_string()));
    }
}

/// Reports settings of a module that leave the rules of its family without effect, or mean
/// something else here than in the reference.
pub(super) fn check_module(
    scope: &Scope<'_>,
    kind: Kind,
    asked: &Asked<'_>,
    findings: &mut Findings,
) {
    let written = !scope.signals.rules(kind).is_empty();
    let Some(module) = asked.module.filter(|_| written) else {
        return;
    };
    let path = scope.at(&format!("signals.{}", kind.section()));
    if asked.is_off() {
        findings.warn(
            path,
            format!("`{}` is off, so these rules never match", asked.path),
        );
    } else if matches!(kind, Kind::Jailbreak | Kind::Pii) && module.on_error == "allow" {
        let message = format!(
            "`{}.on_error: allow` lets pass what could not be read; omitted, it would match",
            asked.path
        );
        findings.note(path, message);
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
        key: Secret(external.access_key.to_string()),
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

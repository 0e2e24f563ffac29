//! Which models a document asks for: folders, label files, services, and the least confidence that
//! counts.
//!
//! One answer for the signals and for everybody else who asks the same models.

use crate::catalog::modules::ClassifierModule;
use crate::catalog::{EmbeddingEndpoint, ModelCatalog, SemanticEmbeddings};
use inference::catalog::{Endpoint, RemoteEmbedder, Secret, Task, Wanted};
use std::path::PathBuf;
use std::time::Duration;

/// A classifier's module, and the model that it asks for.
pub struct Asked<'a> {
    /// The module's path in the document.
    pub path: &'static str,
    /// The module, if the document has it.
    pub module: Option<&'a ClassifierModule>,
    /// The model; an empty folder asks for what is built in.
    pub model: Wanted,
    /// The threshold where neither module nor card has one.
    usual: f32,
    /// What a threshold of 0 or less means; `None`: itself.
    of_zero: Option<f32>,
}

impl<'a> Asked<'a> {
    /// The classifier of a task. One of the operator's own has no module.
    #[must_use]
    pub fn classifier(models: &'a ModelCatalog, task: Task) -> Self {
        let (modules, system) = (&models.modules, &models.system);
        match task {
            Task::Domain => {
                let module = modules.classifier.domain.as_ref();
                let labels = module.map_or("", |module| &module.category_mapping_path);
                let path = "global.model_catalog.modules.classifier.domain";
                Self::of(models, path, module, labels, &system.domain_classifier).usually(0.5)
            }
            Task::Jailbreak => {
                let module = modules.prompt_guard.as_ref();
                let labels = module.map_or("", |module| &module.jailbreak_mapping_path);
                let path = "global.model_catalog.modules.prompt_guard";
                Self::of(models, path, module, labels, &system.prompt_guard).usually(0.7)
            }
            Task::FactCheck => {
                let module = modules
                    .hallucination_mitigation
                    .as_ref()
                    .and_then(|module| module.fact_check.as_ref());
                let path = "global.model_catalog.modules.hallucination_mitigation.fact_check";
                let asked =
                    Self::of(models, path, module, "", &system.fact_check_classifier).usually(0.6);
                Self {
                    of_zero: Some(0.7),
                    ..asked
                }
            }
            Task::UserFeedback => {
                let module = modules.feedback_detector.as_ref();
                let labels = module.map_or("", |module| &module.feedback_mapping_path);
                let path = "global.model_catalog.modules.feedback_detector";
                let asked =
                    Self::of(models, path, module, labels, &system.feedback_detector).usually(0.7);
                Self {
                    of_zero: Some(0.5),
                    ..asked
                }
            }
            Task::Modality => {
                let folder = modules
                    .modality_detector
                    .as_ref()
                    .and_then(|detector| detector.classifier.as_ref());
                let folder = folder.map_or("", |folder| &folder.model_path);
                Self::of(
                    models,
                    "global.model_catalog.modules.modality_detector",
                    None,
                    "",
                    folder,
                )
            }
            Task::Own => Self::of(models, "", None, "", ""),
        }
    }

    /// The finder of personal data.
    #[must_use]
    pub fn tagger(models: &'a ModelCatalog) -> Self {
        let module = models.modules.classifier.pii.as_ref();
        let labels = module.map_or("", |module| &module.pii_mapping_path);
        let path = "global.model_catalog.modules.classifier.pii";
        Self::of(models, path, module, labels, &models.system.pii_classifier).usually(0.9)
    }

    /// The document turns the module off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.module
            .is_some_and(|module| module.enabled == Some(false))
    }

    /// Least confidence that counts: the module's, else that of the model's card, else the
    /// reference's.
    #[must_use]
    pub fn threshold(&self, of_card: Option<f32>) -> f32 {
        match self.module.and_then(|module| module.threshold) {
            Some(threshold) if threshold <= 0.0 => self.of_zero.unwrap_or(threshold),
            Some(threshold) => threshold,
            None => of_card.unwrap_or(self.usual),
        }
    }

    /// `model_id` wins over `model_ref`, a key of `system`; without either, or with a key that is
    /// none, it is `system`'s own entry for the task.
    fn of(
        models: &ModelCatalog,
        path: &'static str,
        module: Option<&'a ClassifierModule>,
        labels: &str,
        own: &str,
    ) -> Self {
        let system = &models.system;
        let named = module.map_or("", |module| module.model_id.trim());
        let referred = match module.map_or("", |module| module.model_ref.trim()) {
            "prompt_guard" => &system.prompt_guard,
            "domain_classifier" => &system.domain_classifier,
            "pii_classifier" => &system.pii_classifier,
            "fact_check_classifier" => &system.fact_check_classifier,
            "feedback_detector" => &system.feedback_detector,
            _ => own,
        };
        let folder = if named.is_empty() {
            referred.trim()
        } else {
            named
        };
        let mapping = Some(labels.trim())
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let model = Wanted {
            folder: folder.to_owned(),
            mapping,
        };
        Self {
            path,
            module,
            model,
            usual: 0.5,
            of_zero: None,
        }
    }

    fn usually(self, usual: f32) -> Self {
        Self { usual, ..self }
    }
}

/// Where the encoder of all signals is.
pub enum AskedEncoder {
    /// In a folder; an empty one asks for what is built in.
    Folder(Wanted),
    /// Behind an OpenAI-compatible API.
    Service(RemoteEmbedder),
}

impl AskedEncoder {
    /// The encoder that a document asks for.
    #[must_use]
    pub fn of(models: &ModelCatalog) -> Self {
        let semantic = models.embeddings.semantic.as_ref();
        let config = semantic.and_then(|semantic| semantic.embedding_config.as_ref());
        if config.is_some_and(|config| {
            config.backend == "openai_compatible" || config.model_type == "remote"
        }) {
            let endpoint = semantic.and_then(|semantic| semantic.endpoint.as_ref());
            return Self::Service(service(&endpoint.cloned().unwrap_or_default()));
        }
        let model_type = config
            .map(|config| config.model_type.trim())
            .filter(|name| !name.is_empty());
        let folder = encoder_folder(models, model_type.unwrap_or("mmbert")).unwrap_or_default();
        Self::Folder(Wanted {
            folder: folder.to_owned(),
            mapping: None,
        })
    }
}

/// The folder of a `model_type`, trimmed; `None` if there is no such type.
#[must_use]
pub fn encoder_folder<'a>(models: &'a ModelCatalog, model_type: &str) -> Option<&'a str> {
    let folder: fn(&SemanticEmbeddings) -> &String = match model_type {
        "qwen3" => |semantic| &semantic.qwen3_model_path,
        "gemma" => |semantic| &semantic.gemma_model_path,
        "mmbert" => |semantic| &semantic.mmbert_model_path,
        "multimodal" => |semantic| &semantic.multimodal_model_path,
        "bert" => |semantic| &semantic.bert_model_path,
        _ => return None,
    };
    Some(
        models
            .embeddings
            .semantic
            .as_ref()
            .map_or("", |semantic| folder(semantic).trim()),
    )
}

fn service(endpoint: &EmbeddingEndpoint) -> RemoteEmbedder {
    let seconds = if endpoint.timeout_seconds == 0 {
        5
    } else {
        endpoint.timeout_seconds
    };
    let server = Endpoint {
        name: endpoint.model.clone(),
        base_url: endpoint.base_url.trim().trim_end_matches('/').to_owned(),
        model: endpoint.model.clone(),
        key_variable: endpoint.api_key_env.clone(),
        key: Secret::default(),
        timeout: Duration::from_secs(seconds.into()),
        retries: endpoint.max_retries,
    };
    RemoteEmbedder {
        endpoint: server,
        dimensions: endpoint.dimensions as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(module: ClassifierModule) -> ModelCatalog {
        let mut models = ModelCatalog::default();
        (models.system.domain_classifier, models.system.prompt_guard) =
            ("own".into(), "guard".into());
        models.modules.classifier.domain = Some(module);
        models
    }

    #[track_caller]
    fn check_folder(model_id: &str, model_ref: &str, expected: &str) {
        let (model_id, model_ref) = (model_id.into(), model_ref.into());
        let models = models(ClassifierModule {
            model_id,
            model_ref,
            ..ClassifierModule::default()
        });
        assert_eq!(
            Asked::classifier(&models, Task::Domain).model.folder,
            expected
        );
    }

    #[test]
    fn the_most_direct_name_wins() {
        check_folder("", "", "own");
        check_folder("", "prompt_guard", "guard");
        check_folder("", "no such key", "own");
        check_folder(" named ", "prompt_guard", "named");
    }

    #[track_caller]
    fn check_threshold(task: Task, written: Option<f32>, of_card: Option<f32>, expected: f32) {
        let module = ClassifierModule {
            threshold: written,
            ..ClassifierModule::default()
        };
        let mut models = models(module.clone());
        models.modules.feedback_detector = Some(module);
        assert_eq!(
            Asked::classifier(&models, task).threshold(of_card),
            expected
        );
    }

    #[test]
    fn a_threshold_is_the_modules_then_the_cards_then_the_usual_one() {
        check_threshold(Task::Domain, Some(0.3), Some(0.4), 0.3);
        check_threshold(Task::Domain, Some(0.0), Some(0.4), 0.0);
        check_threshold(Task::Domain, None, Some(0.4), 0.4);
        check_threshold(Task::Domain, None, None, 0.5);
        check_threshold(Task::UserFeedback, Some(0.0), Some(0.4), 0.5);
        check_threshold(Task::UserFeedback, None, None, 0.7);
    }
}

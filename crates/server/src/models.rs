//! The models of the process: opened when a document first needs one, shared by all generations.
//!
//! A document without learned signals opens nothing. What it opens stays: the engine's threads,
//! cache and sessions outlive reloads, and equal files load once.

mod installed;

pub use installed::Installed;

use crate::remote::Remote;
use futures_util::future::BoxFuture;
use futures_util::future::join;
use inference::ask::{Ask, Failure, Nobody, Outcome, Question, What};
use inference::catalog::{
    Bare, Catalog, LoadError, RemoteClassifier, RemoteEmbedder, Task, Wanted,
};
use inference::engine::{Engine, Statistics};
use inference::handle::{Classifier, Cost, Embedder, Tagger};
use inference::language::DetectLanguage;

use router::config::server::Inference;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// Opens what answers questions.
pub trait Open: Send + Sync {
    /// Finds the models' folder and starts the engine; loads no model yet. May take a moment: never
    /// on a serving thread. `languages` chooses the encoder of a text.
    ///
    /// # Errors
    /// Nothing is installed, or it does not run; says what to do.
    fn open(
        &self,
        settings: &Inference,
        languages: Option<Arc<dyn DetectLanguage>>,
    ) -> Result<Opened, LoadError>;
}

/// What answers questions.
#[derive(Clone)]
pub struct Opened {
    /// Finds models.
    pub catalog: Arc<dyn Catalog>,
    /// Answers questions to them.
    pub asker: Arc<dyn Ask>,
    /// What runs them, if there is something to count.
    pub engine: Option<Arc<Engine>>,
}

/// The models of the process.
pub struct Models {
    open: Arc<dyn Open>,
    settings: Inference,
    languages: Option<Arc<dyn DetectLanguage>>,
    opened: OnceLock<Opened>,
    remote: OnceLock<Remote>,
    /// Held while opening, so that it happens once.
    opening: Mutex<()>,
}

impl Models {
    /// Nothing is opened before somebody looks for a model.
    #[must_use]
    pub fn new(open: Arc<dyn Open>, settings: Inference) -> Self {
        Self {
            open,
            settings,
            languages: None,
            opened: OnceLock::new(),
            remote: OnceLock::new(),
            opening: Mutex::default(),
        }
    }

    /// The same models with a detector of languages, which chooses the encoder of a text.
    #[must_use]
    pub fn with_languages(self, languages: Arc<dyn DetectLanguage>) -> Self {
        Self {
            languages: Some(languages),
            ..self
        }
    }

    /// What the engine has done so far; nothing before it starts.
    #[must_use]
    pub fn statistics(&self) -> Option<Statistics> {
        self.opened
            .get()?
            .engine
            .as_ref()
            .map(|engine| engine.statistics())
    }

    /// A failure is not kept: a later reload may find what has been installed meanwhile.
    fn opened(&self) -> Result<&Opened, LoadError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let _turn = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.open.open(&self.settings, self.languages.clone())?;
        Ok(self.opened.get_or_init(|| opened))
    }

    /// Returns the client for other machines, made when a document first names one.
    fn remote(&self, name: &str) -> Result<&Remote, LoadError> {
        if let Some(remote) = self.remote.get() {
            return Ok(remote);
        }
        let made = Remote::new(&self.settings).map_err(|error| LoadError::Unusable {
            name: name.to_owned(),
            problem: error.to_string(),
        })?;
        Ok(self.remote.get_or_init(|| made))
    }

    fn catalog(&self) -> Result<&dyn Catalog, LoadError> {
        self.opened().map(|opened| &*opened.catalog)
    }
}

impl Catalog for Models {
    fn embedder(&self, wanted: &Wanted) -> Result<Embedder, LoadError> {
        self.catalog()?.embedder(wanted)
    }

    fn embedder_by_language(&self, wanted: &Wanted) -> Result<Embedder, LoadError> {
        self.catalog()?.embedder_by_language(wanted)
    }

    fn classifier(&self, task: Task, wanted: &Wanted) -> Result<Classifier, LoadError> {
        self.catalog()?.classifier(task, wanted)
    }

    fn tagger(&self, wanted: &Wanted) -> Result<Tagger, LoadError> {
        self.catalog()?.tagger(wanted)
    }

    fn vectors(&self, by: &Embedder, texts: &[String]) -> Result<Vec<Arc<[f32]>>, LoadError> {
        if by.cost == Cost::Remote {
            return self.remote(&by.name)?.vectors(by, texts);
        }
        self.catalog()?.vectors(by, texts)
    }

    fn remote_embedder(&self, wanted: &RemoteEmbedder) -> Result<Embedder, LoadError> {
        self.remote(&wanted.endpoint.name)?.embedder(wanted)
    }

    fn remote_classifier(&self, wanted: &RemoteClassifier) -> Result<Classifier, LoadError> {
        self.remote(&wanted.endpoint.name)?.classifier(wanted)
    }

    fn text(&self, path: &Path) -> Result<String, LoadError> {
        Bare.text(path)
    }
}

impl Models {
    async fn split(&self, questions: &[Question], deadline: Instant) -> Vec<Outcome> {
        let (far, near): (Vec<Question>, Vec<Question>) =
            questions.iter().cloned().partition(is_remote);
        let far = async {
            match self.remote.get() {
                Some(remote) => remote.ask(&far, deadline).await,
                None => Nobody.ask(&far, deadline).await,
            }
        };
        let (far, near) = join(far, async { self.local().ask(&near, deadline).await }).await;
        let (mut far, mut near) = (far.into_iter(), near.into_iter());
        let next = |question: &Question| {
            if is_remote(question) {
                far.next()
            } else {
                near.next()
            }
        };
        questions
            .iter()
            .map(next)
            .map(|outcome| outcome.unwrap_or(Err(Failure::Unready)))
            .collect()
    }

    fn local(&self) -> &dyn Ask {
        self.opened.get().map_or(&Nobody, |opened| &*opened.asker)
    }
}

impl Ask for Models {
    fn ask<'a>(
        &'a self,
        questions: &'a [Question],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        if questions.iter().any(is_remote) {
            return Box::pin(self.split(questions, deadline));
        }
        self.local().ask(questions, deadline)
    }
}

fn is_remote(question: &Question) -> bool {
    let cost = match &question.what {
        What::Vector(by) => by.cost,
        What::Labels(by, _) => by.cost,
        What::Entities(by) => by.cost,
    };
    cost == Cost::Remote
}

#[cfg(test)]
pub(crate) mod tests;

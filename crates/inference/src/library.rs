//! The library: models in folders, each loaded once however many documents name it.
//!
//! A folder is taken as written if it is absolute, else below the models' folder, with or without
//! `models/` before it. A folder that the reference project publishes and that is not installed is
//! answered by our own head, and noted.

mod encoder;
mod full;
mod labels;
mod multilingual;

use crate::backend::Backend;
use crate::catalog::{Catalog, LoadError, Task, Wanted};
use crate::engine::Engine;
use crate::handle::{Backing, Classifier, CosineMap, Cost, Embedder, Tagger};
use crate::head::HeadCard;
use crate::heads;
use crate::language::{DetectLanguage, Multilingual};
use crate::model::{ClassifierModel, Model, TaggerModel, TokensBy};
use crate::settings::LibrarySettings;
use crate::store::Store;
use crate::{recognizers, token_head};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

/// Finds and loads models. Lives as long as the process; handles keep their models alive.
pub struct Library {
    settings: LibrarySettings,
    backend: Arc<dyn Backend>,
    engine: Arc<Engine>,
    loaded: Mutex<HashMap<PathBuf, Loaded>>,
    notes: Mutex<BTreeSet<String>>,
    store: Option<Store>,
    languages: Option<Arc<dyn DetectLanguage>>,
    multilingual: Mutex<Weak<Multilingual>>,
}

struct Loaded {
    stamp: Stamp,
    model: Weak<Model>,
    scale: CosineMap,
    labels: Labels,
}

/// Labels of a full model, in class order; none for an encoder.
type Labels = Arc<[Arc<str>]>;

/// A model as it is found in a folder.
struct Found {
    model: Arc<Model>,
    scale: CosineMap,
    labels: Labels,
}

type Stamp = (Option<SystemTime>, u64);

/// Names of folders that the reference project publishes.
const REFERENCE: [&str; 5] = [
    "mom-",
    "mmbert",
    "lora_",
    "category_classifier_",
    "jailbreak_classifier_",
];

impl Library {
    /// A library over the folder of models.
    #[must_use]
    pub fn new(settings: LibrarySettings, backend: Arc<dyn Backend>, engine: Arc<Engine>) -> Self {
        let store = settings.vectors.as_deref().map(Store::open);
        Self {
            settings,
            backend,
            engine,
            loaded: Mutex::default(),
            notes: Mutex::default(),
            store,
            languages: None,
            multilingual: Mutex::default(),
        }
    }

    /// The same library with a detector of languages, which chooses between the encoder of English
    /// and that of other languages. Without it the encoder of English reads all texts.
    #[must_use]
    pub fn with_languages(self, languages: Arc<dyn DetectLanguage>) -> Self {
        Self {
            languages: Some(languages),
            ..self
        }
    }

    fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            tracing::info!("{note}");
            notes.insert(note);
        }
    }

    /// What was answered by something else than was asked for, in words for the operator.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// The folder that is meant, and whether it is there.
    fn folder(&self, written: &str) -> (PathBuf, bool) {
        let path = Path::new(written);
        if path.is_absolute() {
            return (path.to_owned(), path.is_dir());
        }
        let below = self
            .settings
            .models
            .join(path.strip_prefix("models").unwrap_or(path));
        let there = below.is_dir();
        (below, there)
    }

    /// The installed folder, or nothing where our own model answers.
    fn installed(&self, written: &str, instead: &str) -> Result<Option<PathBuf>, LoadError> {
        if written.is_empty() {
            return Ok(None);
        }
        let (folder, there) = self.folder(written);
        if there {
            return Ok(Some(folder));
        }
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().to_ascii_lowercase())
            .unwrap_or_default();
        if !REFERENCE.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(LoadError::Missing {
                name: written.to_owned(),
                looked_in: folder,
            });
        }
        self.note(format!(
            "{written} is not installed; {instead} answers for it"
        ));
        Ok(None)
    }

    /// The model of a folder, from memory if its files are as they were.
    fn load(
        &self,
        folder: &Path,
        graph: &Path,
        open: impl FnOnce() -> Result<Found, LoadError>,
    ) -> Result<Found, LoadError> {
        let stamp = std::fs::metadata(graph)
            .map(|file| (file.modified().ok(), file.len()))
            .unwrap_or_default();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.get(folder).filter(|known| known.stamp == stamp)
            && let Some(model) = known.model.upgrade()
        {
            return Ok(Found {
                model,
                scale: known.scale.clone(),
                labels: Arc::clone(&known.labels),
            });
        }
        let mut found = open()?;
        // Equal files under another name: one model serves both.
        let equal = loaded
            .values()
            .filter_map(|known| known.model.upgrade())
            .find(|it| it.digest == found.model.digest);
        found.model = equal.unwrap_or(found.model);
        let model = Arc::downgrade(&found.model);
        let (scale, labels) = (found.scale.clone(), Arc::clone(&found.labels));
        loaded.insert(
            folder.to_owned(),
            Loaded {
                stamp,
                model,
                scale,
                labels,
            },
        );
        Ok(found)
    }

    /// The encoder for documents that name none.
    fn encoder(&self) -> Result<Found, LoadError> {
        self.encoder_in(&self.folder(&self.settings.encoder).0)
    }

    fn encoder_in(&self, folder: &Path) -> Result<Found, LoadError> {
        if let Some(found) = self.as_multilingual(folder)? {
            return Ok(found);
        }
        let graph = encoder::graph(folder, self.settings.precision);
        self.load(folder, &graph, || {
            encoder::open(folder, &self.settings, &*self.backend)
        })
    }

    /// The encoder that heads stand on, if the head was trained on it and on the static embeddings
    /// beside it.
    fn encoder_for(&self, head: &HeadCard) -> Result<Arc<Model>, LoadError> {
        let encoder = self.encoder()?.model;
        let beside = encoder
            .statics
            .iter()
            .map(|table| (format!("static:{}", table.name()), table.dimension()));
        let mut here = vec![(format!("encoder:{}", encoder.name), encoder.width)];
        here.extend(beside);
        let reads: Vec<_> = head
            .features
            .iter()
            .map(|block| (block.name.clone(), block.dimension))
            .collect();
        if reads == here || reads[..] == here[..1] {
            return Ok(encoder);
        }
        let problem = format!(
            "it was trained on {reads:?}, but here are {here:?}; set the encoder it was trained on"
        );
        Err(LoadError::Unusable {
            name: head.name.clone(),
            problem,
        })
    }

    fn full(
        &self,
        folder: &Path,
        mapping: Option<&Path>,
        kind: full::Kind,
    ) -> Result<Found, LoadError> {
        let graph = full::graph(folder);
        self.load(folder, &graph, || {
            full::open(
                folder,
                mapping,
                kind,
                &*self.backend,
                self.settings.sessions,
            )
        })
    }
}

impl Catalog for Library {
    fn embedder(&self, wanted: &Wanted) -> Result<Embedder, LoadError> {
        let found = match self.installed(&wanted.folder, &self.settings.encoder)? {
            Some(folder) => self.encoder_in(&folder)?,
            None => self.encoder()?,
        };
        Ok(Embedder {
            name: Arc::clone(&found.model.name),
            dimension: found.model.width,
            cost: Cost::Encoder,
            scale: found.scale,
            digest: Arc::clone(&found.model.digest),
            backing: Some(found.model as Backing),
        })
    }

    fn embedder_by_language(&self, wanted: &Wanted) -> Result<Embedder, LoadError> {
        let own = self.embedder(wanted)?;
        let named = self.installed(&wanted.folder, &self.settings.encoder)?;
        if named.is_some() {
            return Ok(own);
        }
        self.beside(own)
    }

    fn classifier(&self, task: Task, wanted: &Wanted) -> Result<Classifier, LoadError> {
        if let Some(folder) = self.installed(&wanted.folder, "the built-in head")? {
            let Found { model, labels, .. } =
                self.full(&folder, wanted.mapping.as_deref(), full::Kind::Sequence)?;
            let name = Arc::clone(&model.name);
            let backing: Backing = Arc::new(ClassifierModel {
                model,
                head: None,
                multilingual: None,
            });
            return Ok(Classifier {
                name,
                labels,
                threshold: None,
                cost: Cost::Model,
                backing: Some(backing),
            });
        }
        let missing = || LoadError::Missing {
            name: task.as_str().to_owned(),
            looked_in: self.settings.models.clone(),
        };
        let head = heads::shipped(task).ok_or_else(missing)?;
        let model = self.encoder_for(head.card())?;
        let (labels, threshold) = (head.labels(), head.card().threshold);
        let backing: Backing = Arc::new(ClassifierModel {
            model,
            head: Some(head),
            multilingual: self.other_languages(heads::multilingual(task))?,
        });
        let name = task.as_str().into();
        Ok(Classifier {
            name,
            labels,
            threshold,
            cost: Cost::Encoder,
            backing: Some(backing),
        })
    }

    fn tagger(&self, wanted: &Wanted) -> Result<Tagger, LoadError> {
        if let Some(folder) = self.installed(&wanted.folder, "the built-in head")? {
            let Found { model, labels, .. } =
                self.full(&folder, wanted.mapping.as_deref(), full::Kind::Tokens)?;
            let kinds = labels::kinds(&labels);
            let (name, digest) = (Arc::clone(&model.name), Arc::clone(&model.digest));
            let tagger = TaggerModel {
                model,
                digest,
                by: TokensBy::Logits(labels),
                recognizers: true,
                multilingual: None,
            };
            return Ok(Tagger {
                name,
                kinds,
                cost: Cost::Model,
                backing: Some(Arc::new(tagger)),
            });
        }
        let unusable = |problem: String| LoadError::Unusable {
            name: "pii".to_owned(),
            problem,
        };
        let head = token_head::shipped()
            .ok_or_else(|| unusable("the head in this binary is damaged".to_owned()))?;
        let model = self.encoder()?.model;
        if head.card().encoder != *model.name {
            let problem = format!(
                "it was trained on {}, but here is {}",
                head.card().encoder,
                model.name
            );
            return Err(unusable(problem));
        }
        let other = token_head::multilingual();
        let other_digest = other.as_ref().map_or("", |other| &other.card().digest);
        let digest = format!("{}{other_digest}", head.card().digest).into();
        let kinds = recognizers::KINDS
            .iter()
            .copied()
            .chain(token_head::KINDS.iter().copied());
        let kinds = kinds.map(Arc::from).collect();
        let tagger = TaggerModel {
            model,
            digest,
            by: TokensBy::Head(head),
            recognizers: true,
            multilingual: self.other_languages(other)?,
        };
        Ok(Tagger {
            name: "pii".into(),
            kinds,
            cost: Cost::Encoder,
            backing: Some(Arc::new(tagger)),
        })
    }

    fn vectors(&self, by: &Embedder, texts: &[String]) -> Result<Vec<Arc<[f32]>>, LoadError> {
        if let Some((own, other)) = multilingual::parts(by)? {
            let pairs = self.vectors(&own, texts)?.into_iter();
            let pairs = pairs.zip(self.vectors(&other, texts)?);
            return Ok(pairs
                .map(|(own, other)| own.iter().chain(other.iter()).copied().collect())
                .collect());
        }
        let mut vectors: Vec<Option<Arc<[f32]>>> = texts
            .iter()
            .map(|text| self.store.as_ref()?.get(&by.digest, text, by.dimension))
            .collect();
        let missing: Vec<usize> = (0..texts.len())
            .filter(|at| vectors[*at].is_none())
            .collect();
        let unread: Vec<String> = missing.iter().map(|at| texts[*at].clone()).collect();
        let unusable = |problem: String| LoadError::Unusable {
            name: by.name.to_string(),
            problem,
        };
        let fresh = self
            .engine
            .vectors(by, &unread)
            .map_err(|failure| unusable(failure.to_string()))?;
        for (at, vector) in missing.into_iter().zip(fresh) {
            if let Some(store) = &self.store {
                store.put(&by.digest, &texts[at], &vector);
            }
            vectors[at] = Some(vector);
        }
        if let Some(store) = self.store.as_ref().filter(|_| !unread.is_empty()) {
            store.save();
        }
        Ok(vectors.into_iter().flatten().collect())
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Library({})", self.settings.models.display())
    }
}

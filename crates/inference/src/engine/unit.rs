//! The unit of work: one window under one model, with all that questions want of it.

use super::counters::Counters;
use crate::ask::{Entity, Failure};
use crate::cache::{Cache, Key, Known, Secret};
use crate::model::{Model, TaggerModel};
use crate::window::Window;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What is remembered of windows, and the secret of its keys.
pub(super) struct Memory {
    pub(super) cache: Cache,
    pub(super) secret: Secret,
}

/// A window to read.
pub(super) struct Unit {
    /// Identity of the window under its model.
    pub(super) key: Key,
    model: Arc<Model>,
    /// The window's own text.
    text: Box<str>,
    window: Arc<Window>,
    statics: bool,
    taggers: Vec<Arc<TaggerModel>>,
    safety: bool,
    result: OnceLock<Result<Read, Failure>>,
}

/// What was read.
pub(super) struct Read {
    pub(super) known: Arc<Known>,
    entities: Vec<Arc<[Entity]>>,
}

impl Memory {
    /// The key of a window: of its tokens, and of its text, as static embeddings have tokens of
    /// their own.
    pub(super) fn key(&self, model: &Model, text: &str, window: &Window) -> Key {
        let ids: Vec<u8> = window.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let text = text.get(window.text.clone()).unwrap_or_default();
        self.secret
            .key(&[model.digest.as_bytes(), &ids, text.as_bytes()])
    }

    fn under(&self, window: Key, by: &TaggerModel) -> Key {
        self.secret
            .key(&[&window.to_le_bytes(), by.digest.as_bytes()])
    }
}

impl Unit {
    /// A window of `text`.
    pub(super) fn new(
        key: Key,
        model: Arc<Model>,
        text: &str,
        window: Arc<Window>,
        safety: bool,
    ) -> Self {
        let text = text.get(window.text.clone()).unwrap_or_default().into();
        Self {
            key,
            model,
            text,
            window,
            statics: false,
            taggers: Vec::new(),
            safety,
            result: OnceLock::new(),
        }
    }

    pub(super) fn want_statics(&mut self, wanted: bool) {
        self.statics |= wanted;
    }

    pub(super) fn want_entities(&mut self, by: &Arc<TaggerModel>) {
        if self.place(by).is_none() {
            self.taggers.push(Arc::clone(by));
        }
    }

    /// The encoder that reads it.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    pub(super) fn is_for_safety(&self) -> bool {
        self.safety
    }

    /// What a run would take.
    pub(super) fn cost(&self) -> Duration {
        self.model.pace.expect(self.window.ids.len())
    }

    /// What came of it, once something has.
    pub(super) fn read(&self) -> Option<Result<&Read, &Failure>> {
        self.result.get().map(Result::as_ref)
    }

    /// Sets what came of it, unless that is known.
    pub(super) fn end(&self, result: Result<Read, Failure>) {
        self.result.get_or_init(|| result);
    }

    /// What a tagger found in the window.
    pub(super) fn entities<'a>(&self, read: &'a Read, by: &TaggerModel) -> &'a [Entity] {
        self.place(by)
            .and_then(|at| read.entities.get(at))
            .map_or(&[], |found| found)
    }

    /// Answers from the cache. What is cheap to add is added: static embeddings need no run.
    pub(super) fn recall(&self, memory: &Memory) -> bool {
        let entities = self
            .taggers
            .iter()
            .map(|by| memory.cache.entities(memory.under(self.key, by)));
        let entities: Option<Vec<_>> = entities.collect();
        let (Some(entities), Some(known)) = (entities, memory.cache.window(self.key)) else {
            return false;
        };
        let complete = self.complete(&known).is_ok();
        if complete {
            self.end(Ok(Read { known, entities }));
        }
        complete
    }

    /// Reads the window, and remembers it.
    pub(super) fn run(&self, memory: &Memory, counters: &Counters) -> Result<Read, Failure> {
        let begin = Instant::now();
        let encoded = self.model.run(&self.window, !self.taggers.is_empty());
        counters.ran(self.window.ids.len(), begin.elapsed(), encoded.is_ok());
        let encoded = encoded.map_err(|error| failed(&error))?;
        let known = Arc::new(Known {
            pooled: encoded.pooled.into(),
            statics: OnceLock::new(),
        });
        self.complete(&known)?;
        memory.cache.keep_window(self.key, Arc::clone(&known));
        let mut entities = Vec::with_capacity(self.taggers.len());
        for by in &self.taggers {
            let states = encoded
                .states
                .as_ref()
                .ok_or_else(|| failed(&"the graph gave no token states"))?;
            let found = by.tag(&self.model, &self.text, &self.window, states.view());
            let found: Arc<[Entity]> = found.into();
            memory
                .cache
                .keep_entities(memory.under(self.key, by), Arc::clone(&found));
            entities.push(found);
        }
        Ok(Read { known, entities })
    }

    fn complete(&self, known: &Known) -> Result<(), Failure> {
        if self.statics && known.statics.get().is_none() {
            let statics = self
                .model
                .statics(&self.text)
                .map_err(|error| failed(&error))?;
            known.statics.get_or_init(|| statics);
        }
        Ok(())
    }

    fn place(&self, by: &TaggerModel) -> Option<usize> {
        self.taggers
            .iter()
            .position(|tagger| tagger.digest == by.digest)
    }
}

impl Read {
    /// Static embeddings, empty if nobody wanted them.
    pub(super) fn statics(&self) -> &[f32] {
        self.known.statics.get().map_or(&[], |statics| statics)
    }
}

/// A failure with these words.
pub(super) fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string().into())
}

//! What a boundary allows: models with their adapters, and services that signals ask over the
//! network.

use crate::config::Document;
use crate::config::decisions::Allowed;
use selection::card::ModelDescriptions;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Names that a boundary allows, and those of the document that it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    allowed: BTreeSet<Arc<str>>,
    denied: BTreeSet<Arc<str>>,
    /// The encoder behind an API is at an allowed place.
    encoder: bool,
    /// So are these models of `global.model_catalog.external`.
    external: BTreeSet<Arc<str>>,
    /// Text may be kept with records of requests.
    records: bool,
}

impl Places {
    /// Resolves names and locations.
    pub(super) fn of(allow: &Allowed, document: &Document) -> Self {
        let here = |location: &str| {
            let location = location.trim();
            !location.is_empty() && allow.locations.iter().any(|word| word.trim() == location)
        };
        let listed = |name: &str| allow.models.iter().any(|model| model.trim() == name.trim());
        let mut places = Self {
            records: allow.records,
            ..Self::default()
        };
        for model in &document.providers.models {
            places.note(&model.name, listed(&model.name) || here(&model.location));
        }
        // A card without a provider runs nowhere that is known.
        for card in document
            .model_cards()
            .filter(|card| document.provider_model(&card.name).is_none())
        {
            places.note(&card.name, listed(&card.name));
        }
        for card in document.model_cards() {
            let base = places.allow(card.name.trim());
            card.loras
                .iter()
                .for_each(|adapter| places.note(&adapter.name, base));
        }
        let catalog = &document.global.model_catalog;
        let semantic = catalog.embeddings.semantic.as_ref();
        places.encoder = semantic
            .and_then(|semantic| semantic.endpoint.as_ref())
            .is_some_and(|it| here(&it.location));
        let external = catalog
            .external
            .iter()
            .filter(|model| here(&model.location));
        places.external = external.map(|model| model.name.as_str().into()).collect();
        places
    }

    /// The model or adapter is allowed.
    pub(super) fn allow(&self, name: &str) -> bool {
        self.allowed.contains(name) && !self.denied.contains(name)
    }

    /// The document knows the name, and it is not allowed.
    pub(super) fn deny(&self, name: &str) -> bool {
        self.denied.contains(name)
    }

    /// The models and adapters that are allowed.
    pub(super) fn models(&self) -> impl Iterator<Item = &Arc<str>> {
        self.allowed.difference(&self.denied)
    }

    /// The encoder behind an API may see the text.
    pub(super) fn allow_encoder(&self) -> bool {
        self.encoder
    }

    /// The external model may see the text.
    pub(super) fn allow_external(&self, name: &str) -> bool {
        self.external.contains(name)
    }

    /// The store of records may keep the text.
    pub(super) fn allow_records(&self) -> bool {
        self.records
    }

    /// A name that is allowed in one place and denied in another is denied.
    fn note(&mut self, name: &str, allowed: bool) {
        let side = if allowed {
            &mut self.allowed
        } else {
            &mut self.denied
        };
        side.insert(name.trim().into());
    }
}

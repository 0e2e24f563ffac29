//! The encoder of other languages than English, where it is installed and a head stands on it.

use super::{Found, Labels, Library, encoder};
use crate::card::{EncoderCard, Folder};
use crate::catalog::LoadError;
use crate::handle::{Backing, CosineMap, Embedder};
use crate::heads;
use crate::language::{Multilingual, Opened};
use crate::model::{EmbedderPair, Model, OtherLanguages};
use std::path::Path;
use std::sync::{Arc, PoisonError};

impl Library {
    /// Returns `head` with its encoder; nothing where there is no head, no detector of languages or
    /// no encoder.
    pub(super) fn other_languages<H>(
        &self,
        head: Option<H>,
    ) -> Result<Option<OtherLanguages<H>>, LoadError> {
        let Some(head) = head else {
            return Ok(None);
        };
        let encoder = self.multilingual()?;
        Ok(encoder.map(|encoder| OtherLanguages { encoder, head }))
    }

    /// Returns `own` with the encoder of other languages beside it, where there is one.
    pub(super) fn beside(&self, own: Embedder) -> Result<Embedder, LoadError> {
        let model = own.backing.clone().map(Arc::downcast::<Model>);
        let (Some(Ok(model)), Some(multilingual)) = (model, self.multilingual()?) else {
            return Ok(own);
        };
        let folder = Folder::new(&self.folder(heads::MULTILINGUAL).0);
        let card: EncoderCard = folder.read("encoder.json")?;
        let scale = CosineMap::new(&card.cosine_map).unwrap_or_default();
        let pair: Backing = Arc::new(EmbedderPair {
            model,
            multilingual,
            beside: card.dimension,
        });
        Ok(Embedder {
            dimension: own.dimension + card.dimension,
            scale: own.scale.beside(own.dimension, scale),
            digest: format!("{} beside {}", card.name, own.digest).into(),
            backing: Some(pair),
            ..own
        })
    }

    /// Returns the encoder, which may still be opening.
    fn multilingual(&self) -> Result<Option<Arc<Multilingual>>, LoadError> {
        let Some(languages) = &self.languages else {
            return Ok(None);
        };
        let (folder, is_there) = self.folder(heads::MULTILINGUAL);
        if !is_there {
            self.note(format!(
                "{} is not installed, so {} reads texts in every language; `cargo xtask models` \
                 installs it",
                heads::MULTILINGUAL,
                self.settings.encoder
            ));
            return Ok(None);
        }
        let mut known = self
            .multilingual
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = known.upgrade() {
            return Ok(Some(open));
        }

        let named = self.loaded_from(&folder);
        let (settings, backend) = (self.settings.clone(), Arc::clone(&self.backend));
        let open = move || match named {
            Some(opened) => Ok(opened),
            None => encoder::open(&folder, &settings, &*backend).map(|found| Opened {
                model: found.model,
                scale: found.scale,
            }),
        };
        let opening = Multilingual::open(Arc::clone(languages), open);
        let opening = opening.map_err(|error| LoadError::Unusable {
            name: heads::MULTILINGUAL.to_owned(),
            problem: error.to_string(),
        })?;
        *known = Arc::downgrade(&opening);
        Ok(Some(opening))
    }

    /// Returns the encoder if a document named its folder before.
    fn loaded_from(&self, folder: &Path) -> Option<Opened> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let known = loaded.get(folder)?;
        Some(Opened {
            model: known.model.upgrade()?,
            scale: known.scale.clone(),
        })
    }

    /// Returns the encoder as a document finds it that names it, if heads stand on it already.
    pub(super) fn as_multilingual(&self, folder: &Path) -> Result<Option<Found>, LoadError> {
        if self.folder(heads::MULTILINGUAL).0 != folder {
            return Ok(None);
        }
        let known = self.multilingual.lock().map(|known| known.upgrade());
        let Some(open) = known.ok().flatten() else {
            return Ok(None);
        };
        let opened = open.encoder().map_err(Clone::clone)?;
        Ok(Some(Found {
            model: Arc::clone(&opened.model),
            scale: opened.scale.clone(),
            labels: Labels::default(),
        }))
    }
}

/// Returns the handles of a pair's two encoders; nothing for another embedder.
pub(super) fn parts(by: &Embedder) -> Result<Option<(Embedder, Embedder)>, LoadError> {
    let pair = by.backing.clone().map(Arc::downcast::<EmbedderPair>);
    let Some(Ok(pair)) = pair else {
        return Ok(None);
    };
    let alone = |model: &Arc<Model>| Embedder {
        name: Arc::clone(&model.name),
        dimension: model.width,
        cost: by.cost,
        scale: CosineMap::default(),
        digest: Arc::clone(&model.digest),
        backing: Some(Arc::clone(model) as Backing),
    };
    let opened = pair.multilingual.encoder().map_err(Clone::clone)?;
    Ok(Some((alone(&pair.model), alone(&opened.model))))
}

//! The encoder of other languages than English, where it is installed and a head stands on it.

use super::{Found, Labels, Library, encoder};
use crate::catalog::LoadError;
use crate::heads;
use crate::language::{Multilingual, Opened};
use crate::model::OtherLanguages;
use std::path::Path;
use std::sync::{Arc, PoisonError, Weak};

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

        let (settings, backend) = (self.settings.clone(), Arc::clone(&self.backend));
        let open = move || {
            let found = encoder::open(&folder, &settings, &*backend)?;
            Ok(Opened {
                model: found.model,
                scale: found.scale,
            })
        };
        let opening = Multilingual::open(Arc::clone(languages), open);
        let opening = opening.map_err(|error| LoadError::Unusable {
            name: heads::MULTILINGUAL.to_owned(),
            problem: error.to_string(),
        })?;
        *known = Arc::downgrade(&opening);
        Ok(Some(opening))
    }

    /// Returns the encoder as a document finds it that names it, if heads stand on it already.
    pub(super) fn as_multilingual(&self, folder: &Path) -> Result<Option<Found>, LoadError> {
        let known = self
            .multilingual
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known: Option<Arc<Multilingual>> = Weak::upgrade(&known);
        let Some(open) = known.filter(|_| self.folder(heads::MULTILINGUAL).0 == folder) else {
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

//! Which models and windows a question wants.

use super::call::Wanted;
use crate::ask::{Failure, What};
use crate::handle::Backing;
use crate::language::Multilingual;
use crate::model::{ClassifierModel, EmbedderPair, Model, TaggerModel};
use std::sync::Arc;

/// What a question wants, and who reads its text.
pub(super) struct Reading {
    pub(super) wanted: Wanted,
    pub(super) model: Arc<Model>,
    pub(super) multilingual: Option<Arc<Multilingual>>,
}

/// Returns what a question wants; a failure if its handle is of no model here.
pub(super) fn reading(what: &What) -> Result<Reading, Failure> {
    match what {
        What::Vector(by) => {
            if let Ok(pair) = behind::<EmbedderPair>(by.backing.as_ref()) {
                return Ok(Reading {
                    model: Arc::clone(&pair.model),
                    multilingual: Some(Arc::clone(&pair.multilingual)),
                    wanted: Wanted::VectorOfPair(pair),
                });
            }
            Ok(Reading {
                wanted: Wanted::Vector,
                model: behind::<Model>(by.backing.as_ref())?,
                multilingual: None,
            })
        }
        What::Labels(by, over) => {
            let by = behind::<ClassifierModel>(by.backing.as_ref())?;
            let second = by.multilingual.as_ref();
            Ok(Reading {
                model: Arc::clone(&by.model),
                multilingual: second.map(|second| Arc::clone(&second.encoder)),
                wanted: Wanted::Labels(by, *over),
            })
        }
        What::Entities(by) => {
            let by = behind::<TaggerModel>(by.backing.as_ref())?;
            let second = by.multilingual.as_ref();
            Ok(Reading {
                model: Arc::clone(&by.model),
                multilingual: second.map(|second| Arc::clone(&second.encoder)),
                wanted: Wanted::Entities(by),
            })
        }
    }
}

fn behind<T: Send + Sync + 'static>(backing: Option<&Backing>) -> Result<Arc<T>, Failure> {
    let backing = backing.ok_or(Failure::Unready)?;
    Arc::clone(backing)
        .downcast()
        .map_err(|_| Failure::Failed("the handle is of another engine".into()))
}

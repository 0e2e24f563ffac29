//! Models as small numbers, so that a record of a session has a fixed size, with the prices that
//! they have now.

use selection::card::Prices;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// All models that sessions have used. Grows with the documents that are loaded, never with
/// requests.
#[derive(Debug, Default)]
pub(super) struct ModelNames(RwLock<Models>);

#[derive(Debug, Default)]
struct Models {
    numbers: HashMap<Arc<str>, u16>,
    names: Vec<(Arc<str>, Option<Prices>)>,
}

/// The names, while nobody adds to them.
pub(super) struct Names<'a>(RwLockReadGuard<'a, Models>);

impl Names<'_> {
    /// Returns the name of a model's number.
    pub(super) fn get(&self, number: u16) -> Option<Arc<str>> {
        let (name, _) = self.0.names.get(usize::from(number))?;
        Some(Arc::clone(name))
    }
}

impl ModelNames {
    /// Locks the names, to read several at once.
    pub(super) fn read(&self) -> Names<'_> {
        Names(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn prices(&self, model: &str) -> Option<Prices> {
        let models = self.0.read().unwrap_or_else(PoisonError::into_inner);
        models
            .names
            .get(usize::from(*models.numbers.get(model)?))?
            .1
    }

    /// Returns the model's number; `None` if there are more models than numbers. A document with
    /// new prices changes those kept here.
    pub(super) fn number(&self, model: &str, prices: Option<Prices>) -> Option<u16> {
        let known = {
            let models = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let number = models.numbers.get(model).copied();
            number.filter(|&number| {
                let kept = models
                    .names
                    .get(usize::from(number))
                    .and_then(|(_, kept)| *kept);
                prices.is_none() || prices == kept
            })
        };
        if known.is_some() {
            return known;
        }
        let mut models = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let number = match models.numbers.get(model) {
            Some(&number) => number,
            None => {
                let number = u16::try_from(models.names.len())
                    .ok()
                    .filter(|&number| number != u16::MAX)?;
                let name: Arc<str> = model.into();
                models.names.push((Arc::clone(&name), None));
                models.numbers.insert(name, number);
                number
            }
        };
        if let (Some(place), Some(_)) = (models.names.get_mut(usize::from(number)), prices) {
            place.1 = prices;
        }
        Some(number)
    }
}

//! The proof that a model may get a request.
//!
//! Whatever sends a request to a model needs an [`Admitted`], and only a verdict makes one. So no
//! way to a model can forget to ask: it would not compile.

use super::Verdict;
use selection::eligible::Barrier;
use std::sync::Arc;

/// A model that every boundary which holds for a request allows.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'a> {
    shown: &'a str,
    is_bound: bool,
}

impl Verdict {
    /// Admits a model under the name that routes go by: its own, or its adapter's.
    ///
    /// # Errors
    /// The boundary that does not allow it.
    pub fn admit<'a>(&self, model: &str, shown: &'a str) -> Result<Admitted<'a>, Barrier> {
        let forbidden = self.forbids_candidate(model, shown);
        // Tests switch the check off to see that the property test notices.
        #[cfg(test)]
        let forbidden = forbidden.filter(|_| super::tests::switches::ADMISSION.get());
        match forbidden {
            Some(name) => Err(Barrier::Boundary(Arc::clone(name))),
            None => Ok(Admitted {
                shown,
                is_bound: !self.is_free(),
            }),
        }
    }
}

impl<'a> Admitted<'a> {
    /// Returns the name that routes go by.
    #[must_use]
    pub fn shown(&self) -> &'a str {
        self.shown
    }

    /// Some boundary holds: nothing that comes later may lead the request elsewhere.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.is_bound
    }
}

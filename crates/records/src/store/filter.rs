//! Which records are asked for, and which part of them.

use super::facts::Facts;

/// Conditions on records; all that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A part of the request id or of the recipe's name, in any case. Empty: all.
    pub search: String,
    /// The recipe.
    pub recipe: Option<String>,
    /// The decision.
    pub decision: Option<String>,
    /// The model that served or the one that was asked for.
    pub model: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// Where the answer came from.
    pub cache_status: CacheStatus,
}

/// Which answers are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheStatus {
    /// Every answer.
    #[default]
    All,
    /// Answers out of a cache.
    Cached,
    /// Answers that were streams.
    Streamed,
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Records at most.
    pub limit: usize,
    /// Records that are passed over.
    pub offset: usize,
}

impl Filter {
    /// Returns what is looked for in [`Facts::searched`]: the search in lower case.
    #[must_use]
    pub fn needle(&self) -> Option<String> {
        (!self.search.is_empty()).then(|| self.search.to_lowercase())
    }

    /// Returns whether a record is asked for.
    #[must_use]
    pub fn takes(&self, facts: &Facts) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let cache = match self.cache_status {
            CacheStatus::All => true,
            CacheStatus::Cached => facts.from_cache,
            CacheStatus::Streamed => facts.streamed,
        };
        cache
            && is(&self.recipe, &facts.recipe)
            && is(&self.decision, &facts.decision)
            && (is(&self.model, &facts.selected_model) || is(&self.model, &facts.original_model))
            && is(&self.session_id, &facts.session_id)
            && self
                .needle()
                .is_none_or(|needle| facts.searched().contains(&needle))
    }
}

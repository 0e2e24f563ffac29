//! What happens once to the facts of a request, after all signals and before the decisions.

use super::Recipe;
use crate::config::Document;
use crate::projection::keep_top;
use crate::report::{Kind, SignalReport};

/// Embedding matches kept where the document says nothing.
const TOP_K: i64 = 1;

impl Recipe {
    /// Partitions, composers, the cut of embeddings to `top_k`, projections: each sees what the former left.
    pub(crate) fn finish(&self, report: &mut SignalReport) {
        self.projections.partition(report);
        for composer in &self.composers {
            composer.apply(report);
        }
        keep_top(report, &self.keys, Kind::Embedding, self.top_k);
        self.projections.project(report);
    }
}

/// `embedding_config.top_k`.
pub(super) fn top_k(document: &Document) -> i64 {
    let semantic = document.global.model_catalog.embeddings.semantic.as_ref();
    semantic.and_then(|semantic| semantic.embedding_config.as_ref()?.top_k).unwrap_or(TOP_K)
}

//! The endpoints of the classification API: each takes and gives JSON.

/// What is asked of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classification {
    /// Category, decision and model.
    Intent,
    /// Personal data.
    Pii,
    /// Attack or not.
    Security,
    /// Does it need facts?
    FactCheck,
    /// What the user thinks of the last answer.
    UserFeedback,
    /// Intent, personal data and security at once.
    Combined,
    /// One task over many texts.
    Batch,
    /// Vectors.
    Embeddings,
    /// Similarity of two texts.
    Similarity,
    /// Similarity of a text to many.
    SimilarityBatch,
}

impl Classification {
    /// The path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Intent => "/api/v1/classify/intent",
            Self::Pii => "/api/v1/classify/pii",
            Self::Security => "/api/v1/classify/security",
            Self::FactCheck => "/api/v1/classify/fact-check",
            Self::UserFeedback => "/api/v1/classify/user-feedback",
            Self::Combined => "/api/v1/classify/combined",
            Self::Batch => "/api/v1/classify/batch",
            Self::Embeddings => "/api/v1/embeddings",
            Self::Similarity => "/api/v1/similarity",
            Self::SimilarityBatch => "/api/v1/similarity/batch",
        }
    }
}

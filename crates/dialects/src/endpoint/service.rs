//! Inference endpoints beside those of conversations.

use super::Dialect;

/// An inference endpoint beside those of conversations. Its requests are read for boundaries, and a
/// model is chosen for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// `POST /v1/completions`: text that a model goes on from.
    Completions,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `POST /v1/responses/input_tokens`.
    InputTokens,
    /// `POST /v1/responses/compact`.
    Compact,
    /// `POST /v1/messages/batches`: requests of Messages, all in one body.
    MessageBatches,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/rerank` and `POST /v2/rerank`.
    Rerank,
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /v1/images/generations`, `edits` and `variations`.
    Images,
    /// `POST /v1/audio/speech`: text that is spoken.
    Speech,
    /// `POST /v1/audio/transcriptions` and `translations`: speech that is written down.
    Transcriptions,
}

impl Service {
    /// The wire whose errors, credentials and backends it shares.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::CountTokens | Self::MessageBatches => Dialect::AnthropicMessages,
            Self::InputTokens | Self::Compact => Dialect::OpenAiResponses,
            Self::Completions
            | Self::Embeddings
            | Self::Rerank
            | Self::Moderations
            | Self::Images
            | Self::Speech
            | Self::Transcriptions => Dialect::OpenAiChat,
        }
    }

    /// Tells whether a request may come as a form (`multipart/form-data`).
    #[must_use]
    pub fn takes_forms(self) -> bool {
        matches!(self, Self::Images | Self::Transcriptions)
    }
}

//! `global.stores`: databases behind caches, memory and documents.

use super::databases::{
    LlamaStack, MilvusStore, PostgresStore, QdrantStore, RedisCache, ValkeyStore, VectorCache,
};
use super::milvus::Milvus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Databases behind caches, memory and documents.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stores {
    /// Answers.
    pub response_cache: Option<ResponseCache>,
    /// What was said in earlier conversations.
    pub memory: Option<Memory>,
    /// Documents.
    pub vector_store: Option<VectorStore>,
}

/// The store of answers.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseCache {
    /// Kind of store; empty means memory.
    #[schemars(extend("enum" = ["memory", "redis", "valkey", "milvus", "qdrant", "hybrid"]))]
    pub backend_type: String,
    /// Keep answers.
    pub enabled: bool,
    /// Least similarity of a semantic hit.
    pub similarity_threshold: Option<f64>,
    /// Entries at most; 0 means 1,000.
    pub max_entries: u64,
    /// Lifetime; 0 means 3,600.
    pub ttl_seconds: u64,
    /// What goes first.
    #[schemars(extend("enum" = ["fifo", "lru", "lfu"]))]
    pub eviction_policy: String,
    /// Embedding model.
    pub embedding_model: String,
    /// Milvus.
    pub milvus: Option<Milvus>,
    /// Redis.
    pub redis: Option<VectorCache>,
    /// Valkey.
    pub valkey: Option<VectorCache>,
    /// Qdrant.
    pub qdrant: Option<QdrantStore>,
    /// What tells a text from its negation.
    pub polarity_guard: Option<PolarityGuard>,
}

/// What tells a text from its negation.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolarityGuard {
    /// `lexical` (the default), `nli` or both.
    #[schemars(extend("enum" = ["lexical", "nli", "lexical+nli"]))]
    pub mode: String,
    /// Parameters of `nli`.
    pub nli: Option<PolarityNli>,
}

/// How a contradiction is told.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolarityNli {
    /// Probability of a contradiction above which an answer is not used; omitted means 0.5.
    pub contradiction_threshold: Option<f64>,
}

/// The store of earlier conversations.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// Remember.
    pub enabled: bool,
    /// Kind of store; empty means Milvus.
    #[schemars(extend("enum" = ["milvus", "valkey", "qdrant"]))]
    pub backend: String,
    /// Remember every conversation.
    pub auto_store: bool,
    /// Decisions that remember nothing.
    pub disabled_routes: Vec<String>,
    /// Models that remember nothing.
    pub disabled_models: Vec<String>,
    /// Valkey.
    pub valkey: Option<ValkeyStore>,
    /// Milvus.
    pub milvus: Option<MilvusStore>,
    /// Qdrant.
    pub qdrant: Option<QdrantStore>,
    /// A cache before the store.
    pub redis_cache: Option<RedisCache>,
    /// Embedding model.
    pub embedding_model: String,
    /// Turns per extraction.
    pub extraction_batch_size: u32,
    /// Texts brought back.
    pub default_retrieval_limit: u32,
    /// Least similarity.
    pub default_similarity_threshold: f64,
    /// Combine words and embeddings.
    pub hybrid_search: bool,
    /// How they are combined.
    pub hybrid_mode: String,
    /// Move the threshold with what is found.
    pub adaptive_threshold: bool,
    /// What is forgotten.
    pub quality_scoring: Option<QualityScoring>,
    /// Choice among what was found.
    pub reflection: Option<Reflection>,
    /// How memories are written.
    pub persistence: Option<MemoryPersistence>,
}

/// How memories are written.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryPersistence {
    /// Time limit of a write; 0 means 30.
    pub timeout_seconds: u32,
    /// Writes at a time; 0 means 8.
    pub concurrency: u32,
    /// Writes that wait; 0 means 64.
    pub queue: u32,
    /// Time left to them at the end; 0 means 5.
    pub shutdown_grace_seconds: u32,
}

/// What is forgotten.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QualityScoring {
    /// Half-life of a fresh memory, days.
    pub initial_strength_days: u32,
    /// Strength below which it goes.
    pub prune_threshold: f64,
    /// Memories of a user.
    pub max_memories_per_user: u32,
}

/// Choice among remembered texts.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reflection {
    /// Choose.
    pub enabled: Option<bool>,
    /// How.
    pub algorithm: String,
    /// Tokens added at most.
    pub max_inject_tokens: u32,
    /// Days after which a text counts half.
    pub recency_decay_days: u32,
    /// Similarity that makes two texts one.
    pub dedup_threshold: f64,
    /// Texts with these words are not brought back.
    pub block_patterns: Vec<String>,
}

/// The store of documents.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorStore {
    /// Keep documents.
    pub enabled: bool,
    /// Kind of store.
    #[schemars(extend("enum" = ["memory", "qdrant", "milvus", "valkey", "llama_stack"]))]
    pub backend_type: String,
    /// Folder of uploaded files.
    pub file_storage_dir: String,
    /// Largest file.
    pub max_file_size_mb: u32,
    /// Embedding model.
    pub embedding_model: String,
    /// Its dimensions.
    pub embedding_dimension: u32,
    /// Files read at a time.
    pub ingestion_workers: u32,
    /// Time left to them at the end.
    pub ingestion_drain_timeout_seconds: u32,
    /// Extensions of files.
    pub supported_formats: Vec<String>,
    /// Milvus.
    pub milvus: Option<Milvus>,
    /// Memory.
    pub memory: Option<MemoryVectors>,
    /// Llama Stack.
    pub llama_stack: Option<LlamaStack>,
    /// Valkey.
    pub valkey: Option<ValkeyStore>,
    /// Qdrant.
    pub qdrant: Option<QdrantStore>,
    /// Where the list of stores and files is kept.
    #[schemars(extend("enum" = ["memory", "postgres"]))]
    pub metadata_store: String,
    /// PostgreSQL.
    pub metadata_postgres: Option<PostgresStore>,
}

/// Documents in memory.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryVectors {
    /// Entries of a store.
    pub max_entries_per_store: u64,
}

//! Connections to databases, as the stores and services write them. One type per database: each
//! place reads its own keys.

use super::milvus::MilvusTls;
pub use conversation::databases::RedisStore;
use document::HiddenText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cache on Redis.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisCache {
    /// Use it.
    pub enabled: bool,
    /// `host:port`.
    pub address: String,
    /// Lifetime.
    pub ttl_seconds: u64,
    /// Database number.
    pub db: u32,
    /// Prefix of keys.
    pub key_prefix: String,
    /// Password.
    #[schemars(extend("writeOnly" = true))]
    pub password: HiddenText,
}

/// A PostgreSQL database.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresStore {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// User.
    pub user: String,
    /// Password.
    #[schemars(extend("writeOnly" = true))]
    pub password: HiddenText,
    /// TLS mode, for example `disable` or `verify-full`.
    pub ssl_mode: String,
    /// Connections at most.
    pub max_open_conns: u32,
    /// Idle connections at most.
    pub max_idle_conns: u32,
    /// Seconds that a connection lives.
    pub conn_max_lifetime: u64,
    /// Table.
    pub table_name: String,
}

/// A Valkey server.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValkeyStore {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database number.
    pub database: u32,
    /// Password.
    #[schemars(extend("writeOnly" = true))]
    pub password: HiddenText,
    /// Time limit, seconds.
    pub timeout: u32,
    /// Time limit of connecting, seconds.
    pub connect_timeout: u32,
    /// Prefix of collections.
    pub collection_prefix: String,
    /// Index.
    pub index_name: String,
    /// Dimensions.
    pub dimension: u32,
    /// Distance.
    #[schemars(extend("enum" = ["COSINE", "L2", "IP"]))]
    pub metric_type: String,
    /// M of the index.
    pub index_m: u32,
    /// efConstruction of the index.
    pub index_ef_construction: u32,
    /// Use TLS.
    pub tls_enabled: bool,
    /// Certificate authority.
    pub tls_ca_path: String,
    /// Take any certificate.
    pub tls_insecure_skip_verify: bool,
}

/// A Qdrant server.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QdrantStore {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Credential.
    #[schemars(extend("writeOnly" = true))]
    pub api_key: HiddenText,
    /// Use TLS.
    pub use_tls: bool,
    /// Time limit of connecting, seconds.
    pub connect_timeout: u32,
    /// Collection.
    pub collection: String,
    /// Collection, where the place calls it so.
    pub collection_name: String,
    /// Prefix of collections.
    pub collection_prefix: String,
    /// Dimensions.
    pub dimension: u32,
}

/// A Milvus server, in short.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusStore {
    /// `host:port`.
    pub address: String,
    /// User.
    pub username: String,
    /// Password.
    #[schemars(extend("writeOnly" = true))]
    pub password: HiddenText,
    /// Collection.
    pub collection: String,
    /// Collection, where the place calls it so.
    pub collection_name: String,
    /// Consistency.
    pub consistency_level: String,
    /// Shards.
    pub shard_num: u32,
    /// Dimensions.
    pub dimension: u32,
    /// Partitions.
    pub num_partitions: u32,
}

/// A Llama Stack server.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LlamaStack {
    /// URL.
    pub endpoint: String,
    /// Credential.
    #[schemars(extend("writeOnly" = true))]
    pub auth_token: HiddenText,
    /// Embedding model.
    pub embedding_model: String,
    /// Time limit.
    pub request_timeout_seconds: u32,
    /// Kind of search.
    pub search_type: String,
}

/// A Redis or Valkey server with an index of vectors.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorCache {
    /// Where it is.
    pub connection: VectorConnection,
    /// The index.
    pub index: VectorIndex,
    /// How it is searched.
    pub search: VectorSearch,
    /// Settings for development.
    pub development: VectorDevelopment,
    /// Log settings.
    pub logging: VectorLogging,
}

/// Where a server is.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorConnection {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database number.
    pub database: u32,
    /// Password.
    #[schemars(extend("writeOnly" = true))]
    pub password: HiddenText,
    /// Time limit, seconds.
    pub timeout: u32,
    /// Certificates.
    pub tls: MilvusTls,
}

/// An index of vectors.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorIndex {
    /// Name.
    pub name: String,
    /// Prefix of keys.
    pub prefix: String,
    /// The vectors.
    pub vector_field: VectorField,
    /// Kind of index.
    pub index_type: String,
    /// Parameters of the index.
    pub params: VectorParams,
}

/// The vectors of an index.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorField {
    /// Field.
    pub name: String,
    /// Dimensions.
    pub dimension: u32,
    /// Distance.
    pub metric_type: String,
}

/// Parameters of an index of vectors.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorParams {
    /// Neighbours of a node.
    #[serde(rename = "M")]
    pub m: u32,
    /// Candidates while the index is made.
    #[serde(rename = "efConstruction")]
    pub ef_construction: u32,
}

/// How an index is searched.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorSearch {
    /// Hits at most.
    pub topk: u32,
}

/// Settings for development.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorDevelopment {
    /// Delete the index at start.
    pub drop_index_on_startup: bool,
    /// Create it if there is none.
    pub auto_create_index: bool,
}

/// Log settings.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VectorLogging {
    /// Level.
    pub level: String,
}

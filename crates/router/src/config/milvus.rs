//! A Milvus server, as `global.stores` writes it in full.

use document::HiddenText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A Milvus server, in full.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Milvus {
    /// Where it is.
    pub connection: MilvusConnection,
    /// What is kept.
    pub collection: MilvusCollection,
    /// How it is searched.
    pub search: MilvusSearch,
    /// Pools and batches.
    pub performance: MilvusPerformance,
    /// What is deleted when.
    pub data_management: MilvusData,
    /// Log settings.
    pub logging: MilvusLogging,
    /// Settings for development.
    pub development: MilvusDevelopment,
}

/// Where a Milvus server is.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusConnection {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Time limit, seconds.
    pub timeout: u32,
    /// User and password.
    pub auth: MilvusAuth,
    /// Certificates.
    pub tls: MilvusTls,
}

/// User and password.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusAuth {
    /// Use them.
    pub enabled: bool,
    /// User.
    pub username: String,
    /// Password.
    #[schemars(extend("writeOnly" = true))]
    pub password: HiddenText,
}

/// Certificates.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusTls {
    /// Use TLS.
    pub enabled: bool,
    /// Client certificate.
    pub cert_file: String,
    /// Its key.
    pub key_file: String,
    /// Certificate authority.
    pub ca_file: String,
}

/// What is kept.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusCollection {
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The vectors.
    pub vector_field: MilvusVectors,
    /// Their index.
    pub index: MilvusIndex,
}

/// The vectors of a collection.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusVectors {
    /// Field.
    pub name: String,
    /// Dimensions.
    pub dimension: u32,
    /// Distance.
    pub metric_type: String,
}

/// The index of a collection.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusIndex {
    /// Kind of index.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its parameters, as the kind takes them.
    pub params: BTreeMap<String, Value>,
}

/// How a collection is searched.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusSearch {
    /// Parameters, as the index takes them.
    pub params: BTreeMap<String, Value>,
    /// Hits at most.
    pub topk: u32,
    /// Consistency.
    pub consistency_level: String,
}

/// Pools and batches.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusPerformance {
    /// Connections.
    pub connection_pool: MilvusPool,
    /// Writes.
    pub batch: MilvusBatch,
}

/// Connections.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusPool {
    /// At most.
    pub max_connections: u32,
    /// Idle at most.
    pub max_idle_connections: u32,
    /// Time limit of getting one, seconds.
    pub acquire_timeout: u32,
}

/// Writes.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusBatch {
    /// Rows per write.
    pub insert_batch_size: u32,
    /// Time limit, seconds.
    pub timeout: u32,
}

/// What is deleted when.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusData {
    /// Lifetime of rows.
    pub ttl: MilvusTtl,
    /// Compaction.
    pub compaction: MilvusCompaction,
}

/// Lifetime of rows.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusTtl {
    /// Delete old rows.
    pub enabled: bool,
    /// Field with the time.
    pub timestamp_field: String,
    /// Seconds between deletions.
    pub cleanup_interval: u64,
}

/// Compaction.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusCompaction {
    /// Compact.
    pub enabled: bool,
    /// Seconds between compactions.
    pub interval: u64,
}

/// Log settings.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusLogging {
    /// Level.
    pub level: String,
    /// Log queries.
    pub enable_query_log: bool,
    /// Collect metrics.
    pub enable_metrics: bool,
}

/// Settings for development.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MilvusDevelopment {
    /// Delete the collection at start.
    pub drop_collection_on_startup: bool,
    /// Create it if there is none.
    pub auto_create_collection: bool,
    /// Errors in full.
    pub verbose_errors: bool,
}

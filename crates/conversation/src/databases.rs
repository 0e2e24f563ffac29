//! Connections to the databases that replicas share state through, as the document writes them.

use document::HiddenText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Redis server or cluster.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisStore {
    /// `host:port`.
    pub address: String,
    /// Password.
    #[schemars(extend("writeOnly" = true))]
    pub password: HiddenText,
    /// Database number.
    pub db: u32,
    /// Database number, where the place calls it so.
    pub database: u32,
    /// Prefix of keys.
    pub key_prefix: String,
    /// Use a cluster.
    pub cluster_mode: bool,
    /// Its nodes.
    pub cluster_addresses: Vec<String>,
    /// Connections.
    pub pool_size: u32,
    /// Idle connections at least.
    pub min_idle_conns: u32,
    /// Retries.
    pub max_retries: u32,
    /// Time limit of connecting, seconds.
    pub dial_timeout: u32,
    /// Time limit of reading, seconds.
    pub read_timeout: u32,
    /// Time limit of writing, seconds.
    pub write_timeout: u32,
    /// Use TLS.
    pub use_tls: bool,
    /// Take any certificate.
    pub tls_skip_verify: bool,
    /// Use TLS, where the place calls it so.
    pub tls_enabled: bool,
    /// Client certificate.
    pub tls_cert_path: String,
    /// Its key.
    pub tls_key_path: String,
    /// Certificate authority.
    pub tls_ca_path: String,
    /// File with more settings.
    pub config_path: String,
}

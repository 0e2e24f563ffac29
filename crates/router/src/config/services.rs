//! `global.services`: services around routing.

use super::databases::{MilvusStore, PostgresStore, QdrantStore, RedisStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Services around routing.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Services {
    /// The classification API.
    pub api: Option<Api>,
    /// The Responses API.
    pub response_api: Option<ResponseApi>,
    /// Traces and metrics.
    pub observability: Option<Observability>,
    /// Identity and credentials.
    pub authz: Authz,
    /// Rate limits.
    pub ratelimit: Option<RateLimit>,
    /// The management API.
    pub management_api: Option<ManagementApi>,
    /// Where start-up progress is kept.
    pub startup_status: Option<StartupStatus>,
    /// Records of requests.
    pub router_replay: Option<RouterReplay>,
}

/// The classification API.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Batches and their metrics.
    pub batch_classification: Option<BatchClassification>,
    /// The API of embeddings. Known, without effect.
    pub embeddings: Option<EmbeddingApi>,
    /// Limits of the preview. Known, without effect.
    pub routing_preview: Option<RoutingPreview>,
}

/// The API of embeddings.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingApi {
    /// Serve it.
    pub enabled: bool,
}

/// Limits of the preview of routing.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoutingPreview {
    /// Time limit of a request; 0 means 120.
    pub request_timeout_seconds: u32,
    /// Requests at a time; 0 means 16.
    pub max_concurrency: u32,
}

/// Profiler of the reference.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Profiling {
    /// Serve it.
    pub enabled: bool,
    /// Port.
    pub port: u16,
    /// Address.
    pub bind: String,
}

/// Batches of texts.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchClassification {
    /// Texts per call.
    pub max_batch_size: u32,
    /// Texts that start parallel work.
    pub concurrency_threshold: u32,
    /// Evaluations at a time.
    pub max_concurrency: u32,
    /// Metrics of batches.
    pub metrics: Option<BatchMetrics>,
}

/// Metrics of batches.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchMetrics {
    /// Collect them.
    pub enabled: bool,
    /// Share of calls measured.
    pub sample_rate: f64,
    /// Classes of batch size.
    pub batch_size_ranges: Vec<BatchSizeRange>,
    /// Bounds of the duration histogram.
    pub duration_buckets: Vec<f64>,
    /// Bounds of the size histogram.
    pub size_buckets: Vec<f64>,
    /// Known, without effect.
    pub detailed_goroutine_tracking: bool,
    /// Known, without effect.
    pub high_resolution_timing: bool,
}

/// A class of batch size.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSizeRange {
    /// Least size.
    pub min: i64,
    /// Largest size.
    pub max: i64,
    /// Its label.
    pub label: String,
}

/// The Responses API.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseApi {
    /// Serve it.
    pub enabled: Option<bool>,
    /// Where responses are kept.
    #[schemars(extend("enum" = ["memory", "redis"]))]
    pub store_backend: String,
    /// How long.
    pub ttl_seconds: u64,
    /// How many.
    pub max_responses: u64,
    /// Redis.
    pub redis: Option<RedisStore>,
}

/// Traces and metrics.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Observability {
    /// Traces.
    pub tracing: Option<Tracing>,
    /// Metrics.
    pub metrics: Option<Metrics>,
    /// Profiler of the reference. Known, without effect.
    pub profiling: Option<Profiling>,
}

/// Traces.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tracing {
    /// Send traces.
    pub enabled: bool,
    /// Known; `opentelemetry`.
    pub provider: String,
    /// Where they go.
    pub exporter: Option<TraceExporter>,
    /// Which requests.
    pub sampling: Option<TraceSampling>,
    /// What the process calls itself.
    pub resource: Option<TraceResource>,
}

/// Where traces go.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TraceExporter {
    /// `otlp` or `stdout`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["otlp", "stdout"]))]
    pub kind: String,
    /// `host:port`.
    pub endpoint: String,
    /// Without TLS.
    pub insecure: bool,
}

/// Which requests are traced.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSampling {
    /// How they are chosen.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["always_on", "always_off", "probabilistic"]))]
    pub kind: String,
    /// Share, for `probabilistic`.
    pub rate: f64,
}

/// What the process calls itself in traces.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TraceResource {
    /// Name.
    pub service_name: String,
    /// Version.
    pub service_version: String,
    /// Environment.
    pub deployment_environment: String,
}

/// Metrics.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Serve them; omitted means on.
    pub enabled: Option<bool>,
    /// Figures over time windows.
    pub windowed_metrics: Option<WindowedMetrics>,
}

/// Figures over time windows.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WindowedMetrics {
    /// Compute them.
    pub enabled: bool,
    /// The windows, for example `5m`.
    pub time_windows: Vec<String>,
    /// How often.
    pub update_interval: String,
    /// Per model.
    pub model_metrics: bool,
    /// Estimate queue depths.
    pub queue_depth_estimation: bool,
    /// Models at most.
    pub max_models: u32,
}

/// Identity and credentials of callers.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Authz {
    /// Go on without roles when nobody is authenticated.
    pub fail_open: bool,
    /// Headers that state who calls.
    pub identity: AuthzIdentity,
    /// Sources of the callers' own credentials.
    pub providers: Vec<AuthzProvider>,
}

/// Headers that state who calls. They count only if `global.server.trusted_identity_headers` lists
/// them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthzIdentity {
    /// User id; empty means `x-authz-user-id`.
    pub user_id_header: String,
    /// Groups, comma-separated; empty means `x-authz-user-groups`.
    pub user_groups_header: String,
}

/// A source of the callers' own credentials.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthzProvider {
    /// Kind of source.
    #[serde(rename = "type")]
    pub kind: String,
    /// Header names or values, as the kind takes them.
    #[schemars(extend("writeOnly" = true))]
    pub headers: BTreeMap<String, String>,
}

/// Rate limits.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Go on when the limiter fails.
    pub fail_open: bool,
    /// Limiters; a request passes if all agree.
    pub providers: Vec<RateLimitProvider>,
}

/// A limiter.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitProvider {
    /// `envoy-ratelimit` or `local-limiter`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["envoy-ratelimit", "local-limiter"]))]
    pub kind: String,
    /// `host:port`, for `envoy-ratelimit`.
    pub address: String,
    /// Domain, for `envoy-ratelimit`.
    pub domain: String,
    /// Rules, for `local-limiter`.
    pub rules: Vec<RateLimitRule>,
}

/// A limit.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitRule {
    /// Name.
    pub name: String,
    /// Whose requests.
    #[serde(rename = "match")]
    pub applies_to: RateLimitMatch,
    /// Requests per unit; 0 means no limit.
    pub requests_per_unit: u64,
    /// Tokens per unit; 0 means no limit.
    pub tokens_per_unit: u64,
    /// The unit.
    #[schemars(extend("enum" = ["second", "minute", "hour", "day"]))]
    pub unit: String,
}

/// Whose requests a limit counts; what is given must hold.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitMatch {
    /// User id.
    pub user: String,
    /// Group.
    pub group: String,
    /// Model.
    pub model: String,
}

/// The management API.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManagementApi {
    /// Address; `--admin` wins.
    pub bind_address: String,
    /// Port; `--admin` wins.
    pub port: u16,
    /// Allow an address that others can reach.
    pub remote_exposure: bool,
    /// Who may call.
    pub auth: Option<ManagementAuth>,
}

/// Who may call the management API.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManagementAuth {
    /// `disabled` or `bearer`.
    #[schemars(extend("enum" = ["disabled", "bearer"]))]
    pub mode: String,
    /// Tokens.
    pub tokens: Vec<ManagementToken>,
    /// Permissions by role.
    pub roles: BTreeMap<String, Vec<String>>,
}

/// A token and its role.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManagementToken {
    /// Environment variable that holds the token.
    pub env: String,
    /// Role.
    pub role: String,
}

/// Where start-up progress is kept.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartupStatus {
    /// Kind of store.
    #[schemars(extend("enum" = ["file", "redis"]))]
    pub store_backend: String,
    /// Redis.
    pub redis: Option<RedisStore>,
}

/// Records of requests.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterReplay {
    /// Keep them.
    pub enabled: bool,
    /// Kind of store; empty means memory.
    #[schemars(extend("enum" = ["memory", "redis", "postgres", "milvus", "qdrant"]))]
    pub store_backend: String,
    /// How long.
    pub ttl_seconds: u64,
    /// Write behind the request.
    pub async_writes: bool,
    /// Redis.
    pub redis: Option<RedisStore>,
    /// PostgreSQL.
    pub postgres: Option<PostgresStore>,
    /// Milvus.
    pub milvus: Option<MilvusStore>,
    /// Qdrant.
    pub qdrant: Option<QdrantStore>,
}

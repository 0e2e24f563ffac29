//! Merit's own keys of `global`: trust, limits, evaluation, energy.

use super::paths::Passthrough;
use super::pool::{Fallback, LooperLimits, PoolSettings};
use super::records::RecordSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Listeners, limits and trust of the process.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// `auto` (the default) reads of responses what the gateway shows anyway; `route` reads
    /// nothing, so that no stream is held while a model answers; `observe` waits for the response
    /// headers also under BUFFERED, and asks chat streams for their usage.
    #[schemars(extend("enum" = ["auto", "route", "observe"]))]
    pub profile: String,
    /// The external-processing listener.
    pub extproc: ExtProc,
    /// Request headers that state who calls. Listed only where a proxy in front removes the
    /// clients' own copies.
    pub trusted_identity_headers: Vec<String>,
    /// User ids that may ask for debug headers.
    pub debug_principals: Vec<String>,
    /// Request headers that carry the chosen model to Envoy's routes.
    pub routing_headers: Vec<String>,
    /// Prefixes behind which LLM endpoints are read as well as without any. A request is forwarded
    /// to the path that it was sent to.
    pub path_prefixes: Vec<String>,
    /// Requests to other services behind the same gateway. Where the policy has a boundary or a
    /// safety rule, a body on a path that Merit does not read is refused unless it is listed here.
    pub passthrough: Vec<Passthrough>,
    /// Regular expressions of what client programs write into the user's texts. What one matches, at
    /// the beginning of a text or of a line in it, is not the user's turn.
    pub wrapper_patterns: Vec<String>,
    /// How the models of learned signals run.
    pub inference: Inference,
    /// Where the state of the models' pools is learned from, and when a failing model is rested.
    pub pool: PoolSettings,
    /// What a multi-model run may spend.
    pub looper: LooperLimits,
    /// What happens where a model fails.
    pub fallback: Fallback,
    /// What is changed in answers.
    pub response: ResponseSettings,
    /// Records of requests.
    pub records: RecordSettings,
    /// Environment variable with the secret that signs turn states and the credentials of calls
    /// back through the gateway. All replicas must have the same. Without it each process makes its
    /// own, so that a turn state is void at another replica.
    pub secret_env: String,
}

impl Default for Server {
    fn default() -> Self {
        let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect();
        Self {
            profile: "auto".to_owned(),
            extproc: ExtProc::default(),
            trusted_identity_headers: Vec::new(),
            debug_principals: Vec::new(),
            routing_headers: list(&["x-selected-model", "x-gateway-model-name", "x-ai-eg-model"]),
            path_prefixes: list(&dialects::endpoint::DEFAULT_PREFIXES),
            passthrough: Vec::new(),
            wrapper_patterns: list(&dialects::wrappers::DEFAULT_PATTERNS),
            inference: Inference::default(),
            pool: PoolSettings::default(),
            looper: LooperLimits::default(),
            fallback: Fallback::default(),
            response: ResponseSettings::default(),
            records: RecordSettings::default(),
            secret_env: "MERIT_SECRET".to_owned(),
        }
    }
}

/// What is changed in answers. Needs a gateway that shows response bodies: `response_body_mode`
/// STREAMED, FULL_DUPLEX_STREAMED or BUFFERED, with the response headers. Where it does not,
/// answers stay as they are and `x-merit-degraded` says so.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseSettings {
    /// Answers name the model as the caller did, wherever Merit wrote another name into the
    /// request. Backends are then asked for uncompressed answers.
    pub restore_model: bool,
}

/// The external-processing listener.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExtProc {
    /// Body mode to assume where Envoy does not say.
    #[schemars(extend("enum" = ["none", "buffered", "buffered_partial", "streamed", "full_duplex_streamed"]))]
    pub assume_mode: String,
    /// What is at the other end: `envoy` or `agentgateway`, whose streams are never ended early.
    #[schemars(extend("enum" = ["envoy", "agentgateway"]))]
    pub peer: String,
    /// Time to decide under full duplex, milliseconds.
    pub deadline_ms: u64,
    /// Time to decide under BUFFERED, whose gateways wait 200 ms, milliseconds.
    pub buffered_deadline_ms: u64,
    /// Largest request body, bytes.
    pub body_limit_bytes: u64,
    /// All request bodies held together, bytes. An eighth is kept for bodies of at most 256 KiB;
    /// where room is short the slowest upload is ended with 503.
    pub total_buffered_bytes: u64,
    /// Slowest request body that is waited for under full duplex, bytes per second over ten
    /// seconds; slower ones are answered with 408. 0 waits for any, up to a minute a piece.
    pub min_upload_bytes_per_second: u64,
    /// Exchanges at a time.
    pub max_streams: u32,
    /// Send immediate answers as streams where Envoy can take them.
    pub streamed_immediate: bool,
}

impl Default for ExtProc {
    fn default() -> Self {
        Self {
            assume_mode: "buffered".to_owned(),
            peer: "envoy".to_owned(),
            deadline_ms: 2_000,
            buffered_deadline_ms: 150,
            body_limit_bytes: 32 << 20,
            total_buffered_bytes: 512 << 20,
            min_upload_bytes_per_second: 1_024,
            max_streams: 10_000,
            streamed_immediate: false,
        }
    }
}

/// How the models of learned signals run. No model is loaded for a document that reaches no learned
/// signal. All but `preload` is read at start only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inference {
    /// What graphs run on. The first must be there; the next ones take what it cannot do.
    pub execution_providers: Vec<ExecutionProvider>,
    /// Precision of the encoder's weights; `auto` is `int8` on CPUs and `fp32` elsewhere.
    #[schemars(extend("enum" = ["auto", "int8", "fp32"]))]
    pub precision: String,
    /// Threads that run graphs, one window each; 0 for as many as there are cores.
    pub lanes: u32,
    /// Requests that may wait for models; further ones are shed. Questions of safety signals have
    /// as many places again.
    pub queue: u32,
    /// Windows whose results are kept, at most.
    pub cache_entries: u32,
    /// Memory of these results at most, bytes.
    pub cache_bytes: u64,
    /// Folder where vectors of example texts are kept between starts; empty keeps none.
    pub prototype_cache: String,
    /// Load every classifier of the classification API at start, whatever the decisions reach.
    /// Without it the API answers for those that some decision reaches.
    pub preload: bool,
    /// Calls to one external model at a time; further ones wait.
    pub remote_concurrency: u32,
    /// Largest answer of an external model, bytes.
    pub remote_response_bytes: u64,
}

impl Default for Inference {
    fn default() -> Self {
        Self {
            execution_providers: vec![ExecutionProvider::Cpu],
            precision: "auto".to_owned(),
            lanes: 0,
            queue: 512,
            cache_entries: 16_384,
            cache_bytes: 32 << 20,
            prototype_cache: String::new(),
            preload: false,
            remote_concurrency: 32,
            remote_response_bytes: 8 << 20,
        }
    }
}

/// What runs graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionProvider {
    /// The processor.
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// An NVIDIA card, with graphs compiled for it.
    Tensorrt,
}

/// How signals are evaluated.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// `lazy` stops when nothing more can change the result; `full` evaluates every signal. The
    /// decision is the same.
    #[schemars(extend("enum" = ["lazy", "full"]))]
    pub mode: String,
    /// Rules by which matching decisions are ranked: `v0.3`, `v0.4`, or `auto` (the default), which
    /// means `v0.4` for a document with a key of v0.4.
    #[schemars(extend("enum" = ["auto", "v0.3", "v0.4"]))]
    pub ranking: String,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            mode: "lazy".to_owned(),
            ranking: String::new(),
        }
    }
}

/// The energy ledger.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Energy {
    /// Keep it.
    pub enabled: bool,
    /// Factor from accelerator to site (power usage effectiveness); 0 means 1.
    pub pue: f64,
    /// Grams of CO2 equivalent per kilowatt-hour; 0 means that emissions are not reported.
    pub carbon_intensity: f64,
    /// Where `carbon_intensity` is from.
    pub carbon_source: String,
}

//! The command line of `merit`.

use crate::listener::Address;
use crate::models::Installed;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  merit check policy.yaml                         every problem, with line and column
  merit explain policy.yaml \"Prove it, please.\"   where a request would go, and why
  merit test policy.yaml probes.yaml              whether probes go where they must
  merit serve policy.yaml                         serve Envoy on port 50051
  merit migrate policy.yaml --in-place            rewrite old keys
  merit check policy.yaml --envoy envoy.yaml      the document and the Envoy in front";

/// Chooses the model for each LLM request, as an external processor of Envoy.
#[derive(Debug, Parser)]
#[command(name = "merit", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve Envoy over gRPC, with the admin API and metrics beside it
    Serve(Box<ServeArgs>),
    /// Report every problem of routing documents and of an Envoy bootstrap; loads models only with
    /// --models
    Check(CheckArgs),
    /// Show where one request would go, and why
    Explain(ExplainArgs),
    /// Evaluate probes, and fail if one does not go where it must
    Test(TestArgs),
    /// Rewrite old keys of a document, or of a file of probes, where they stand
    Migrate(Box<MigrateArgs>),
    /// Fit, calibrate and measure a classifier head or a selector from labelled data
    Train(Box<TrainArgs>),
    /// Ask a running Merit whether it is serving, as Envoy's health check does
    Probe(ProbeArgs),
    /// Records of requests
    #[command(subcommand)]
    Records(RecordsCommand),
    /// Print the JSON Schema of the routing document
    Schema,
}

impl Cli {
    /// Reads a command line.
    ///
    /// # Errors
    /// If it is not understood.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(words)?;
        let fault = match &cli.command {
            Command::Explain(arguments) => arguments.fault(),
            _ => None,
        };
        match fault {
            Some(fault) => Err(Self::command().error(ErrorKind::MissingRequiredArgument, fault)),
            None => Ok(cli),
        }
    }
}

/// The routing document that a command reads.
#[derive(Debug, Clone, Args)]
pub struct PolicyArg {
    /// Routing document (YAML)
    #[arg(value_name = "POLICY", required_unless_present = "config")]
    policy: Option<PathBuf>,
    /// The same, as an option
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "policy")]
    config: Option<PathBuf>,
}

impl PolicyArg {
    /// Returns the document's file.
    #[must_use]
    pub fn file(&self) -> &Path {
        let file = self.policy.as_ref().or(self.config.as_ref());
        file.map_or(Path::new(""), PathBuf::as_path)
    }
}

impl From<PathBuf> for PolicyArg {
    fn from(file: PathBuf) -> Self {
        Self {
            policy: Some(file),
            config: None,
        }
    }
}

/// `merit serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Routing document; reloaded when it changes and on SIGHUP.
    #[command(flatten)]
    pub policy: PolicyArg,
    /// Address that Envoy connects to: ADDR:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub listen: Address,
    /// Address of the admin HTTP API
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub admin: SocketAddr,
    /// Address of the Prometheus metrics
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9190")]
    pub metrics: SocketAddr,
    /// TLS of the ext_proc listener.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Allow plaintext ext_proc beyond loopback even if a backend has a credential
    #[arg(long)]
    pub insecure_listen: bool,
    /// File with the bearer token of the admin API; required if it listens beyond loopback
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Folder with the language identification model; a smaller built-in one is used without it
    #[arg(long, env = "MERIT_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Models of learned signals.
    #[command(flatten)]
    pub models: ModelArgs,
    /// Format of the log on standard error; RUST_LOG sets the level
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Grace period of a shutdown in seconds, from signal to exit
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub drain_seconds: u32,
    /// Seconds of the grace period in which new streams are still accepted while health reports not
    /// serving, so that gateways notice [default: 5, or half of the grace period if that is less]
    #[arg(long, value_name = "N")]
    pub settle_seconds: Option<u32>,
    /// Threads that serve requests [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Write the bound addresses to this file, as JSON, once all listeners are ready
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
}

/// Files of the ext_proc listener's TLS; re-read when they change.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// Certificate chain (PEM) of the ext_proc listener
    #[arg(long = "tls-cert", value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Private key (PEM) of the ext_proc listener
    #[arg(long = "tls-key", value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Require client certificates signed by these authorities (PEM)
    #[arg(long = "tls-client-ca", value_name = "FILE", requires = "cert")]
    pub client_ca: Option<PathBuf>,
}

/// Where the models of learned signals are.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelArgs {
    /// Folder of installed models; needed if a decision can reach a learned signal
    #[arg(long, env = "MERIT_MODELS", value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// ONNX Runtime library [default: the one in the folder of models]
    #[arg(long, env = "MERIT_ONNXRUNTIME", value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,
}

impl From<ModelArgs> for Installed {
    fn from(arguments: ModelArgs) -> Self {
        Self {
            models: arguments.models,
            onnxruntime: arguments.onnxruntime,
        }
    }
}

/// `merit check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Routing documents (YAML)
    #[arg(value_name = "FILE", required_unless_present = "envoy")]
    pub files: Vec<PathBuf>,
    /// Envoy bootstrap (YAML or JSON) whose ext_proc filters are checked
    #[arg(long, value_name = "FILE")]
    pub envoy: Option<PathBuf>,
    /// List defaults that have changed since the first version and concern the documents
    #[arg(long)]
    pub changes: bool,
    /// Print the documents with their defaults filled in, and where each value came from; problems go to
    /// standard error
    #[arg(long, conflicts_with_all = ["envoy", "changes", "format"])]
    pub effective: bool,
    /// Models to load as well; without a folder only names and labels are checked.
    #[command(flatten)]
    pub models: ModelArgs,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

/// `merit explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Routing document (YAML)
    #[arg(value_name = "POLICY")]
    policy: Option<PathBuf>,
    /// The same, as an option; TEXT is then the first word
    #[arg(long, value_name = "FILE", hide = true)]
    config: Option<PathBuf>,
    /// The user's message
    text: Option<String>,
    /// File with a whole request body (JSON), instead of TEXT
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// Model name that the client asks for
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Path that the request is sent to, such as /v1/embeddings; it is read as `serve` reads it
    /// [default: a conversation]
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// Request header as `name=value`; may be repeated
    #[arg(long = "header", value_name = "K=V", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// Folder with the language identification model; a smaller built-in one is used without it
    #[arg(long, env = "MERIT_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Models of learned signals.
    #[command(flatten)]
    pub models: ModelArgs,
    /// Format of the answer
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

impl ExplainArgs {
    /// Returns the document's file.
    #[must_use]
    pub fn file(&self) -> &Path {
        let file = self.config.as_ref().or(self.policy.as_ref());
        file.map_or(Path::new(""), PathBuf::as_path)
    }

    /// Returns the user's message.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match (&self.config, &self.policy) {
            (Some(_), first) => first.as_ref().map(|it| it.to_string_lossy().into_owned()),
            (None, _) => self.text.clone(),
        }
    }

    /// Says what is missing, or given twice.
    fn fault(&self) -> Option<&'static str> {
        let texts = usize::from(self.text.is_some())
            + usize::from(self.config.is_some() && self.policy.is_some())
            + usize::from(self.request.is_some());
        match (self.file().as_os_str().is_empty(), texts) {
            (true, _) => Some("a policy is required: merit explain POLICY TEXT"),
            (_, 0) => Some("a text is required, or --request FILE"),
            (_, 1) => None,
            _ => Some("there is more than one text or request"),
        }
    }
}

/// `merit test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Routing document (YAML)
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// Files of probes (YAML), in Merit's form or in that of vLLM Semantic Router
    #[arg(value_name = "PROBES", required = true)]
    pub probes: Vec<PathBuf>,
    /// Folder with the language identification model; a smaller built-in one is used without it
    #[arg(long, env = "MERIT_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Models of learned signals; without a folder such signals find no answer.
    #[command(flatten)]
    pub models: ModelArgs,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

/// `merit migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Routing document, or file of probes (YAML); the new text goes to standard output
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// Write the file itself, and the changes to standard output
    #[arg(long)]
    pub in_place: bool,
    /// Also drop keys that have no effect any more
    #[arg(long)]
    pub drop_dead: bool,
    /// Evaluate these probes before and after, and list those that go elsewhere
    #[arg(long, value_name = "PROBES")]
    pub check: Vec<PathBuf>,
    /// List what only Merit understands: vLLM Semantic Router refuses such keys
    #[arg(long)]
    pub for_reference: bool,
    /// Folder with the language identification model; a smaller built-in one is used without it
    #[arg(long, env = "MERIT_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Models of learned signals, for probes; without a folder such signals find no answer.
    #[command(flatten)]
    pub models: ModelArgs,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

/// `merit probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Address of an ext_proc listener, HOST:PORT
    pub address: String,
    /// Name of the health service; others are `readiness` and `liveness`
    #[arg(
        long,
        value_name = "NAME",
        default_value = "envoy.service.ext_proc.v3.ExternalProcessor"
    )]
    pub service: String,
    /// Use TLS, and trust these certificate authorities (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Name expected in the server's certificate [default: the host of the address]
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    pub tls_name: Option<String>,
    /// Keep asking until Merit is serving, for at most this many seconds
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub timeout_seconds: u32,
}

/// `merit records`.
#[derive(Debug, Subcommand)]
pub enum RecordsCommand {
    /// Write the records of a running Merit as JSON lines, oldest first
    Export(ExportArgs),
}

/// `merit records export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Address of the admin HTTP API
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub admin: SocketAddr,
    /// File with the bearer token of the admin API
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub format: ExportFormat,
    /// Only records whose prompt was captured, which `merit train` can read
    #[arg(long)]
    pub captured: bool,
}

/// A form of exported records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JSON lines.
    Jsonl,
}

/// `merit train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// What to fit
    #[arg(value_enum)]
    pub task: TrainTask,
    /// Folder of the data sets; for `own` a file or folder of {"text", "label"} lines, for
    /// `selection` a file of routing records
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder of the texts written for the shipped heads
    #[arg(long, value_name = "DIR", default_value = "crates/training/corpus")]
    pub corpus: PathBuf,
    /// Folder of the new head, or file of the new artifact; nothing is written without it
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Name on the head's card [default: the task's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Installed encoder that the head will read, for example `multilingual-e5-small` [default:
    /// that of English]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub encoder: String,
    /// Use the encoder's vector alone, without the word tables
    #[arg(long)]
    pub encoder_only: bool,
    /// Also fit once without each source of attacks, and measure on that source
    #[arg(long)]
    pub leave_one_out: bool,
    /// File of held-out texts, used for figures only: turns, or for `pii` marked sentences
    #[arg(long, value_name = "FILE")]
    pub evaluation: Option<PathBuf>,
    /// Folder that caches the features of texts for further runs
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// `selection`: algorithm to fit on the routing records
    #[arg(long, value_enum, default_value_t = SelectionAlgorithm::Kmeans)]
    pub algorithm: SelectionAlgorithm,
    /// `selection`: number of records to read at most, spread over the file; 0 reads all
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub limit: usize,
    /// `selection` with `knn`: number of nearest requests that vote
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub neighbours: usize,
    /// `selection` with `kmeans`: number of groups
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub clusters: usize,
    /// `selection`: use the records' categories as well as their texts
    #[arg(long)]
    pub categories: bool,
    /// Models that embed the texts.
    #[command(flatten)]
    pub models: ModelArgs,
}

/// An algorithm that can be fitted on routing records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SelectionAlgorithm {
    /// The nearest requests vote.
    Knn,
    /// Each group of requests has one model.
    Kmeans,
}

/// What `merit train` fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum TrainTask {
    /// One of the 14 categories of MMLU-Pro.
    Domain,
    /// Whether a text is an attack.
    Jailbreak,
    /// Whether the answer rests on facts that can be checked.
    FactCheck,
    /// The user's opinion of the last answer.
    UserFeedback,
    /// Whether text, an image or both are wanted.
    Modality,
    /// Spans of personal data.
    Pii,
    /// Labels of your own.
    Own,
    /// Not a head but an artifact of `knn` or `kmeans`, from routing records; `--out` names its
    /// file.
    Selection,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// JSON for machines.
    Json,
}

fn header(text: &str) -> Result<(String, String), NotAHeader> {
    let (name, value) = text.split_once('=').ok_or(NotAHeader)?;
    Ok((name.trim().to_ascii_lowercase(), value.to_owned()))
}

#[derive(Debug, thiserror::Error)]
#[error("expected name=value")]
struct NotAHeader;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_defaults_to_loopback() {
        let Command::Serve(arguments) =
            Cli::parse_from(["merit", "serve", "--config", "a.yaml"]).command
        else {
            panic!("not serve");
        };
        assert_eq!(arguments.listen.to_string(), "127.0.0.1:50051");
        assert_eq!(arguments.admin.to_string(), "127.0.0.1:8080");
        assert_eq!(arguments.metrics.to_string(), "127.0.0.1:9190");
        assert!(!arguments.insecure_listen);
        assert_eq!(arguments.policy.file(), Path::new("a.yaml"));
    }

    #[test]
    fn explain_takes_the_policy_first_or_as_an_option() {
        for words in [
            ["merit", "explain", "a.yaml", "hi", "--format", "text"],
            [
                "merit",
                "explain",
                "--config",
                "a.yaml",
                "hi",
                "--format=text",
            ],
        ] {
            let Command::Explain(arguments) = Cli::parse_from(words).command else {
                panic!("not explain");
            };
            assert_eq!(arguments.file(), Path::new("a.yaml"));
            assert_eq!(arguments.text().as_deref(), Some("hi"));
        }
    }

    #[test]
    fn command_lines() {
        for (line, accepted) in [
            ("serve a", true),
            ("serve a --config a", false),
            ("serve a b", false),
            ("explain a hello", true),
            ("explain a hello there", false),
            ("explain a", false),
            ("explain a --request r", true),
            ("explain a hello --request r", false),
            ("explain hello --config a --format json", true),
            ("explain --config a --request r hello", false),
            ("test a b c --format json", true),
            ("test a", false),
            ("migrate a --in-place --drop-dead", true),
            (
                "migrate a --check b --check c --for-reference --format json",
                true,
            ),
            ("migrate", false),
            ("serve --config a --listen unix:/tmp/x.sock", true),
            ("serve --config a --listen localhost:0", true),
            ("serve", false),
            ("serve --config a --listen nonsense", false),
            ("serve --config a --tls-cert c", false),
            (
                "serve --config a --tls-cert c --tls-key k --tls-client-ca ca",
                true,
            ),
            ("serve --config a --workers 0", false),
            ("check a b --format json", true),
            ("check --envoy e", true),
            ("check", false),
            ("explain --config a hello --header x-user=me", true),
            ("explain --config a hello --header nonsense", false),
            ("explain --config a --request r", true),
            ("explain --config a hello --request r", false),
            ("explain --config a", false),
            ("train fact_check --data d --models m", true),
            ("train own --data d --encoder multilingual-e5-small", true),
            ("train nonsense --data d", false),
            ("train pii", false),
            (
                "train selection --data r.jsonl --algorithm knn --out a.json",
                true,
            ),
            ("train selection --data r.jsonl --algorithm svm", false),
            ("probe localhost:50051 --service readiness", true),
            ("probe", false),
            ("probe a:1 --tls-cert c --tls-key k", false),
            ("probe a:1 --tls-ca a --tls-cert c --tls-key k", true),
            ("serve --config a --settle-seconds 10", true),
            (
                "records export --admin 127.0.0.1:9 --format jsonl --captured",
                true,
            ),
            ("records export --format csv", false),
            ("records", false),
            ("schema", true),
        ] {
            let words = std::iter::once("merit").chain(line.split(' '));
            let words = words.map(OsString::from);
            assert_eq!(Cli::read(words).is_ok(), accepted, "{line}");
        }
    }
}

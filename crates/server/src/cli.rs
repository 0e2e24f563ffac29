//! The command line of `merit`.

use crate::listener::Address;
use crate::models::Installed;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Routes every LLM request to the least costly intelligence that merits it, as Envoy's external
/// processor.
#[derive(Debug, Parser)]
#[command(name = "merit", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve Envoy over gRPC, with the admin API and metrics beside it
    Serve(Box<ServeArgs>),
    /// Report every problem of routing documents, and of an Envoy bootstrap
    Check(CheckArgs),
    /// Show where one request would go, and why
    Explain(ExplainArgs),
    /// Fit, calibrate and measure a head from labelled texts
    Train(Box<TrainArgs>),
    /// Ask a running Merit whether it serves, as Envoy's health check does
    Probe(ProbeArgs),
    /// Print the JSON Schema of the routing document
    Schema,
}

/// `merit serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Routing document (YAML); reloaded when it changes and on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where Envoy connects: ADDR:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub listen: Address,
    /// Admin HTTP API
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub admin: SocketAddr,
    /// Prometheus metrics
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9190")]
    pub metrics: SocketAddr,
    /// TLS of the ext_proc listener.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Allow plaintext ext_proc beyond loopback although a backend has a credential
    #[arg(long)]
    pub insecure_listen: bool,
    /// File with the bearer token of the admin API; required beyond loopback
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Folder of installed word lists
    #[arg(long, env = "MERIT_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Models of learned signals.
    #[command(flatten)]
    pub models: ModelArgs,
    /// How the log is written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Grace period of a shutdown, from signal to exit
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub drain_seconds: u32,
    /// Part of the grace period in which streams are still accepted although health says not
    /// serving, so that gateways notice; 5, or half of the grace period if that is less, if absent
    #[arg(long, value_name = "N")]
    pub settle_seconds: Option<u32>,
    /// Threads that serve requests; as many as there are cores if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Write the addresses bound, as JSON, once all listeners are ready
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
    /// Folder of installed models, for documents whose decisions reach a learned signal
    #[arg(long, env = "MERIT_MODELS", value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// ONNX Runtime library; the one in the folder of models if absent
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
    /// Routing documents
    #[arg(value_name = "FILE", required_unless_present = "envoy")]
    pub files: Vec<PathBuf>,
    /// An Envoy bootstrap whose ext_proc filters to check
    #[arg(long, value_name = "FILE")]
    pub envoy: Option<PathBuf>,
    /// Load the models as well; without a folder only names and labels are checked.
    #[command(flatten)]
    pub models: ModelArgs,
    /// How problems are written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

/// `merit explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Routing document
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// A request body (JSON)
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "text",
        required_unless_present = "text"
    )]
    pub request: Option<PathBuf>,
    /// What the user says
    pub text: Option<String>,
    /// Model name asked for
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// A request header, `name=value`; may be repeated
    #[arg(long = "header", value_name = "K=V", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// Folder of installed word lists
    #[arg(long, env = "MERIT_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Models of learned signals.
    #[command(flatten)]
    pub models: ModelArgs,
}

/// `merit probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// HOST:PORT of an ext_proc listener
    pub address: String,
    /// Name asked for; others are `readiness` and `liveness`
    #[arg(
        long,
        value_name = "NAME",
        default_value = "envoy.service.ext_proc.v3.ExternalProcessor"
    )]
    pub service: String,
    /// Speak TLS and trust these authorities (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate to show (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Name in the server's certificate; the host asked if absent
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    pub tls_name: Option<String>,
    /// Ask again until it serves, for so long
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub timeout_seconds: u32,
}

/// `merit train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// What the head decides
    #[arg(value_enum)]
    pub task: TrainTask,
    /// Folder of the data sets; for `own` a file or folder of {"text", "label"} lines
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder of the texts that were written for the shipped heads
    #[arg(long, value_name = "DIR", default_value = "crates/training/corpus")]
    pub corpus: PathBuf,
    /// Folder for the head, or file of the artifact; nothing is written without it
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Name on the card; that of the task if absent
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Read the encoder's vector alone
    #[arg(long)]
    pub encoder_only: bool,
    /// Also fit without each source of attacks in turn
    #[arg(long)]
    pub leave_one_out: bool,
    /// Turns that nothing was chosen by, for figures only
    #[arg(long, value_name = "FILE")]
    pub evaluation: Option<PathBuf>,
    /// Folder that keeps what was read of texts, for further runs
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// `selection`: what is fitted on the routing records of `--data`
    #[arg(long, value_enum, default_value_t = SelectionAlgorithm::Kmeans)]
    pub algorithm: SelectionAlgorithm,
    /// `selection`: records that are read at most, spread over the file; 0 reads all
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub limit: usize,
    /// `selection`, `knn`: requests that vote
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub neighbours: usize,
    /// `selection`, `kmeans`: groups
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub clusters: usize,
    /// `selection`: read the records' categories beside their texts
    #[arg(long)]
    pub categories: bool,
    /// Models that read the texts.
    #[command(flatten)]
    pub models: ModelArgs,
}

/// What is fitted on routing records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SelectionAlgorithm {
    /// The nearest requests vote.
    Knn,
    /// Each group of requests has one model.
    Kmeans,
}

/// What a head decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum TrainTask {
    /// One of the 14 categories of MMLU-Pro.
    Domain,
    /// Attack or not.
    Jailbreak,
    /// The answer rests on facts.
    FactCheck,
    /// What the user thinks of the last answer.
    UserFeedback,
    /// Text, image or both.
    Modality,
    /// Spans of personal data.
    Pii,
    /// Labels of the operator's own.
    Own,
    /// No head: an artifact of `knn` or `kmeans`, from routing records; `--out` names its file.
    Selection,
}

/// Text for people or JSON for machines.
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
    use clap::CommandFactory as _;

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
    }

    #[test]
    fn command_lines() {
        for (line, accepted) in [
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
            ("schema", true),
        ] {
            let words = std::iter::once("merit").chain(line.split(' '));
            assert_eq!(Cli::try_parse_from(words).is_ok(), accepted, "{line}");
        }
    }
}

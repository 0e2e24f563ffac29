//! Log and traces: set up at start, flushed at the end.

mod propagation;

pub use propagation::{ExchangeSpan, Tracing};

use crate::cli::LogFormat;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// Environment variables that switch traces on; their meaning is OpenTelemetry's.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const SERVICE: &str = "merit";

/// Where traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// OTLP over gRPC, plaintext: `http://host:4317`; a bare `host:port` is taken as such. `None`
    /// takes it from the environment, other OTEL variables too.
    pub endpoint: Option<String>,
    /// Share of new traces that are recorded, 0 to 1. A caller's own decision is followed.
    pub sampling: f64,
    /// `service.name`.
    pub service: String,
}

impl TraceSettings {
    /// Settings by environment variables alone; `None` if none asks for traces.
    #[must_use]
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        ENDPOINTS
            .iter()
            .find_map(|name| get(name).filter(|value| !value.is_empty()))?;
        let service = get("OTEL_SERVICE_NAME").unwrap_or_else(|| SERVICE.to_owned());
        Some(Self {
            endpoint: None,
            sampling: 1.0,
            service,
        })
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The endpoint is not usable.
    #[error("cannot export traces")]
    Exporter(#[from] ExporterBuildError),
    /// There is a subscriber already.
    #[error("cannot install the log")]
    Install(#[from] TryInitError),
}

/// What has to be flushed at the end.
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Installs log and traces for the whole process. The level is `RUST_LOG`'s, else `info`, and
    /// warnings of ONNX Runtime. Call it inside a runtime.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub fn install(
        format: LogFormat,
        traces: Option<&TraceSettings>,
    ) -> Result<Self, TelemetryError> {
        let filter =
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,ort=warn"));
        let log = fmt::layer().with_writer(std::io::stderr);
        let log = match format {
            LogFormat::Text => log.boxed(),
            LogFormat::Json => log.json().flatten_event(true).boxed(),
        };
        let provider = traces.map(provider).transpose()?;
        let spans = provider.as_ref().map(|provider| {
            // Only our own spans: the exporter's own connection would otherwise be traced without
            // end.
            let ours = filter_fn(|metadata| {
                metadata.is_span() && metadata.target() == propagation::TARGET
            });
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer(SERVICE))
                .with_filter(ours)
        });
        tracing_subscriber::registry()
            .with(spans)
            .with(log.with_filter(filter))
            .try_init()?;
        Ok(Self { provider })
    }

    /// How exchanges are traced.
    #[must_use]
    pub fn tracing(&self) -> Tracing {
        if self.provider.is_some() {
            Tracing::on()
        } else {
            Tracing::off()
        }
    }

    /// Sends what is buffered; blocks for as long as the collector takes, at most some seconds.
    pub fn flush(self) {
        let Some(provider) = self.provider else {
            return;
        };
        if let Err(error) = provider.shutdown() {
            tracing::warn!(%error, "traces were not flushed");
        }
    }
}

fn provider(settings: &TraceSettings) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder().with_tonic();
    let exporter = match &settings.endpoint {
        Some(endpoint) => exporter.with_endpoint(url(endpoint)),
        None => exporter,
    };
    let builder = SdkTracerProvider::builder()
        .with_resource(
            Resource::builder()
                .with_service_name(settings.service.clone())
                .build(),
        )
        .with_batch_exporter(exporter.build()?);
    let builder = match settings.endpoint {
        Some(_) => {
            let root = Sampler::TraceIdRatioBased(settings.sampling);
            builder.with_sampler(Sampler::ParentBased(Box::new(root)))
        }
        // The library reads OTEL_TRACES_SAMPLER itself unless it is told a sampler.
        None => builder,
    };
    Ok(builder.build())
}

fn url(endpoint: &str) -> String {
    if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        format!("http://{endpoint}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_switches_traces_on() {
        let on = |name: &'static str, value: &'static str| {
            TraceSettings::from_env(move |it| (it == name).then(|| value.to_owned())).is_some()
        };
        assert!(on("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:4317"));
        assert!(on("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://x:4317"));
        assert!(!on("OTEL_EXPORTER_OTLP_ENDPOINT", ""));
        assert!(!on("OTEL_SERVICE_NAME", "x"));
    }

    #[test]
    fn endpoints_get_a_scheme() {
        for (given, expected) in [
            ("a:4317", "http://a:4317"),
            ("https://a:4317", "https://a:4317"),
        ] {
            assert_eq!(url(given), expected);
        }
    }

    #[tokio::test]
    async fn an_exporter_can_be_built_without_a_collector() {
        let settings = TraceSettings {
            endpoint: Some("127.0.0.1:1".to_owned()),
            sampling: 0.5,
            service: "x".to_owned(),
        };
        assert!(provider(&settings).is_ok());
    }
}

//! One span an exchange, in the caller's trace; the next hop is told of it. Costs a branch when
//! traces are off.

use extproc::{HeaderEdit, HeaderEdits, Headers};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Target of the spans that are exported.
pub(super) const TARGET: &str = "merit::trace";

/// Whether exchanges are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracing {
    on: bool,
}

impl Tracing {
    /// Nothing is traced; callers' trace headers pass through untouched.
    #[must_use]
    pub const fn off() -> Self {
        Self { on: false }
    }

    pub(super) const fn on() -> Self {
        Self { on: true }
    }

    /// Opens the span of one exchange, as a child of the caller's `traceparent` if there is one.
    #[must_use]
    pub fn begin(self, headers: &Headers) -> ExchangeSpan {
        if !self.on {
            return ExchangeSpan { span: Span::none() };
        }
        let span = tracing::info_span!(
            target: TARGET,
            "semantic_router.request.received",
            otel.kind = "server",
            request.id = headers.get("x-request-id"),
            http.path = headers.get(":path").map(without_query),
            routing.recipe = tracing::field::Empty,
            routing.decision = tracing::field::Empty,
            routing.model = tracing::field::Empty,
            routing.algorithm = tracing::field::Empty,
            routing.degraded = tracing::field::Empty,
            routing.boundaries = tracing::field::Empty,
            routing.dropped = tracing::field::Empty,
            routing.forecast = tracing::field::Empty,
        );
        let parent = TraceContextPropagator::new().extract(&Incoming(headers));
        if let Err(error) = span.set_parent(parent) {
            tracing::debug!(%error, "cannot join the caller's trace");
        }
        ExchangeSpan { span }
    }
}

/// The span of one exchange; it ends when dropped.
#[derive(Debug)]
pub struct ExchangeSpan {
    span: Span,
}

impl ExchangeSpan {
    /// For `in_scope`, `instrument` and `record` (`routing.recipe`, `.decision`, `.model`,
    /// `.algorithm`, `.degraded`, `.forecast`).
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Headers that make the next hop a child of this span; none when traces are off.
    #[must_use]
    pub fn edits(&self) -> HeaderEdits {
        let mut edits = Outgoing(HeaderEdits::new());
        if !self.span.is_none() {
            TraceContextPropagator::new().inject_context(&self.span.context(), &mut edits);
        }
        edits.0
    }
}

/// A query may carry what the user wrote.
fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

struct Incoming<'a>(&'a Headers);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name).collect()
    }
}

struct Outgoing(HeaderEdits);

impl Injector for Outgoing {
    fn set(&mut self, key: &str, value: String) {
        // An empty tracestate is what the propagator says when there is none.
        if !value.is_empty() {
            self.0.push(HeaderEdit::Set(key.to_owned(), value.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers::new(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_string().into()))
                .collect(),
        )
    }

    fn edits(tracing: Tracing, headers: &Headers) -> Vec<(String, String)> {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let edits =
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                tracing.begin(headers).edits()
            });
        let pair = |edit| match edit {
            HeaderEdit::Set(name, value) => (name, String::from_utf8(value.to_vec()).unwrap()),
            HeaderEdit::Remove(name) => panic!("removed {name}"),
        };
        edits.into_iter().map(pair).collect()
    }

    #[test]
    fn joins_the_callers_trace_and_tells_the_next_hop() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let edits = edits(
            Tracing::on(),
            &headers(&[("traceparent", &parent), ("tracestate", "a=b")]),
        );
        let (name, value) = &edits[0];
        assert_eq!(name, "traceparent");
        assert!(
            value.starts_with(&format!("00-{TRACE}-")) && value.ends_with("-01"),
            "{value}"
        );
        assert!(
            !value.contains("00f067aa0ba902b7"),
            "the parent is our span, not the caller's: {value}"
        );
        assert_eq!(edits[1], ("tracestate".to_owned(), "a=b".to_owned()));
    }

    #[test]
    fn starts_a_trace_where_there_is_none() {
        for given in [headers(&[]), headers(&[("traceparent", "nonsense")])] {
            let edits = edits(Tracing::on(), &given);
            assert_eq!(edits.len(), 1);
            assert_eq!((edits[0].0.as_str(), edits[0].1.len()), ("traceparent", 55));
        }
    }

    #[test]
    fn leaves_headers_alone_when_off() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert!(edits(Tracing::off(), &headers(&[("traceparent", &parent)])).is_empty());
    }

    #[test]
    fn queries_are_not_recorded() {
        assert_eq!(
            without_query("/v1/chat/completions?key=secret"),
            "/v1/chat/completions"
        );
    }
}

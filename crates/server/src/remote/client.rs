//! One service over HTTP: turns, attempts, time limits and the size of answers.

use super::unusable;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use inference::ask::Failure;
use inference::catalog::{Endpoint, LoadError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::{sleep_until, timeout_at};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Attempts after the first, whatever the document says.
const RETRIES_MAX: u32 = 5;
/// Pause before the second attempt; it doubles with each.
const PAUSE: Duration = Duration::from_millis(50);

/// Bounds that hold for each service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Calls at a time.
    pub(super) concurrency: usize,
    /// Bytes of an answer.
    pub(super) response: usize,
}

/// Makes connections, with TLS where the URL says so.
pub(crate) type Connection = HttpsConnector<HttpConnector>;

/// Asks one service.
pub(super) struct Client {
    http: legacy::Client<Connection, Full<Bytes>>,
    base: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    retries: u32,
    turns: Semaphore,
    response: usize,
    /// Its name of the model.
    pub(super) model: String,
}

/// Why a service gave no answer. Never holds what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// It cannot be reached.
    #[error("cannot be reached")]
    Unreachable,
    /// It says no.
    #[error("answered with status {0}")]
    Status(u16),
    /// Its answer is too long.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// Its answer is no JSON of the form that the API has.
    #[error("the answer is not what the API promises")]
    Malformed,
    /// It answered about other texts than were asked.
    #[error("the answer has {found} vectors, {asked} were asked for")]
    Count { asked: usize, found: usize },
    /// Its vectors are of another length than they were.
    #[error("the answer has vectors of {found} dimensions, not {wanted}")]
    Dimension { wanted: usize, found: usize },
    /// Its numbers are not finite.
    #[error("the answer has numbers that are not finite, or a vector of zeros")]
    NotFinite,
    /// It names no label that was offered.
    #[error("the answer names no known label")]
    NoLabel,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::TimedOut => Self::TimedOut,
            other => Self::Failed(other.to_string().into()),
        }
    }
}

impl Problem {
    /// Another attempt may go better.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Status(status) => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

impl Client {
    /// A client of this endpoint; nothing is connected yet.
    pub(super) fn new(endpoint: &Endpoint, limits: Limits) -> Result<Self, LoadError> {
        let wrong = |problem: &dyn std::fmt::Display| unusable(&endpoint.name, problem);
        let base = endpoint.base_url.trim_end_matches('/').to_owned();
        let uri: Uri = base
            .parse()
            .map_err(|_| wrong(&format_args!("`{base}` is not a URL")))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if !matches!(scheme, "http" | "https") || uri.host().is_none_or(str::is_empty) {
            return Err(wrong(&format_args!(
                "`{base}` is not a URL that begins with http:// or https://"
            )));
        }
        let authorization = authorization(endpoint).map_err(|problem| wrong(&problem))?;
        let connector = connector(scheme == "https").map_err(|problem| wrong(&problem))?;
        Ok(Self {
            http: legacy::Client::builder(TokioExecutor::new()).build(connector),
            base,
            authorization,
            timeout: endpoint.timeout,
            retries: endpoint.retries.min(RETRIES_MAX),
            turns: Semaphore::new(limits.concurrency),
            response: limits.response,
            model: endpoint.model.clone(),
        })
    }

    /// Posts JSON below the base, as often as it takes and the deadline allows.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        deadline: Instant,
    ) -> Result<T, Problem> {
        self.post_to(&format!("{}{path}", self.base), body, deadline)
            .await
    }

    /// As [`post`](Self::post), beside the versioned API.
    pub(super) async fn post_unversioned<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        deadline: Instant,
    ) -> Result<T, Problem> {
        let root = self.base.strip_suffix("/v1").unwrap_or(&self.base);
        self.post_to(&format!("{root}{path}"), body, deadline).await
    }

    async fn post_to<T: DeserializeOwned>(
        &self,
        url: &str,
        body: &Value,
        deadline: Instant,
    ) -> Result<T, Problem> {
        let body = Bytes::from(body.to_string());
        let deadline = tokio::time::Instant::from_std(deadline);
        let _turn = match timeout_at(deadline, self.turns.acquire()).await {
            Ok(Ok(turn)) => turn,
            _ => return Err(Problem::TimedOut),
        };
        let (mut left, mut pause) = (self.retries, PAUSE);
        loop {
            let until = deadline.min(tokio::time::Instant::now() + self.timeout);
            let attempt = timeout_at(until, self.attempt(url, body.clone())).await;
            let problem = match attempt {
                Ok(Ok(bytes)) => {
                    return serde_json::from_slice(&bytes).map_err(|_| Problem::Malformed);
                }
                Ok(Err((problem, wait))) if problem.is_passing() => {
                    pause = pause.max(wait);
                    problem
                }
                Ok(Err((problem, _))) => return Err(problem),
                Err(_) => Problem::TimedOut,
            };
            let next = tokio::time::Instant::now() + pause;
            if left == 0 || next >= deadline {
                return Err(problem);
            }
            sleep_until(next).await;
            (left, pause) = (left - 1, pause * 2);
        }
    }

    /// One attempt. Beside a problem stands how long the service asks to be left alone.
    async fn attempt(&self, url: &str, body: Bytes) -> Result<Bytes, (Problem, Duration)> {
        let now = |problem| (problem, Duration::ZERO);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|_| now(Problem::Unreachable))?;
        let response = self
            .http
            .request(request)
            .await
            .map_err(|_| now(Problem::Unreachable))?;
        let status = response.status();
        if status != StatusCode::OK {
            let wait = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            return Err((
                Problem::Status(status.as_u16()),
                Duration::from_secs(wait.unwrap_or(0)),
            ));
        }
        let whole = Limited::new(response.into_body(), self.response)
            .collect()
            .await;
        match whole {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(now(Problem::TooLong(self.response)))
            }
            Err(_) => Err(now(Problem::Unreachable)),
        }
    }
}

/// The bearer token: the variable's if one is named, else the document's.
fn authorization(endpoint: &Endpoint) -> Result<Option<HeaderValue>, Unauthorized> {
    let variable = endpoint.key_variable.trim();
    let token = if variable.is_empty() {
        endpoint.key.0.trim().to_owned()
    } else {
        std::env::var(variable)
            .map_err(|_| Unauthorized::Unset(variable.to_owned()))?
            .trim()
            .to_owned()
    };
    if token.is_empty() {
        return Ok(None);
    }
    let mut value =
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Unauthorized::NotAHeader)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[derive(Debug, thiserror::Error)]
enum Unauthorized {
    #[error("its `api_key_env` names the environment variable {0}, which is not set")]
    Unset(String),
    #[error("its credential cannot be sent in a header")]
    NotAHeader,
}

/// Certificates of the system are read only where something is asked over TLS.
pub(crate) fn connector(secure: bool) -> Result<Connection, TlsError> {
    let builder = HttpsConnectorBuilder::new();
    let builder = if secure {
        builder.with_provider_and_native_roots(ring::default_provider())?
    } else {
        let config = ClientConfig::builder_with_provider(ring::default_provider().into());
        let config = config
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty());
        builder.with_tls_config(config.with_no_client_auth())
    };
    Ok(builder.https_or_http().enable_http1().build())
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read the system's certificates: {0}")]
    Roots(#[from] std::io::Error),
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] tokio_rustls::rustls::Error),
}

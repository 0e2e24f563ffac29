//! The admin HTTP API, over a [`Console`] that knows the answers, and the page that shows them.

mod classification;
mod endpoint;
mod guard;
pub(crate) mod outcomes;
mod page;
mod records;
mod refusal;

pub use classification::Classification;
pub use endpoint::Endpoint;
pub use records::Records;
pub use refusal::Refusal;

use ::records::store::RecordStore;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use guard::Guard;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Largest body of an evaluation, in bytes.
pub const BODY_LIMIT: usize = 10 << 20;
/// Evaluations at a time; further ones wait, so that a script cannot take the threads of real
/// traffic.
static EVALUATIONS: Semaphore = Semaphore::const_new(8);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// A longer or stranger id of the caller is replaced: it would end up in logs.
const REQUEST_ID_MAX: usize = 128;

/// What the API shows and asks.
pub trait Console: Send + Sync + 'static {
    /// Traffic may come.
    fn ready(&self) -> bool;
    /// Evaluates one request (`POST /api/v1/eval`). May take milliseconds: called where blocking is
    /// allowed.
    ///
    /// # Errors
    /// In the shape of the API.
    fn eval(&self, body: &[u8], trace: bool) -> Result<Value, Refusal>;
    /// Classifies texts. May take seconds: called where blocking is allowed.
    ///
    /// # Errors
    /// In the shape of the API; 503 names a classifier that the document does not load.
    fn classify(&self, what: Classification, body: &[u8]) -> Result<Value, Refusal>;
    /// Counts what somebody found an answer to be worth (`POST /v1/router/outcomes`).
    ///
    /// # Errors
    /// In the shape of the API; 404 if the caller may judge no such request.
    fn outcome(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal>;
    /// Evaluates a file of probes (`POST /api/v1/probes`). May take seconds: called where blocking
    /// is allowed.
    ///
    /// # Errors
    /// In the shape of the API; 400 if the body is no file of probes.
    fn probes(&self, body: &[u8]) -> Result<Value, Refusal>;
    /// Returns the user that a caller speaks for, who may judge that user's requests only; `None` for
    /// an operator.
    ///
    /// # Errors
    /// The header that names users makes no sense.
    fn judge(&self, headers: &HeaderMap) -> Result<Option<String>, Refusal>;
    /// The document that serves, secrets redacted.
    fn config(&self) -> Value;
    /// Hash and generation of the document that serves, and the last reload.
    fn hash(&self) -> Value;
    /// The state of the models' pools.
    fn pool(&self) -> Value;
    /// Where records of requests are; `None` where the document keeps none.
    fn records(&self) -> Option<Arc<dyn RecordStore>>;
    /// Waits, not for long, until records of what has just happened are there.
    fn settled(&self) -> BoxFuture<'_, ()>;
    /// The models that clients may ask for.
    fn models(&self) -> Value;
}

/// A bearer token, kept as a digest: comparing digests tells nothing by its time.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// The token is `text` without surrounding white space; `None` if nothing is left.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(Sha256::digest(text).into()))
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
        else {
            return false;
        };
        let Some((scheme, token)) = value.split_once(' ') else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && Sha256::digest(token.trim()).as_slice() == self.0
    }
}

/// The API and the page. With a token, everything but health, readiness and the page's own files
/// asks for it.
pub fn router(console: Arc<dyn Console>, token: Option<Token>) -> Router {
    let mut router = Router::new();
    for endpoint in Endpoint::ALL {
        router = router.route(endpoint.path(), endpoint.handler());
    }
    let guard = Guard {
        has_token: token.is_some(),
    };
    let router = page::add(router)
        .fallback(async || Refusal::not_found().into_response())
        .method_not_allowed_fallback(async || Refusal::method_not_allowed().into_response())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(console);
    let router = match token {
        Some(token) => router.layer(from_fn_with_state(token, authorize)),
        None => router,
    };
    router
        .layer(from_fn(move |request, next| guard.pass(request, next)))
        .layer(from_fn(secure))
        .layer(from_fn(identify))
}

async fn authorize(State(token): State<Token>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_probe = Endpoint::ALL
        .iter()
        .any(|endpoint| endpoint.is_open() && endpoint.path() == path);
    if is_probe || page::serves(path) || token.admits(request.headers()) {
        return next.run(request).await;
    }
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    Refusal::unauthorized(id).into_response()
}

/// Tells browsers to take answers for what they are, and to keep none that has data.
async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Gives the request an id if it has none, and the response the same.
async fn identify(mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| is_sane(id))
        .cloned()
        .unwrap_or_else(new_id);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn is_sane(id: &HeaderValue) -> bool {
    !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    let id = RandomIdGenerator::default().new_trace_id().to_string();
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Runs an evaluation off the serving threads: one of 10 MiB takes tens of milliseconds.
async fn evaluate(
    answer: impl FnOnce() -> Result<Value, Refusal> + Send + 'static,
) -> Result<Value, Refusal> {
    let Ok(_permit) = EVALUATIONS.acquire().await else {
        return Err(Refusal::internal("evaluations are closed"));
    };
    tokio::task::spawn_blocking(answer)
        .await
        .unwrap_or_else(|_| Err(Refusal::internal("the evaluation failed unexpectedly")))
}

#[cfg(test)]
mod tests;

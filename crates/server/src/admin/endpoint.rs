//! The endpoints: one list, from which the router is built and against which openapi.json is
//! tested.

use super::{BODY_LIMIT, Classification, Console, Records, Refusal, evaluate, outcomes, records};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};
use std::sync::Arc;

type Shared = State<Arc<dyn Console>>;
type Received = Result<Bytes, BytesRejection>;

/// One path of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The process lives.
    Health,
    /// Traffic may come.
    Ready,
    /// Evaluate one request with all signals.
    Eval,
    /// Evaluate a file of probes.
    Probes,
    /// What an answer was worth.
    Outcomes,
    /// The document that serves.
    Config,
    /// Its hash, and the last reload.
    Hash,
    /// The state of the models' pools.
    Pool,
    /// The models that clients may ask for.
    Models,
    /// Records of requests.
    Records(Records),
    /// Classify texts.
    Classify(Classification),
    /// This API described.
    OpenApi,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::Health,
        Self::Ready,
        Self::Eval,
        Self::Probes,
        Self::Outcomes,
        Self::Config,
        Self::Hash,
        Self::Pool,
        Self::Models,
        Self::Records(Records::List),
        Self::Records(Records::ListSlash),
        Self::Records(Records::Aggregate),
        Self::Records(Records::Trajectory),
        Self::Records(Records::One),
        Self::Records(Records::NewList),
        Self::Records(Records::NewAggregate),
        Self::Records(Records::NewTrajectory),
        Self::Records(Records::NewOne),
        Self::Records(Records::Ledger),
        Self::Classify(Classification::Intent),
        Self::Classify(Classification::Pii),
        Self::Classify(Classification::Security),
        Self::Classify(Classification::FactCheck),
        Self::Classify(Classification::UserFeedback),
        Self::Classify(Classification::Combined),
        Self::Classify(Classification::Batch),
        Self::Classify(Classification::Embeddings),
        Self::Classify(Classification::Similarity),
        Self::Classify(Classification::SimilarityBatch),
        Self::OpenApi,
    ];

    /// The path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Ready => "/ready",
            Self::Eval => "/api/v1/eval",
            Self::Probes => "/api/v1/probes",
            Self::Outcomes => "/v1/router/outcomes",
            Self::Config => "/config/router",
            Self::Hash => "/config/hash",
            Self::Pool => "/api/v1/pool",
            Self::Models => "/v1/models",
            Self::Records(what) => what.path(),
            Self::Classify(what) => what.path(),
            Self::OpenApi => "/openapi.json",
        }
    }

    /// The one method, in lower case as OpenAPI has it.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Eval | Self::Probes | Self::Outcomes | Self::Classify(_) => "post",
            _ => "get",
        }
    }

    /// Needs no token: probes have none.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Health | Self::Ready)
    }

    pub(super) fn handler(self) -> MethodRouter<Arc<dyn Console>> {
        match self {
            Self::Health => get(async || Json(json!({"status": "healthy", "service": "merit"}))),
            Self::Ready => get(ready),
            Self::Eval => post(eval),
            Self::Probes => post(async |State(console): Shared, body: Received| {
                let body = whole(body)?;
                evaluate(move || console.probes(&body)).await.map(Json)
            }),
            Self::Outcomes => post(outcome),
            Self::Config => get(async |State(console): Shared| Json(console.config())),
            Self::Hash => get(async |State(console): Shared| Json(console.hash())),
            Self::Pool => get(async |State(console): Shared| Json(console.pool())),
            Self::Models => get(async |State(console): Shared| Json(console.models())),
            Self::Records(what) => get(async move |State(console): Shared, uri: Uri| {
                console.settled().await;
                records::respond(what, uri, console.records().as_deref()).await
            }),
            Self::Classify(what) => post(async move |State(console): Shared, body: Received| {
                let body = whole(body)?;
                evaluate(move || console.classify(what, &body))
                    .await
                    .map(Json)
            }),
            Self::OpenApi => get(async || {
                (
                    [(CONTENT_TYPE, "application/json")],
                    include_str!("openapi.json"),
                )
            }),
        }
    }
}

async fn ready(State(console): Shared) -> Response {
    if console.ready() {
        return Json(json!({"status": "ready"})).into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({"status": "not_ready"})),
    )
        .into_response()
}

async fn eval(
    State(console): Shared,
    RawQuery(query): RawQuery,
    body: Received,
) -> Result<Response, Refusal> {
    let body = whole(body)?;
    let trace = query.is_some_and(|query| query.split('&').any(|pair| pair == "trace=true"));
    evaluate(move || console.eval(&body, trace))
        .await
        .map(|answer| Json(answer).into_response())
}

async fn outcome(
    State(console): Shared,
    headers: HeaderMap,
    body: Received,
) -> Result<Json<Value>, Refusal> {
    outcomes::take(&*console, &headers, &whole(body)?)
        .await
        .map(Json)
}

fn whole(body: Received) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(BODY_LIMIT),
        _ => Refusal::invalid_input(format!("failed to read request body: {rejection}")),
    })
}

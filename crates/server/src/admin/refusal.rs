//! Errors of the API, in the shape that clients of the reference know.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::SystemTime;

/// An error answer: `{"error": {"code", "message", "timestamp"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// `INVALID_INPUT` and the like.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// Set where the answer names the request (authorization).
    pub request_id: Option<String>,
}

impl Refusal {
    /// Any error.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            request_id: None,
        }
    }

    /// 400: the body is not what it should be.
    #[must_use]
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", message)
    }

    /// 400: no recipe has that name.
    #[must_use]
    pub fn unknown_model(name: &str) -> Self {
        let message = format!("unknown routing model {name:?}");
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ROUTING_MODEL", message)
    }

    /// 500: the evaluation itself failed.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "CLASSIFICATION_ERROR",
            message,
        )
    }

    /// 503: the document loads no such classifier.
    #[must_use]
    pub fn not_loaded(classifier: &str) -> Self {
        let message = format!(
            "classifier `{classifier}` is not loaded: no decision of the served document reaches it; \
             `global.server.inference.preload: true` loads all"
        );
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "CLASSIFIER_NOT_LOADED",
            message,
        )
    }

    /// 503: a classifier could not answer now.
    #[must_use]
    pub fn unavailable(classifier: &str, reason: &str) -> Self {
        let message = format!("classifier `{classifier}` could not answer: {reason}");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "CLASSIFIER_UNAVAILABLE",
            message,
        )
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("request body is larger than {limit} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "REQUEST_BODY_TOO_LARGE",
            message,
        )
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "endpoint not found")
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "method not allowed",
        )
    }

    pub(super) fn foreign_host(host: &str) -> Self {
        let message = format!(
            "the admin API is not called {host:?}: ask for `localhost` or an address, or start Merit \
             with --admin-token-file, and every name is answered"
        );
        Self::new(StatusCode::FORBIDDEN, "FOREIGN_HOST", message)
    }

    pub(super) fn foreign_origin() -> Self {
        let message = "a page of another site asks; behind a proxy, pass on the Host that the browser \
                       sent";
        Self::new(StatusCode::FORBIDDEN, "FOREIGN_ORIGIN", message)
    }

    pub(super) fn unauthorized(request_id: String) -> Self {
        let refusal = Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "missing or invalid bearer token",
        );
        Self {
            request_id: Some(request_id),
            ..refusal
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Envelope {
            error: Body,
        }
        #[derive(Serialize)]
        struct Body {
            code: &'static str,
            message: String,
            timestamp: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            request_id: Option<String>,
        }
        let timestamp = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let Self {
            status,
            code,
            message,
            request_id,
        } = self;
        (
            status,
            Json(Envelope {
                error: Body {
                    code,
                    message,
                    timestamp,
                    request_id,
                },
            }),
        )
            .into_response()
    }
}

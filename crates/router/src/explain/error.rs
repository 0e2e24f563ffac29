//! The body of a failed call to the management API.

use serde::Serialize;
use std::borrow::Cow;

/// `{"error": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody<'a> {
    /// What went wrong.
    pub error: ErrorDetail<'a>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorDetail<'a> {
    /// For programs: `INVALID_INPUT`, `INVALID_ROUTING_MODEL`, `CLASSIFICATION_ERROR`,
    /// `UNAUTHORIZED`, `FORBIDDEN`.
    pub code: &'a str,
    /// For people.
    pub message: Cow<'a, str>,
    /// When, RFC 3339 in UTC.
    pub timestamp: Cow<'a, str>,
    /// The request's id; only on refused authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
}

impl<'a> ErrorBody<'a> {
    /// An error of `code` at `timestamp` (RFC 3339, UTC).
    pub fn new(
        code: &'a str,
        message: impl Into<Cow<'a, str>>,
        timestamp: impl Into<Cow<'a, str>>,
    ) -> Self {
        Self {
            error: ErrorDetail {
                code,
                message: message.into(),
                timestamp: timestamp.into(),
                request_id: None,
            },
        }
    }
}

//! Records of requests over HTTP: the paths of the reference's replay API, in the spellings of both
//! of its versions, and Merit's ledger.

use axum::extract::Query;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use records::store::RecordStore;
use records::view::{Answer, Detail, Route, answer};

/// What is asked of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// A page of them.
    List,
    /// The same, with a slash.
    ListSlash,
    /// Counts and sums.
    Aggregate,
    /// A session as one conversation.
    Trajectory,
    /// One of them.
    One,
    /// The list, as v0.4 calls it.
    NewList,
    /// Counts and sums, as v0.4 calls them.
    NewAggregate,
    /// The conversation, as v0.4 calls it.
    NewTrajectory,
    /// One of them, as v0.4 calls it.
    NewOne,
    /// Tokens, money and joules.
    Ledger,
}

impl Records {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::List,
        Self::ListSlash,
        Self::Aggregate,
        Self::Trajectory,
        Self::One,
        Self::NewList,
        Self::NewAggregate,
        Self::NewTrajectory,
        Self::NewOne,
        Self::Ledger,
    ];

    /// Returns the path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::List => "/v1/router_replay",
            Self::ListSlash => "/v1/router_replay/",
            Self::Aggregate => "/v1/router_replay/aggregate",
            Self::Trajectory => "/v1/router_replay/trajectory",
            Self::One => "/v1/router_replay/{id}",
            Self::NewList => "/api/v1/observability/replays",
            Self::NewAggregate => "/api/v1/observability/replays/aggregate",
            Self::NewTrajectory => "/api/v1/observability/trajectory",
            Self::NewOne => "/api/v1/observability/replays/{id}",
            Self::Ledger => "/api/v1/ledger",
        }
    }

    fn route(self, path: &str) -> Route {
        match self {
            Self::List | Self::ListSlash | Self::NewList => Route::List,
            Self::Aggregate | Self::NewAggregate => Route::Aggregate,
            Self::Trajectory | Self::NewTrajectory => Route::Trajectory,
            Self::Ledger => Route::Ledger,
            Self::One | Self::NewOne => {
                let id = path.rsplit('/').next().unwrap_or_default();
                Route::Record(id.to_owned())
            }
        }
    }
}

/// Answers a request; there is no store where the document keeps no record.
pub(super) async fn respond(what: Records, uri: Uri, store: Option<&dyn RecordStore>) -> Response {
    let parameters = Query::<Vec<(String, String)>>::try_from_uri(&uri);
    let answer = match (store, parameters) {
        (None, _) => Answer::disabled(),
        (_, Err(_)) => Answer::error(400, "the query cannot be read"),
        (Some(store), Ok(Query(parameters))) => {
            let route = what.route(uri.path());
            answer(store, &route, &parameters, Detail::Full).await
        }
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, answer.body).into_response()
}

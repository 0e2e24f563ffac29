//! The replay API as values: which path asks for what, and what a store's answer looks like there.
//!
//! A server mounts [`answer`] at the paths that [`route`] knows, for GET, and adds the headers
//! `Cache-Control: no-store` and `X-Content-Type-Options: nosniff`.

use serde_json::{Value, json};

use crate::record::is_id;
use crate::store::{RecordStore, StoreError};

mod aggregate;
mod guards;
mod ledger;
mod list;
pub mod query;
mod record;
mod redaction;
mod trajectory;

pub use aggregate::aggregate;
pub use ledger::ledger;
pub use list::list;
pub use record::{Shape, record};
pub use trajectory::trajectory;

/// An answer is no longer, bytes.
pub const ANSWER_MAX: usize = 4 << 20;
/// Records of a session that a trajectory is made of, the youngest.
pub const TRAJECTORY_MAX: usize = 1_000;

const OLD: &str = "/v1/router_replay";
const NEW: &str = "/api/v1/observability/replays";
const NEW_TRAJECTORY: &str = "/api/v1/observability/trajectory";
const LEDGER: &str = "/api/v1/observability/ledger";

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A page of records.
    List,
    /// One record, by its id as it was written.
    Record(String),
    /// Counts and sums.
    Aggregate,
    /// A session as one conversation.
    Trajectory,
    /// Tokens, money and joules; Merit's own.
    Ledger,
}

/// Returns what a path asks for, in the old spelling and in that of v0.4. `None`: it is another's.
#[must_use]
pub fn route(path: &str) -> Option<Route> {
    match path {
        NEW_TRAJECTORY => return Some(Route::Trajectory),
        LEDGER => return Some(Route::Ledger),
        _ => {}
    }
    let rest = path.strip_prefix(OLD).or_else(|| path.strip_prefix(NEW))?;
    let is_old = path.starts_with(OLD);
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Some(Route::List),
        Some("") => Some(Route::List),
        Some("aggregate") => Some(Route::Aggregate),
        Some("trajectory") if is_old => Some(Route::Trajectory),
        Some(id) if !id.contains('/') => Some(Route::Record(id.to_owned())),
        _ => None,
    }
}

/// How much the caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All that is kept (`replay.detail`).
    Full,
    /// Nothing that somebody wrote or said.
    Redacted,
}

/// A status and a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns 200 with a value, or 413 where that is too long.
    #[must_use]
    pub fn ok(value: &Value) -> Self {
        let body = value.to_string().into_bytes();
        if body.len() > ANSWER_MAX {
            return Self::error(413, "the answer is too large: ask for fewer records");
        }
        Self { status: 200, body }
    }

    /// Returns an error as the API says it.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        let error = json!({"error": {
            "message": message, "type": "invalid_request_error", "code": status,
        }});
        Self {
            status,
            body: error.to_string().into_bytes(),
        }
    }

    /// Returns what is said where nothing is recorded at all.
    #[must_use]
    pub fn disabled() -> Self {
        Self::error(404, "router replay is disabled or unavailable")
    }
}

impl From<StoreError> for Answer {
    fn from(failure: StoreError) -> Self {
        let status = match failure {
            StoreError::Away(_) => 503,
            StoreError::Refused(_) => 500,
        };
        Self::error(status, &failure.to_string())
    }
}

/// Answers a GET request: its path's meaning and its query, percent-decoded.
pub async fn answer(
    store: &dyn RecordStore,
    route: &Route,
    parameters: &[(String, String)],
    detail: Detail,
) -> Answer {
    match answered(store, route, parameters, detail).await {
        Ok(value) => Answer::ok(&value),
        Err(answer) => answer,
    }
}

async fn answered(
    store: &dyn RecordStore,
    route: &Route,
    parameters: &[(String, String)],
    detail: Detail,
) -> Result<Value, Answer> {
    match route {
        Route::List => {
            let asked = query::List::read(parameters)?;
            let page = store.list(&asked.filter, asked.paging, true).await?;
            Ok(list(&asked, &page, detail))
        }
        Route::Record(id) => {
            let unknown = || Answer::error(404, "replay record not found");
            if !is_id(id) {
                return Err(unknown());
            }
            let kept = store.get(id).await?.ok_or_else(unknown)?;
            Ok(record(&kept, Shape::whole(detail)))
        }
        Route::Aggregate => {
            let filter = query::filter(parameters)?;
            Ok(aggregate(&store.aggregate(&filter).await?))
        }
        Route::Trajectory => {
            let session = query::session(parameters)?;
            let kept = store.trajectory(&session, TRAJECTORY_MAX).await?;
            Ok(trajectory(&session, &kept, detail))
        }
        Route::Ledger => {
            let asked = query::Ledger::read(parameters)?;
            let rows = store.ledger(asked.by, asked.times.clone()).await?;
            Ok(ledger(&asked, &rows))
        }
    }
}

#[cfg(test)]
mod tests;

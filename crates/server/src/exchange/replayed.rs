//! `GET /v1/router_replay/{id}` where callers send their requests: a caller's own record, if the
//! document serves them. All else below that path is the admin API's, and is not found here.

use super::{identity, immediate};
use crate::engine::Generation;
use crate::recording::Opened;
use bytes::Bytes;
use conversation::session::SessionHints;
use conversation::session::identity::SessionKeyer;
use extproc::{Immediate, RequestHead};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use records::record::is_id;
use records::view::{Answer, Detail, Route, answer};
use signals::families::Identity;
use std::time::Instant;
use tokio::time::timeout_at;

const PATH: &str = "/v1/router_replay";

/// Returns what follows the path of records; `None` for every other path.
pub(super) fn asked(path: &str) -> Option<&str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let rest = path.strip_prefix(PATH)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Returns who a request is accounted to: the authenticated user, or else a digest of the key that
/// it carries. Empty when it has neither.
pub(super) fn caller(
    keyer: &SessionKeyer,
    identity: &Identity,
    hints: &SessionHints<'_>,
) -> String {
    match hints.key {
        Some(_) if identity.user.is_empty() => {
            format!("key:{:032x}", keyer.principal(identity, hints))
        }
        _ => identity.user.clone(),
    }
}

/// Answers a request for a record; `rest` is what follows the path.
pub(super) async fn own(
    serving: &Generation,
    head: &RequestHead,
    rest: &str,
    recorded: Option<&Opened>,
    deadline: Instant,
) -> Immediate {
    let router = &serving.router;
    let (id, is_get) = (
        rest.trim_start_matches('/'),
        head.headers.get(":method") == Some("GET"),
    );
    let is_served = router.document.global.server.records.serve_callers && is_get && is_id(id);
    let (Some(recorded), true) = (recorded, is_served) else {
        return shown(&not_found());
    };
    let policy = &router.sessions.policy;
    let who = identity::of(head, &router.settings);
    let hints = SessionHints::of(&policy.identity_headers, |name| head.headers.get(name));
    let caller = caller(&policy.keyer, &who, &hints);
    let found = async {
        recorded.settled().await;
        let store = &*recorded.store;
        let kept = store.get(id).await.ok()??;
        let is_own = !caller.is_empty() && kept.record.caller == caller;
        is_own.then_some(())?;
        let route = Route::Record(id.to_owned());
        Some(answer(store, &route, &[], Detail::Full).await)
    };
    let found = timeout_at(deadline.into(), found).await;
    // Somebody else's record looks like none at all.
    shown(&found.ok().flatten().unwrap_or_else(not_found))
}

fn not_found() -> Answer {
    Answer::error(404, "replay record not found")
}

fn shown(answer: &Answer) -> Immediate {
    let headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Immediate {
        status: StatusCode::from_u16(answer.status).unwrap_or(StatusCode::NOT_FOUND),
        headers,
        body: vec![Bytes::from(answer.body.clone())],
        details: immediate::REPLAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_records_is_taken() {
        for (path, expected) in [
            ("/v1/router_replay", Some("")),
            ("/v1/router_replay?limit=3", Some("")),
            ("/v1/router_replay/abc?x=y", Some("/abc")),
            ("/v1/router_replays", None),
            ("/v1/models", None),
        ] {
            assert_eq!(asked(path), expected, "{path}");
        }
    }
}

//! Merit's page: files in the binary that show what the API says. They hold no data, so they are
//! served without a token; the page asks for one and sends it with each request of its own.
//!
//! Nothing is fetched from elsewhere and nothing is written inline, so that the policy of
//! [`POLICY`] can forbid both: text that a client put into a prompt stays text.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

/// What a browser may do for the page: run its own modules and ask its own server.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// One file of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    /// Where it is served.
    pub(super) path: &'static str,
    kind: &'static str,
    pub(super) text: &'static str,
}

macro_rules! asset {
    ($path:literal, $kind:expr) => {
        Asset {
            path: concat!("/page/", $path),
            kind: $kind,
            text: include_str!(concat!("page/", $path)),
        }
    };
}

/// All files of the page.
pub(super) const ASSETS: &[Asset] = &[
    Asset {
        path: "/",
        kind: HTML,
        text: include_str!("page/index.html"),
    },
    asset!("merit.css", CSS),
    asset!("icon.svg", IMAGE),
    asset!("app.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("policy.js", SCRIPT),
    asset!("records.js", SCRIPT),
    asset!("snippets.js", SCRIPT),
    asset!("tree.js", SCRIPT),
    asset!("boundaries.js", SCRIPT),
    asset!("connect.js", SCRIPT),
    asset!("decisions.js", SCRIPT),
    asset!("explain.js", SCRIPT),
    asset!("find.js", SCRIPT),
    asset!("health.js", SCRIPT),
    asset!("map.js", SCRIPT),
    asset!("models.js", SCRIPT),
    asset!("probes.js", SCRIPT),
    asset!("spend.js", SCRIPT),
];

/// Tells whether a path belongs to the page, which needs no token.
pub(super) fn serves(path: &str) -> bool {
    ASSETS.iter().any(|asset| asset.path == path)
}

/// Adds the page's files to a router.
pub(super) fn add<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    ASSETS.iter().fold(router, |router, &asset| {
        let tag = asset.tag();
        router.route(
            asset.path,
            get(async move |headers: HeaderMap| asset.answer(&tag, &headers)),
        )
    })
}

impl Asset {
    /// Returns a name for the text that changes whenever the text does.
    fn tag(self) -> HeaderValue {
        let digest = Sha256::digest(self.text);
        let start = digest.first_chunk().copied().unwrap_or_default();
        HeaderValue::try_from(format!("\"{:016x}\"", u64::from_be_bytes(start)))
            .unwrap_or(HeaderValue::from_static("\"unknown\""))
    }

    /// Answers with the text, or with 304 where the browser has it. It asks each time, so that a
    /// new Merit is never shown by the files of an old one.
    fn answer(self, tag: &HeaderValue, headers: &HeaderMap) -> Response {
        let is_known = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|known| known.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes());
        let about = [
            (CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (ETAG, tag.clone()),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        (about, self.text).into_response()
    }
}

#[cfg(test)]
mod tests;

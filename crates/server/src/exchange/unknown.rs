//! Paths that Merit does not read, while a policy has a boundary or a safety rule: a request
//! without a body passes, one with a body is refused, since nobody would see what it says.

use crate::engine::Generation;
use dialects::{Dialect, Endpoint, Stored};
use extproc::RequestHead;
use router::config::paths::KnownPaths;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Prefixes of paths that the log names, at most.
const PREFIXES: usize = 64;

/// What the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) status: u16,
    pub(super) message: &'static str,
}

/// A body came.
pub(super) const BODY: Why = Why {
    status: 404,
    message: "the router does not read request bodies on this path, and its policy restricts where text may go; \
              send prompts to an endpoint that is read, such as /v1/chat/completions, /v1/responses or /v1/messages",
};

/// A batch came that names a file.
pub(super) const BATCH: Why = Why {
    status: 404,
    message: "the router cannot read the file that a batch names, and its policy restricts where text may go; \
              send the batch's requests one by one to /v1/chat/completions, or as one body to /v1/messages/batches",
};

/// The connection is to become something else, in which bodies are not seen at all.
pub(super) const UPGRADE: Why = Why {
    status: 426,
    message: "the router does not read upgraded connections, and its policy restricts where text may go; \
              use plain HTTP requests and server-sent events",
};

/// What a request carries, as far as its headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    Nothing,
    /// Text that nobody would read.
    Text(Why),
    /// A body of unknown length follows, which may be empty.
    Unknown,
}

/// Tells whether the document lets the request pass unread.
pub(super) fn is_excepted(serving: &Generation, head: &RequestHead) -> bool {
    let of = |name: &str| head.headers.get(name).unwrap_or_default();
    let paths = &serving.router.settings.paths;
    paths.excepts(of(":authority"), of(":method"), of(":path"))
}

/// Tells whether the connection is to become something else.
pub(super) fn upgrades(head: &RequestHead) -> bool {
    let mut names = head.headers.iter().map(|(name, _)| name);
    names.any(|name| matches!(name, "upgrade" | ":protocol"))
        || head.headers.get(":method") == Some("CONNECT")
}

/// Returns what the client of a path is told whose body nobody reads.
pub(super) fn body_on(serving: &Generation, head: &RequestHead) -> Why {
    let of = |name: &str| head.headers.get(name).unwrap_or_default();
    let paths = &serving.router.settings.paths;
    match paths.endpoint(of(":method"), of(":path")) {
        Endpoint::Stored(Stored {
            dialect: Dialect::OpenAiChat,
            id: None,
        }) => BATCH,
        _ => BODY,
    }
}

/// Reads what a request carries from its headers.
pub(super) fn carries(head: &RequestHead) -> Carries {
    let has = |name: &str| head.headers.iter().any(|(other, _)| other == name);
    if upgrades(head) {
        return Carries::Text(UPGRADE);
    }
    if head.end_of_stream {
        return Carries::Nothing;
    }
    match head.headers.get("content-length").map(str::trim) {
        Some("0") => Carries::Nothing,
        None if !has("content-length") => Carries::Unknown,
        _ => Carries::Text(BODY),
    }
}

/// What the log has been told: one line per prefix of a path, however many requests are refused.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashSet<String>>);

impl Told {
    /// Logs the refusal of a path, the first time, with the entry that would let it pass.
    pub(super) fn tell(&self, paths: &KnownPaths, head: &RequestHead) {
        let of = |name: &str| head.headers.get(name).unwrap_or_default();
        let prefix = prefix(of(":path"));
        if self.is_new(&prefix) {
            let add = paths.suggest(of(":authority"), of(":method"), &prefix);
            tracing::warn!(
                path = prefix,
                add,
                "refused a request body on a path that is not read, as the policy has boundaries or safety rules; \
                 prompts belong to /v1/chat/completions, /v1/responses or /v1/messages, \
                 and a service that is no model to a route without Merit's filter, or into `global.server.passthrough`"
            );
        }
    }

    fn is_new(&self, prefix: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < PREFIXES && told.insert(prefix.to_owned())
    }
}

/// Returns the first two segments of a path, cut to a length fit for a log.
fn prefix(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments = segments.take(2).flat_map(|segment| ["/", segment]);
    segments.flat_map(str::chars).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use extproc::Headers;

    #[test]
    fn bodies_are_known_by_their_headers() {
        let text = Carries::Text(BODY);
        let upgrade = Carries::Text(UPGRADE);
        type Sent<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Sent<'_>, bool, Carries); 9] = [
            (&[], true, Carries::Nothing),
            (&[("content-length", "0")], false, Carries::Nothing),
            (&[("content-length", "12")], false, text),
            (&[("content-length", "x")], false, text),
            (&[("transfer-encoding", "chunked")], false, Carries::Unknown),
            (&[], false, Carries::Unknown),
            (&[("upgrade", "websocket")], true, upgrade),
            (&[(":method", "CONNECT")], false, upgrade),
            (&[(":method", "GET"), ("content-length", "5")], false, text),
        ];
        for (headers, end_of_stream, expected) in cases {
            let entries = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_string().into()));
            let head = RequestHead {
                headers: Headers::new(entries.collect()),
                end_of_stream,
                ..RequestHead::default()
            };
            assert_eq!(carries(&head), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_prefix_is_logged_once() {
        let told = Told::default();
        assert_eq!(prefix("/openai/v1/chat/completions?x=y"), "/openai/v1");
        assert_eq!(prefix("//a//b/c"), "/a/b");
        assert!(told.is_new("/openai/v1") && !told.is_new("/openai/v1"));
        for number in 0..200 {
            told.is_new(&number.to_string());
        }
        assert!(!told.is_new("/later"));
    }
}

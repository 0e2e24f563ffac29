//! Which requests pass, as tables.

use super::*;
use axum::body::Body;
use axum::http::HeaderValue;

const BARE: &[(&str, &str)] = &[];

fn request(path: &str, host: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::builder().uri(path);
    if !host.is_empty() {
        request = request.header("host", HeaderValue::from_bytes(host.as_bytes()).unwrap());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

fn code(guard: Guard, request: &Request) -> &'static str {
    guard.check(request).map_or_else(|it| it.code, |()| "")
}

/// Host; whether it passes without a token.
const HOSTS: [(&str, bool); 19] = [
    ("", true),
    ("localhost:8080", true),
    ("LOCALHOST", true),
    ("localhost.", true),
    ("merit.localhost:1", true),
    ("127.0.0.1:8080", true),
    ("10.1.2.3", true),
    ("[::1]:8080", true),
    ("[fe80::1]", true),
    ("evil.example:8080", false),
    ("localhost.evil.example", false),
    ("evillocalhost", false),
    ("127.0.0.1.evil.example", false),
    ("127.0.0.1@evil.example", false),
    ("evil.example@127.0.0.1", false),
    ("[evil]", false),
    ("merit", false),
    ("merit.ns.svc.cluster.local", false),
    ("\u{e9}", false),
];

#[test]
fn without_a_token_only_names_of_this_machine_are_answered() {
    for (host, passes) in HOSTS {
        let request = request("/config/router", host, BARE);
        let (open, guarded) = (Guard { has_token: false }, Guard { has_token: true });
        let expected = if passes { "" } else { "FOREIGN_HOST" };
        assert_eq!(code(open, &request), expected, "{host}");
        assert_eq!(code(guarded, &request), "", "{host} with a token");
    }
}

#[test]
fn probes_are_answered_whatever_they_state() {
    for path in ["/health", "/ready"] {
        let request = request(path, "any.example", &[("origin", "http://evil.example")]);
        assert_eq!(code(Guard { has_token: false }, &request), "", "{path}");
    }
}

/// Method, host, headers; whether it is refused.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    bool,
);

const NAVIGATION: &[(&str, &str)] = &[
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

const CAUSES: [Case; 19] = [
    // Scripts and probes say nothing.
    ("GET", "localhost:8080", BARE, false),
    ("POST", "localhost:8080", BARE, false),
    // The page's own requests.
    (
        "GET",
        "localhost:8080",
        &[("sec-fetch-site", "same-origin")],
        false,
    ),
    (
        "GET",
        "localhost:8080",
        &[("sec-fetch-site", "none")],
        false,
    ),
    (
        "POST",
        "localhost:8080",
        &[("origin", "http://localhost:8080")],
        false,
    ),
    (
        "POST",
        "LocalHost",
        &[("origin", "http://localhost:80")],
        false,
    ),
    (
        "POST",
        "merit.example",
        &[("origin", "https://merit.example")],
        false,
    ),
    (
        "POST",
        "10.0.0.1",
        &[
            ("origin", "https://m.example"),
            ("sec-fetch-site", "same-origin"),
        ],
        false,
    ),
    // Other sites', whatever the method.
    (
        "POST",
        "localhost:8080",
        &[("origin", "http://localhost:3000")],
        true,
    ),
    (
        "GET",
        "localhost:8080",
        &[("origin", "http://evil.example")],
        true,
    ),
    ("GET", "localhost:8080", &[("origin", "null")], true),
    ("GET", "localhost:8080", &[("origin", "")], true),
    ("GET", "", &[("origin", "http://localhost:8080")], true),
    (
        "GET",
        "localhost:8080",
        &[("origin", "ftp://localhost:8080")],
        true,
    ),
    (
        "GET",
        "localhost:8080",
        &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "no-cors"),
        ],
        true,
    ),
    (
        "GET",
        "localhost:8080",
        &[("sec-fetch-site", "same-site")],
        true,
    ),
    (
        "POST",
        "localhost:8080",
        &[("sec-fetch-site", "strange")],
        true,
    ),
    // A link; a form that sends is another thing.
    ("GET", "localhost:8080", NAVIGATION, false),
    ("POST", "localhost:8080", NAVIGATION, true),
];

#[test]
fn requests_that_another_site_caused_are_refused() {
    for (method, host, headers, refused) in CAUSES {
        let mut request = request("/config/router", host, headers);
        *request.method_mut() = method.parse().unwrap();
        let expected = if refused { "FOREIGN_ORIGIN" } else { "" };
        let guard = Guard { has_token: true };
        assert_eq!(
            code(guard, &request),
            expected,
            "{method} {host} {headers:?}"
        );
    }
}

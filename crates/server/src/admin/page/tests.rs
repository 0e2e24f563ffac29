//! The page's files: how they are served, and what they must not hold.

use super::*;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use std::collections::BTreeSet;
use tower::ServiceExt as _;

async fn get(path: &str, known: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).header(IF_NONE_MATCH, known);
    let request = request.body(Body::empty()).unwrap();
    let response = add(Router::<()>::new()).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        head.status,
        head.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn files_are_served_with_their_type_and_the_policy() {
    for asset in ASSETS {
        let (status, headers, text) = get(asset.path, "").await;
        assert_eq!(status, 200, "{}", asset.path);
        assert_eq!(text, asset.text);
        assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY);
        assert_eq!(headers[CACHE_CONTROL], "no-cache");
        let kind = match asset.path.rsplit_once('.') {
            Some((_, "js")) => SCRIPT,
            Some((_, "css")) => CSS,
            Some((_, "svg")) => IMAGE,
            _ => HTML,
        };
        assert_eq!(headers[CONTENT_TYPE], kind, "{}", asset.path);
    }
    assert!(!POLICY.contains("unsafe"));
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let (_, headers, _) = get("/page/app.js", "").await;
    let tag = headers[ETAG].to_str().unwrap();
    for (known, status) in [
        (tag, 304),
        (&*format!("W/{tag}"), 304),
        (&*format!("\"other\", {tag}"), 304),
        ("\"other\"", 200),
    ] {
        let (got, headers, text) = get("/page/app.js", known).await;
        assert_eq!(got.as_u16(), status, "{known}");
        assert_eq!(text.is_empty(), status == 304);
        assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY);
    }
}

/// What would fetch from elsewhere, or make code or elements of text.
#[test]
fn nothing_is_fetched_from_elsewhere_and_text_stays_text() {
    const FORBIDDEN: [&str; 13] = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "createContextualFragment",
        "setHTML",
        "srcdoc",
        "eval(",
        "new Function",
        "localStorage",
        "import(",
        "javascript:",
    ];
    for asset in ASSETS {
        for word in FORBIDDEN {
            assert!(!asset.text.contains(word), "{}: {word}", asset.path);
        }
        for at in [
            "src=\"",
            "href=\"",
            "url(",
            "from \"",
            "@import",
            "import \"",
        ] {
            for after in asset.text.split(at).skip(1) {
                assert!(
                    ["/page/", "./", "#"]
                        .iter()
                        .any(|own| after.starts_with(own)),
                    "{}: {at}{}",
                    asset.path,
                    after.lines().next().unwrap_or_default()
                );
            }
        }
    }
}

/// Addresses occur in texts that are shown only: snippets and the namespace of drawings.
#[test]
fn addresses_of_others_are_text() {
    for asset in ASSETS {
        for (start, _) in asset.text.match_indices("//") {
            let (before, rest) = asset.text.split_at(start);
            if !before.ends_with("http:") && !before.ends_with("https:") {
                continue;
            }
            let after = rest.strip_prefix("//").unwrap_or_default();
            let known = ["www.w3.org/2000/svg\"", "${location.hostname}:"];
            assert!(
                known.iter().any(|text| after.starts_with(text)),
                "{}: {}",
                asset.path,
                after.lines().next().unwrap_or_default()
            );
        }
    }
}

/// No handler, style or script stands in the page's text: the policy would not run it.
#[test]
fn nothing_is_inline() {
    for asset in ASSETS.iter().filter(|asset| asset.kind == HTML) {
        for word in ["<style", " style=", " onclick=", " onload=", "<script>"] {
            assert!(!asset.text.contains(word), "{word}");
        }
    }
}

/// Every module that another imports, and every file that the page names, is served.
#[test]
fn what_the_files_name_is_there() {
    let served: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.path).collect();
    for asset in ASSETS {
        for at in ["from \"./", "src=\"/page/", "href=\"/page/"] {
            for rest in asset.text.split(at).skip(1) {
                let name = rest.split('"').next().unwrap_or_default();
                let path = format!("/page/{name}");
                assert!(served.contains(&*path), "{}: {path}", asset.path);
            }
        }
    }
}

//! The API in process, over a console that answers from constants.

use super::*;
use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::json;
use std::collections::BTreeSet;
use tower::ServiceExt as _;

struct Fake {
    ready: bool,
}

impl Console for Fake {
    fn ready(&self) -> bool {
        self.ready
    }
    fn eval(&self, body: &[u8], trace: bool) -> Result<Value, Refusal> {
        match body {
            b"panic" => panic!("as asked"),
            b"bad" => Err(Refusal::invalid_input("failed to parse JSON: bad")),
            b"model" => Err(Refusal::unknown_model("x")),
            body => Ok(json!({"length": body.len(), "trace": trace})),
        }
    }
    fn classify(&self, what: Classification, body: &[u8]) -> Result<Value, Refusal> {
        match body {
            b"missing" => Err(Refusal::not_loaded("pii")),
            body => Ok(json!({"path": what.path(), "length": body.len()})),
        }
    }
    fn outcome(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        Ok(
            json!({"key": headers.get("idempotency-key").map(|key| key.to_str().unwrap()), "length": body.len()}),
        )
    }
    fn probes(&self, body: &[u8]) -> Result<Value, Refusal> {
        Ok(json!({"length": body.len()}))
    }
    fn judge(&self, _: &HeaderMap) -> Result<Option<String>, Refusal> {
        Ok(None)
    }
    fn config(&self) -> Value {
        json!({"version": "v0.3"})
    }
    fn hash(&self) -> Value {
        json!({"hash": "abc"})
    }
    fn records(&self) -> Option<Arc<dyn RecordStore>> {
        None
    }
    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn pool(&self) -> Value {
        json!({"models": []})
    }
    fn models(&self) -> Value {
        json!({"object": "list", "data": null})
    }
}

async fn send(router: Router, request: Request) -> (StatusCode, HeaderMap, Value) {
    let response = router.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        head.status,
        head.headers,
        serde_json::from_slice(&body).unwrap_or(Value::Null),
    )
}

fn request(method: &str, path: &str, body: impl Into<Body>) -> Request {
    Request::builder()
        .method(method)
        .uri(path)
        .body(body.into())
        .unwrap()
}

fn open() -> Router {
    router(Arc::new(Fake { ready: true }), None)
}

#[tokio::test]
async fn answers() {
    for (method, path, body, status, expected) in [
        (
            "GET",
            "/health",
            "",
            200,
            json!({"status": "healthy", "service": "merit"}),
        ),
        ("GET", "/ready", "", 200, json!({"status": "ready"})),
        (
            "POST",
            "/api/v1/eval",
            "{}",
            200,
            json!({"length": 2, "trace": false}),
        ),
        (
            "POST",
            "/api/v1/eval?trace=true",
            "{}",
            200,
            json!({"length": 2, "trace": true}),
        ),
        (
            "POST",
            "/api/v1/eval?a=b&trace=true",
            "{}",
            200,
            json!({"length": 2, "trace": true}),
        ),
        (
            "POST",
            "/api/v1/eval?trace=1",
            "{}",
            200,
            json!({"length": 2, "trace": false}),
        ),
        (
            "POST",
            "/api/v1/classify/pii",
            "{}",
            200,
            json!({"path": "/api/v1/classify/pii", "length": 2}),
        ),
        ("POST", "/api/v1/probes", "- a", 200, json!({"length": 3})),
        ("GET", "/api/v1/pool", "", 200, json!({"models": []})),
        (
            "POST",
            "/v1/router/outcomes",
            "{}",
            200,
            json!({"key": null, "length": 2}),
        ),
        ("GET", "/config/router", "", 200, json!({"version": "v0.3"})),
        ("GET", "/config/hash", "", 200, json!({"hash": "abc"})),
        (
            "GET",
            "/v1/models",
            "",
            200,
            json!({"object": "list", "data": null}),
        ),
    ] {
        let (got, _, answer) = send(open(), request(method, path, body)).await;
        assert_eq!(
            (got.as_u16(), answer),
            (status, expected),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn not_ready() {
    let router = router(Arc::new(Fake { ready: false }), None);
    assert_eq!(
        send(router.clone(), request("GET", "/ready", "")).await.0,
        503
    );
    assert_eq!(send(router, request("GET", "/health", "")).await.0, 200);
}

/// Method, path, body; status, code, message.
const ERRORS: [(&str, &str, &str, u16, &str, &str); 8] = [
    (
        "POST",
        "/api/v1/classify/pii",
        "missing",
        503,
        "CLASSIFIER_NOT_LOADED",
        "classifier `pii` is not loaded: no decision of the served document reaches it; \
         `global.server.inference.preload: true` loads all",
    ),
    (
        "GET",
        "/api/v1/similarity",
        "",
        405,
        "METHOD_NOT_ALLOWED",
        "method not allowed",
    ),
    (
        "POST",
        "/api/v1/eval",
        "bad",
        400,
        "INVALID_INPUT",
        "failed to parse JSON: bad",
    ),
    (
        "POST",
        "/api/v1/eval",
        "model",
        400,
        "INVALID_ROUTING_MODEL",
        "unknown routing model \"x\"",
    ),
    (
        "POST",
        "/api/v1/eval",
        "panic",
        500,
        "CLASSIFICATION_ERROR",
        "the evaluation failed unexpectedly",
    ),
    (
        "GET",
        "/nothing",
        "",
        404,
        "NOT_FOUND",
        "endpoint not found",
    ),
    (
        "GET",
        "/api/v1/eval",
        "",
        405,
        "METHOD_NOT_ALLOWED",
        "method not allowed",
    ),
    (
        "DELETE",
        "/health",
        "",
        405,
        "METHOD_NOT_ALLOWED",
        "method not allowed",
    ),
];

#[tokio::test]
async fn errors_have_one_shape() {
    let large = " ".repeat(BODY_LIMIT + 1);
    let message = "request body is larger than 10485760 bytes";
    let too_large = (
        "POST",
        "/api/v1/eval",
        large.as_str(),
        413,
        "REQUEST_BODY_TOO_LARGE",
        message,
    );
    for (method, path, body, status, code, message) in ERRORS.into_iter().chain([too_large]) {
        let body = body.to_owned();
        let (got, headers, answer) = send(open(), request(method, path, body)).await;
        assert_eq!(got.as_u16(), status, "{method} {path}");
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["message"]),
            (&json!(code), &json!(message))
        );
        let timestamp = answer["error"]["timestamp"].as_str().unwrap();
        assert!(
            humantime::parse_rfc3339(timestamp).is_ok() && timestamp.ends_with('Z'),
            "{timestamp}"
        );
        assert_eq!(headers[REQUEST_ID].len(), 32, "{method} {path}");
    }
}

#[tokio::test]
async fn echoes_only_sane_request_ids() {
    for (id, echoed) in [
        ("abc-1", true),
        ("", false),
        ("a b", false),
        (&*"x".repeat(129), false),
    ] {
        let mut request = request("GET", "/health", "");
        request
            .headers_mut()
            .insert(REQUEST_ID, id.parse().unwrap());
        let (_, headers, _) = send(open(), request).await;
        assert_eq!(headers[REQUEST_ID] == id, echoed, "{id}");
        assert!(!headers[REQUEST_ID].is_empty());
    }
}

#[tokio::test]
async fn token_guards_all_but_probes() {
    let router = router(Arc::new(Fake { ready: true }), Token::new(" secret\n"));
    for (path, authorization, status) in [
        ("/health", "", 200),
        ("/ready", "", 200),
        ("/", "", 200),
        ("/page/app.js", "", 200),
        ("/page/nothing.js", "", 401),
        ("/config/router", "", 401),
        ("/v1/router/outcomes", "", 401),
        ("/api/v1/embeddings", "", 401),
        ("/config/router", "secret", 401),
        ("/config/router", "Bearer wrong", 401),
        ("/config/router", "Basic secret", 401),
        ("/config/router", "Bearer secret", 200),
        ("/config/router", "bearer secret", 200),
        ("/nothing", "", 401),
        ("/nothing", "Bearer secret", 404),
    ] {
        let mut request = request("GET", path, "");
        request
            .headers_mut()
            .insert(AUTHORIZATION, authorization.parse().unwrap());
        let (got, headers, answer) = send(router.clone(), request).await;
        assert_eq!(got.as_u16(), status, "{path} {authorization}");
        if status == 401 {
            assert_eq!(answer["error"]["code"], "UNAUTHORIZED");
            assert_eq!(
                answer["error"]["request_id"].as_str().unwrap(),
                headers[REQUEST_ID].to_str().unwrap()
            );
        }
    }
    assert!(Token::new(" \n").is_none());
}

#[tokio::test]
async fn openapi_lists_exactly_the_endpoints() {
    let (status, headers, document) = send(open(), request("GET", "/openapi.json", "")).await;
    assert_eq!(
        (status.as_u16(), headers["content-type"].to_str().unwrap()),
        (200, "application/json")
    );
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let open = operation["security"] == json!([]);
            described.insert((method.clone(), path.clone(), open));
        }
    }
    let served =
        Endpoint::ALL.map(|it| (it.method().to_owned(), it.path().to_owned(), it.is_open()));
    assert_eq!(described, BTreeSet::from(served));
}

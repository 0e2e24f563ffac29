//! What becomes of requests by their method and path, with and without a boundary.

use super::*;

const POLICY: &str = "{version: v0.3,
  providers: {defaults: {default_model: small}, models: [
    {name: small, location: cloud, backend_refs: [{endpoint: 'b:1'}]},
    {name: large, location: local, backend_refs: [{endpoint: 'b:2'}]}]},
  routing: {signals: {keywords: [{name: personal, operator: OR, keywords: [patient]}]},
    BOUNDARIES
    decisions: [{name: all, priority: 1, modelRefs: [{model: small}, {model: large}]}]},
  global: {server: {passthrough: [{host: tools.example, methods: [POST], path: /v1/files}]}}}";
const BOUNDARIES: &str = "boundaries: [{name: stays, when: {type: keyword, name: personal}, allow: {locations: [local]}}],";

/// Requests under one policy.
struct Policy {
    exchanges: LlmExchanges,
    metrics: Arc<Metrics>,
    _folder: tempfile::TempDir,
}

impl Policy {
    fn new(boundaries: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("merit.yaml");
        std::fs::write(&file, POLICY.replace("BOUNDARIES", boundaries)).unwrap();
        let preparer = preparer(Scripted::new(Fake::default()));
        let metrics = preparer.metrics.clone();
        let reloader = Reloader::first(file, preparer).unwrap_or_else(|it| panic!("{it:?}"));
        Self {
            exchanges: LlmExchanges::new(reloader.live(), metrics.clone(), Tracing::off()),
            metrics,
            _folder: folder,
        }
    }

    /// The model that a request goes to, `untouched`, or the status and text of a refusal.
    async fn send(&self, request: &str, body: &str) -> String {
        let (method, rest) = request.split_once(' ').unwrap();
        let (path, extra) = rest.split_once(' ').unwrap_or((rest, ""));
        let length = body.len().to_string();
        let mut headers = vec![(":method", method), (":path", path)];
        if !body.is_empty() {
            headers.push(("content-length", &length));
        }
        headers.extend(extra.split_once('='));
        headers.push((":authority", "a:1"));
        let headers = headers.into_iter();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned().into()));
        let head = RequestHead {
            headers: Headers::new(headers.collect()),
            end_of_stream: body.is_empty(),
            ..RequestHead::default()
        };
        let mut exchange = self.exchanges.open();
        exchange.deadline(Instant::now() + Duration::from_secs(2));
        match exchange.request_headers(head).await {
            HeadStep::Forward(_) => "untouched".to_owned(),
            HeadStep::Respond(answer) => refused(&answer),
            HeadStep::NeedBody => match exchange.request_body(body.to_owned().into()).await {
                BodyStep::Forward(reply) => sent(&reply),
                BodyStep::Respond(answer) => refused(&answer),
                BodyStep::Wait(_) => "wait".to_owned(),
            },
        }
    }
}

/// The model, and the path where it is changed.
fn sent(reply: &BodyReply) -> String {
    let model = &reply.metadata["merit"]["x-vsr-selected-model"];
    let path = reply.headers.iter().find_map(|edit| match edit {
        extproc::HeaderEdit::Set(name, value) if name == ":path" => Some(value),
        _ => None,
    });
    let path = path.map(|path| String::from_utf8_lossy(path));
    let model = model.as_str().unwrap_or_default();
    format!("{model} {}", path.unwrap_or_default())
        .trim_end()
        .to_owned()
}

fn refused(answer: &Immediate) -> String {
    let text = String::from_utf8_lossy(&answer.body[0]).into_owned();
    format!("{} {text}", answer.status.as_u16())
}

const CHAT: &str = r#"{"model": "auto", "messages": [{"role": "user", "content": "a patient"}]}"#;

#[tokio::test]
async fn a_boundary_holds_on_every_spelling_of_a_path() {
    let policy = Policy::new(BOUNDARIES);
    for path in [
        "/v1/chat/completions",
        "/V1/Chat/Completions",
        "/v1//chat/completions/",
        "/v1/chat%2Fcompletions",
        "/openai/v1/chat/completions",
        "/openai/deployments/any/chat/completions?api-version=2024-10-21",
        "/v1beta/openai/chat/completions",
    ] {
        let got = policy.send(&format!("POST {path}"), CHAT).await;
        let model = got.split(' ').next();
        // In a deployment's path the model is the path's own.
        let expected = if path.contains("/any/") {
            "404"
        } else {
            "large"
        };
        assert_eq!(model, Some(expected), "{path}: {got}");
    }
}

#[tokio::test]
async fn bodies_that_nobody_reads_are_refused_where_a_policy_guards_text() {
    let guarded = Policy::new(BOUNDARIES);
    let free = Policy::new("");
    for (request, body, with, without) in [
        ("POST /invocations", CHAT, "404", "untouched"),
        (
            "POST /v1/batches",
            r#"{"input_file_id": "f"}"#,
            "404",
            "untouched",
        ),
        ("GET /v1/batches", "", "untouched", "untouched"),
        ("PUT /invocations", "x", "404", "untouched"),
        ("GET /version", "", "untouched", "untouched"),
        ("OPTIONS /v1/chat/completions", "", "untouched", "untouched"),
        ("OPTIONS /v1/chat/completions", CHAT, "404", "untouched"),
        ("GET /socket upgrade=websocket", "", "426", "untouched"),
        ("GET /v1/responses upgrade=websocket", "", "426", "426"),
        ("GET /v1/realtime upgrade=websocket", "", "426", "426"),
        ("GET /v1/responses", "", "405", "405"),
        ("POST /v1/files", "x", "404", "untouched"),
        ("POST /v1/fine_tuning/jobs", "{}", "404", "untouched"),
        ("GET /v1/files", "", "untouched", "untouched"),
        ("DELETE /v1/files/f_1", "", "untouched", "untouched"),
        ("GET /v1/files upgrade=websocket", "", "426", "426"),
        (
            "POST /v1/files :authority=tools.example",
            "x",
            "untouched",
            "untouched",
        ),
        ("POST /chat/completions", CHAT, "404", "404"),
    ] {
        let got = guarded.send(request, body).await;
        let otherwise = free.send(request, body).await;
        assert!(got.starts_with(with), "{request}: {got}");
        assert!(otherwise.starts_with(without), "{request}: {otherwise}");
    }
    let text = guarded.metrics.render().unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("unread_path"))
        .unwrap();
    assert!(line.ends_with(" 10"), "{line}");
}

#[tokio::test]
async fn a_refused_body_is_told_what_to_do_instead() {
    let policy = Policy::new(BOUNDARIES);
    for (request, expected) in [
        (
            "POST /v1/batches",
            r#"404 {"error":{"message":"the router cannot read the file that a batch names, and its policy restricts where text may go; send the batch's requests one by one to /v1/chat/completions"#,
        ),
        (
            "POST /openai/v1/batches",
            r#"404 {"error":{"message":"the router cannot read the file"#,
        ),
        (
            "POST /v1/files",
            r#"404 {"error":{"message":"the router does not read request bodies on this path"#,
        ),
        (
            "POST /v1/messages/strange",
            r#"404 {"type":"error","error":{"type":"not_found_error","message":"the router does not read"#,
        ),
        (
            "POST /v1/files anthropic-version=2023-06-01",
            r#"404 {"type":"error","error":{"type":"not_found_error","message":"the router does not read"#,
        ),
    ] {
        let got = policy.send(request, r#"{"input_file_id": "f"}"#).await;
        assert!(got.starts_with(expected), "{request}: {got}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused_in_the_clients_own_protocol() {
    let policy = Policy::new("");
    for (path, shape) in [
        ("/v1/chat/completions", r#"400 {"error":{"message":""#),
        ("/v1/responses", r#"400 {"error":{"message":""#),
        ("/v1/embeddings", r#"400 {"error":{"message":""#),
        (
            "/v1/messages",
            r#"400 {"type":"error","error":{"type":"invalid_request_error","message":""#,
        ),
        (
            "/v1/messages/count_tokens",
            r#"400 {"type":"error","error":{"type":"invalid_request_error","message":""#,
        ),
    ] {
        for (body, said) in [
            ("", "the request body is empty; send a JSON object"),
            ("[]", "the request body must be a JSON object, got array"),
            (
                r#"{"model": 5, "messages": [], "input": ""}"#,
                "field model must be string, got number",
            ),
        ] {
            let got = policy.send(&format!("POST {path}"), body).await;
            assert!(
                got.starts_with(shape) && got.contains(said),
                "{path} {body}: {got}"
            );
        }
    }
}

#[tokio::test]
async fn every_name_that_may_be_asked_for_is_described() {
    let policy = Policy::new("");
    for (name, expected) in [
        ("auto", "200 "),
        ("small", "200 "),
        ("large", r#"200 {"id":"large""#),
        (
            "nobody",
            r#"404 {"error":{"message":"model \"nobody\" is not available; GET /v1/models lists vllm-sr/auto, auto, MoM; models that the policy configures go by their own names, too""#,
        ),
    ] {
        let got = policy.send(&format!("GET /v1/models/{name}"), "").await;
        assert!(got.starts_with(expected), "{name}: {got}");
    }
    let list = policy.send("GET /v1/models", "").await;
    assert!(!list.contains("large"), "{list}");
}

#[tokio::test]
async fn a_wrong_base_is_told_in_the_clients_own_protocol() {
    let policy = Policy::new("");
    for (path, expected) in [
        ("/chat/completions", "must end in /v1, once"),
        ("/v1/v1/responses", "so that the path is /v1/responses"),
        ("/v1/v1/messages", r#""type":"not_found_error""#),
        ("/team/v1/chat/completions", "global.server.path_prefixes"),
    ] {
        let got = policy.send(&format!("POST {path}"), CHAT).await;
        assert!(
            got.starts_with("404 ") && got.contains(expected),
            "{path}: {got}"
        );
    }
}

#[tokio::test]
async fn other_endpoints_are_routed_within_the_boundaries() {
    let policy = Policy::new(BOUNDARIES);
    for (path, body, expected) in [
        (
            "/v1/completions",
            r#"{"model": "small", "prompt": "hi"}"#,
            "small",
        ),
        (
            "/v1/completions",
            r#"{"model": "auto", "prompt": "a patient"}"#,
            "large",
        ),
        (
            "/v1/embeddings",
            r#"{"model": "large", "input": "a patient"}"#,
            "large",
        ),
        (
            "/v1/embeddings",
            r#"{"model": "small", "input": "a patient"}"#,
            "403",
        ),
        (
            "/v2/rerank",
            r#"{"model": "small", "query": "a patient"}"#,
            "403",
        ),
        ("/v1/rerank", r#"{"model": "nobody", "query": "hi"}"#, "404"),
        (
            "/v1/embeddings",
            r#"{"model": "auto", "input": "hi"}"#,
            "400",
        ),
        ("/v1/moderations", r#"{"input": "hi"}"#, "small"),
        ("/v1/moderations", r#"{"input": "a patient"}"#, "403"),
        (
            "/v1/responses/compact",
            r#"{"model": "auto", "input": "a patient"}"#,
            "large",
        ),
        ("/v1/messages/count_tokens", CHAT, "large"),
        (
            "/v1/messages/count_tokens",
            r#"{"model": "auto"}"#,
            r#"400 {"type":"error","error":{"type":"invalid_request_error","message":"messages field"#,
        ),
        (
            "/v1/embeddings content-type=multipart/form-data",
            "x",
            "400",
        ),
        (
            "/v1/audio/transcriptions content-type=multipart/form-data",
            "x",
            "400",
        ),
    ] {
        let got = policy.send(&format!("POST {path}"), body).await;
        assert!(got.starts_with(expected), "{path} {body}: {got}");
    }
}

#[tokio::test]
async fn a_form_is_held_unless_its_words_and_sounds_may_go() {
    let policy = Policy::new(BOUNDARIES);
    let form = |model: &str, prompt: &str| {
        format!(
            "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n\
             --x\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\n{prompt}\r\n--x--\r\n"
        )
    };
    for (model, prompt, expected) in [
        ("small", "hi", "small"),
        ("small", "a patient", "403"),
        ("large", "a patient", "large"),
        ("auto", "hi", "400"),
        ("nobody", "hi", "404"),
    ] {
        let path = "POST /v1/audio/transcriptions content-type=multipart/form-data; boundary=x";
        let got = policy.send(path, &form(model, prompt)).await;
        assert!(got.starts_with(expected), "{model} {prompt}: {got}");
    }
}

#[tokio::test]
async fn a_deployment_in_the_path_is_the_model() {
    let policy = Policy::new(BOUNDARIES);
    let hi = r#"{"messages": [{"role": "user", "content": "hi"}]}"#;
    let named = r#"{"model": "large", "messages": [{"role": "user", "content": "hi"}]}"#;
    for (path, body, expected) in [
        ("small/chat/completions?api-version=1", hi, "small"),
        ("small/chat/completions", named, "small"),
        (
            "auto/chat/completions?api-version=1",
            hi,
            "small /openai/deployments/small/chat/completions?api-version=1",
        ),
        (
            "auto/chat/completions",
            CHAT,
            "large /openai/deployments/large/chat/completions",
        ),
        ("small/chat/completions", CHAT, "403"),
        ("small/embeddings", r#"{"input": "a patient"}"#, "403"),
        ("large/embeddings", r#"{"input": "a patient"}"#, "large"),
        ("nobody/embeddings", r#"{"input": "hi"}"#, "404"),
        ("x/../auto/completions", r#"{"prompt": "hi"}"#, "400"),
    ] {
        let got = policy
            .send(&format!("POST /openai/deployments/{path}"), body)
            .await;
        assert!(
            got == expected || expected.len() == 3 && got.starts_with(expected),
            "{path} {body}: {got}"
        );
    }
}

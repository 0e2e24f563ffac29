//! Other machines, played by a server in process.

use super::*;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use inference::ask::Over;
use inference::catalog::{Endpoint, RemoteProtocol, Secret};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// A service that answers by script, and remembers what it was asked.
struct Service {
    url: String,
    script: Arc<Script>,
}

struct Script {
    answers: Vec<Reaction>,
    calls: AtomicUsize,
    asked: Mutex<Vec<(String, Option<String>, Value)>>,
    at_once: AtomicUsize,
    most: AtomicUsize,
    gone: Notify,
}

/// What the service does; the last goes on for ever.
#[derive(Clone)]
enum Reaction {
    Say(u16, String),
    /// Vectors of these numbers, one for each text.
    Vectors(Vec<f32>),
    /// Nothing, until the caller is gone.
    Hang,
}

impl Service {
    async fn start(answers: Vec<Reaction>) -> Self {
        let script = Arc::new(Script {
            answers,
            calls: AtomicUsize::new(0),
            asked: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            gone: Notify::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().fallback(react).with_state(script.clone());
        tokio::task::spawn_local(async move { axum::serve(listener, router).await });
        Self { url, script }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            name: "far".to_owned(),
            base_url: self.url.clone(),
            model: "m".to_owned(),
            key_variable: String::new(),
            key: Secret("k".to_owned()),
            timeout: Duration::from_secs(20),
            retries: 0,
        }
    }
}

async fn react(
    State(script): State<Arc<Script>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let token = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    let texts = body["input"].as_array().map_or(0, Vec::len);
    script
        .asked
        .lock()
        .unwrap()
        .push((uri.path().to_owned(), token, body));
    let call = script.calls.fetch_add(1, Ordering::SeqCst);
    let now = script.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    script.most.fetch_max(now, Ordering::SeqCst);
    tokio::task::yield_now().await;
    let reaction = script
        .answers
        .get(call)
        .or(script.answers.last())
        .unwrap()
        .clone();
    let answer = match reaction {
        Reaction::Say(status, text) => (StatusCode::from_u16(status).unwrap(), text),
        Reaction::Vectors(vector) => {
            let data: Vec<Value> = (0..texts)
                .map(|index| json!({"index": index, "embedding": vector}))
                .collect();
            (StatusCode::OK, json!({"data": data}).to_string())
        }
        Reaction::Hang => {
            script.gone.notified().await;
            (StatusCode::OK, String::new())
        }
    };
    script.at_once.fetch_sub(1, Ordering::SeqCst);
    answer
}

fn remote() -> Remote {
    Remote::new(&Inference {
        remote_response_bytes: 4096,
        ..Inference::default()
    })
    .unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn text(by: &Embedder, text: &str) -> Question {
    Question::new(text.into(), What::Vector(by.clone()))
}

/// Runs with a service that is polled beside it.
async fn with<T>(test: impl Future<Output = T>) -> T {
    tokio::task::LocalSet::new().run_until(test).await
}

async fn embedded(
    reactions: Vec<Reaction>,
    change: impl Fn(&mut Endpoint),
) -> (Vec<Outcome>, Service) {
    let service = Service::start(reactions).await;
    let mut endpoint = service.endpoint();
    change(&mut endpoint);
    let remote = remote();
    let by = remote
        .embedder(&RemoteEmbedder {
            endpoint,
            dimensions: 2,
        })
        .unwrap();
    (remote.ask(&[text(&by, "a")], soon()).await, service)
}

#[tokio::test]
async fn vectors_have_unit_length_and_keep_their_order() {
    with(async {
        let shuffled = json!({"data": [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}]});
        let service = Service::start(vec![Reaction::Say(200, shuffled.to_string())]).await;
        let remote = remote();
        let by = remote.embedder(&RemoteEmbedder { endpoint: service.endpoint(), dimensions: 2 }).unwrap();
        let questions = [text(&by, "b"), text(&by, "a"), text(&by, " "), text(&by, "b")];
        let answers = remote.ask(&questions, soon()).await;
        let vectors: Vec<Vec<f32>> = answers
            .into_iter()
            .map(|outcome| match outcome.unwrap().answer {
                Answer::Vector(vector) => vector.to_vec(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(vectors, [vec![0.0, 1.0], vec![0.6, 0.8], vec![0.0, 0.0], vec![0.0, 1.0]]);
        let asked = service.script.asked.lock().unwrap().clone();
        let body = json!({"model": "m", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2});
        assert_eq!(asked, [("/v1/embeddings".to_owned(), Some("Bearer k".to_owned()), body)]);
    })
    .await;
}

#[tokio::test]
async fn what_goes_wrong_is_a_failure() {
    let said = |text: &str| vec![Reaction::Say(200, text.to_owned())];
    with(async {
        for (reactions, expected) in [
            (vec![Reaction::Say(500, String::new())], "status 500"),
            (vec![Reaction::Say(401, String::new())], "status 401"),
            (said("<html>"), "not what the API promises"),
            (said("{}"), "not what the API promises"),
            (
                said(r#"{"data": [{"index": 0, "embedding": ["x"]}]}"#),
                "not what the API promises",
            ),
            (said(r#"{"data": []}"#), "0 vectors, 1 were asked for"),
            (
                vec![Reaction::Vectors(vec![1.0, 2.0, 3.0])],
                "3 dimensions, not 2",
            ),
            (
                vec![Reaction::Vectors(vec![0.0, 0.0])],
                "not finite, or a vector of zeros",
            ),
            (
                said(r#"{"data": [{"index": 0, "embedding": [1e39, 0.0]}]}"#),
                "not finite, or a vector of zeros",
            ),
            (
                said(r#"{"data": [{"index": 0, "embedding": [NaN, 0.0]}]}"#),
                "not what the API promises",
            ),
            (said(&" ".repeat(4097)), "longer than 4096 bytes"),
        ] {
            let (outcomes, _service) = embedded(reactions, |_| {}).await;
            let Err(Failure::Failed(problem)) = &outcomes[0] else {
                panic!("{expected}: {outcomes:?}")
            };
            assert!(problem.contains(expected), "{problem}");
        }
        let (outcomes, _service) = embedded(said(""), |endpoint| {
            endpoint.base_url = "http://127.0.0.1:1/v1".into()
        })
        .await;
        assert_eq!(outcomes, [Err(Failure::Failed("cannot be reached".into()))]);
    })
    .await;
}

#[tokio::test]
async fn a_slow_service_is_left_alone_at_the_deadline() {
    with(async {
        let service = Service::start(vec![Reaction::Hang]).await;
        let remote = remote();
        let by = remote
            .embedder(&RemoteEmbedder {
                endpoint: service.endpoint(),
                dimensions: 2,
            })
            .unwrap();
        let outcomes = remote
            .ask(
                &[text(&by, "a")],
                Instant::now() + Duration::from_millis(20),
            )
            .await;
        assert_eq!(outcomes, [Err(Failure::TimedOut)]);
        let (outcomes, service) = embedded(vec![Reaction::Hang], |endpoint| {
            (endpoint.timeout, endpoint.retries) = (Duration::from_millis(5), 2);
        })
        .await;
        assert_eq!(outcomes, [Err(Failure::TimedOut)]);
        assert!(service.script.calls.load(Ordering::SeqCst) <= 3);
    })
    .await;
}

#[tokio::test]
async fn passing_faults_are_tried_again_within_bounds() {
    with(async {
        let fault = |status| Reaction::Say(status, String::new());
        let well = Reaction::Vectors(vec![0.0, 1.0]);
        for (reactions, retries, calls, good) in [
            (vec![fault(503), fault(429), well.clone()], 2, 3, true),
            (vec![fault(503), well.clone()], 0, 1, false),
            (vec![fault(400), well], 2, 1, false),
            (vec![fault(500)], 1, 2, false),
        ] {
            let (outcomes, service) =
                embedded(reactions, |endpoint| endpoint.retries = retries).await;
            assert_eq!(outcomes[0].is_ok(), good, "{outcomes:?}");
            assert_eq!(service.script.calls.load(Ordering::SeqCst), calls);
        }
    })
    .await;
}

#[tokio::test]
async fn calls_wait_for_their_turn() {
    with(async {
        let service = Service::start(vec![Reaction::Say(200, said("benign"))]).await;
        let remote = Remote::new(&Inference {
            remote_concurrency: 2,
            ..Inference::default()
        })
        .unwrap();
        let by = remote.classifier(&guard(service.endpoint())).unwrap();
        let questions: Vec<Question> = (0..12)
            .map(|number| judged_by(&by, &number.to_string()))
            .collect();
        let outcomes = remote.ask(&questions, soon()).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(service.script.calls.load(Ordering::SeqCst), 12);
        assert!(service.script.most.load(Ordering::SeqCst) <= 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_are_asked_in_batches_and_dimensions_learned() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // The service needs a thread of its own: loading blocks, as it does in the process.
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(with(async {
            let service = Service::start(vec![Reaction::Vectors(vec![0.0, 3.0, 4.0])]).await;
            let script = service.script.clone();
            assert!(sender.send((service, script.clone())).is_ok());
            script.gone.notified().await;
        }));
    });
    let (service, script) = receiver.await.unwrap();
    let loaded = tokio::task::spawn_blocking(move || {
        let remote = remote();
        let by = remote
            .embedder(&RemoteEmbedder {
                endpoint: service.endpoint(),
                dimensions: 0,
            })
            .unwrap();
        let texts: Vec<String> = (0..130).map(|number| number.to_string()).collect();
        (by.dimension, remote.vectors(&by, &texts).unwrap())
    });
    let (dimension, vectors) = loaded.await.unwrap();
    assert_eq!(
        (dimension, vectors.len(), &*vectors[129]),
        (3, 130, &[0.0, 0.6, 0.8][..])
    );
    let sizes: Vec<usize> = script
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|(_, _, body)| body["input"].as_array().unwrap().len())
        .collect();
    assert_eq!(
        (
            sizes.len(),
            sizes.iter().sum::<usize>(),
            *sizes.iter().max().unwrap()
        ),
        (4, 131, 64)
    );
    script.gone.notify_one();
    thread.join().unwrap();
}

fn guard(endpoint: Endpoint) -> RemoteClassifier {
    let labels = vec!["benign".to_owned(), "jailbreak".to_owned()];
    RemoteClassifier {
        endpoint,
        labels,
        instructions: "Judge.".to_owned(),
        max_tokens: 8,
        ..RemoteClassifier::default()
    }
}

fn judged_by(by: &Classifier, text: &str) -> Question {
    Question::new(text.into(), What::Labels(by.clone(), Over::Sample))
}

fn said(content: &str) -> String {
    json!({"choices": [{"message": {"role": "assistant", "content": content}}]}).to_string()
}

/// What a service says, and the row that is read from it; nothing where it must fail.
async fn verdict(
    labels: &[&str],
    protocol: RemoteProtocol,
    reply: String,
    expected: Option<&[f32]>,
) {
    let service = Service::start(vec![Reaction::Say(200, reply.clone())]).await;
    let remote = remote();
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let wanted = RemoteClassifier {
        labels,
        protocol,
        ..guard(service.endpoint())
    };
    let by = remote.classifier(&wanted).unwrap();
    let outcome = remote
        .ask(&[judged_by(&by, "hello")], soon())
        .await
        .pop()
        .unwrap();
    match (outcome, expected) {
        (
            Ok(Reply {
                answer: Answer::Labels(rows),
                ..
            }),
            Some(expected),
        ) => {
            let row = rows.first().unwrap();
            let near = row
                .iter()
                .zip(expected)
                .all(|(one, other)| (one - other).abs() < 1e-6);
            assert!(
                near && row.len() == expected.len(),
                "{row:?} is not {expected:?}: {reply}"
            );
        }
        (Err(Failure::Failed(_)), None) => {}
        (other, _) => panic!("{other:?}: {reply}"),
    }
    let path = if protocol == RemoteProtocol::Chat {
        "/v1/chat/completions"
    } else {
        "/classify"
    };
    assert_eq!(service.script.asked.lock().unwrap()[0].0, path);
}

#[tokio::test]
async fn chat_models_choose_labels() {
    let labels = ["billing", "technical"];
    with(async {
        for (content, expected) in [
            (
                r#"{"label": "technical", "rationale": "r"}"#,
                Some(&[0.0, 1.0][..]),
            ),
            (
                r#"Sure: {'label': 'Technical', 'confidence': 0.7}."#,
                Some(&[0.0, 0.7]),
            ),
            (
                r#"{"route": "billing", "confidence": 0.25}"#,
                Some(&[0.25, 0.0]),
            ),
            (r#"{"route": "billing"}"#, Some(&[f32::MIN_POSITIVE, 0.0])),
            (r#"{"route": "other"}"#, Some(&[0.0, 0.0])),
            (r#"{"label": "other"}"#, Some(&[0.0, 0.0])),
            ("Technical.", Some(&[0.0, 1.0])),
            (r#"{"rationale": "?"}"#, None),
        ] {
            verdict(&labels, RemoteProtocol::Chat, said(content), expected).await;
        }
    })
    .await;
}

#[tokio::test]
async fn guards_must_decide() {
    let labels = ["benign", "jailbreak"];
    with(async {
        for (content, expected) in [
            (
                "Safety: Unsafe\nCategories: Jailbreak",
                Some(&[0.0, 1.0][..]),
            ),
            ("Safety: Safe\nCategories: None", Some(&[1.0, 0.0])),
            ("Safety: Controversial\nCategories: None", Some(&[0.5, 0.5])),
            ("unsafe", Some(&[0.0, 1.0])),
            (
                r#"{"is_jailbreak": true, "confidence": 0.9}"#,
                Some(&[0.1, 0.9]),
            ),
            (r#"{"is_jailbreak": false}"#, Some(&[1.0, 0.0])),
            ("I cannot say.", None),
            ("", None),
        ] {
            verdict(&labels, RemoteProtocol::Chat, said(content), expected).await;
        }
        verdict(
            &labels,
            RemoteProtocol::Chat,
            json!({"choices": []}).to_string(),
            None,
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn classification_apis_name_labels() {
    let labels = ["benign", "jailbreak"];
    with(async {
        for (reply, expected) in [
            (
                json!({"data": [{"index": 0, "label": "jailbreak", "probs": [0.2, 0.8]}]}),
                Some(&[0.2, 0.8][..]),
            ),
            (
                json!({"data": [{"index": 0, "label": "SAFE", "probs": [0.9, 0.1]}]}),
                Some(&[0.9, 0.1]),
            ),
            (
                json!([[{"label": "INJECTION", "score": 0.75}, {"label": "SAFE", "score": 0.25}]]),
                Some(&[0.25, 0.75]),
            ),
            (json!({"label": "benign", "score": 0.6}), Some(&[0.6, 0.4])),
            (json!({"label": "benign", "score": 1.5}), None),
            (json!({"label": "weather", "score": 0.5}), None),
            (json!({}), None),
        ] {
            verdict(
                &labels,
                RemoteProtocol::Classify,
                reply.to_string(),
                expected,
            )
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_holds_labels_and_text() {
    with(async {
        let service = Service::start(vec![Reaction::Say(200, said("benign"))]).await;
        let remote = remote();
        let by = remote.classifier(&guard(service.endpoint())).unwrap();
        let long = "é".repeat(TEXT_MAX);
        let outcomes = remote
            .ask(&[judged_by(&by, &long), judged_by(&by, " ")], soon())
            .await;
        assert!(outcomes[0].as_ref().unwrap().truncated);
        assert_eq!(
            outcomes[1],
            Ok(Reply {
                answer: Answer::Labels(Vec::new()),
                truncated: false
            })
        );
        let (_, _, body) = service.script.asked.lock().unwrap()[0].clone();
        let system = body["messages"][0]["content"].as_str().unwrap();
        assert!(
            system.starts_with("Judge.") && system.contains(r#"["benign","jailbreak"]"#),
            "{system}"
        );
        assert_eq!(
            body["messages"][1]["content"].as_str().unwrap().len(),
            TEXT_MAX
        );
        assert_eq!(
            (&body["temperature"], &body["max_tokens"]),
            (&json!(0.0), &json!(8))
        );
    })
    .await;
}

#[test]
fn bad_endpoints_are_load_errors() {
    let remote = remote();
    for (url, variable, expected) in [
        ("ftp://host/v1", "", "begins with http"),
        ("host", "", "begins with http"),
        ("http://a b", "", "not a URL"),
        (
            "http://host/v1",
            "MERIT_NO_SUCH_VARIABLE",
            "MERIT_NO_SUCH_VARIABLE, which is not set",
        ),
    ] {
        let endpoint = Endpoint {
            name: "far".into(),
            base_url: url.into(),
            key_variable: variable.into(),
            ..Endpoint::default()
        };
        let error = remote.classifier(&guard(endpoint)).unwrap_err().to_string();
        assert!(
            error.contains("`far`") && error.contains(expected),
            "{error}"
        );
    }
}

//! Against a small server that tells of itself what the test wants.

use super::*;
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// What the server answers with; `None` never answers.
type Told = Arc<Mutex<Option<(StatusCode, String)>>>;

async fn server(told: Told) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let handler = async move || -> Response {
        let answer = told.lock().unwrap().clone();
        match answer {
            Some(answer) => answer.into_response(),
            None => std::future::pending().await,
        }
    };
    let router = Router::new().route("/metrics", get(handler));
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    url
}

fn page(running: u32, first_tokens: u32) -> (StatusCode, String) {
    let text = format!(
        "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{{model_name=\"x\"}} {running}.0\n\
         vllm:num_requests_waiting{{model_name=\"x\"}} 1.0\n\
         vllm:time_to_first_token_seconds_bucket{{le=\"0.1\"}} 0\n\
         vllm:time_to_first_token_seconds_bucket{{le=\"0.2\"}} {first_tokens}\n\
         vllm:time_to_first_token_seconds_bucket{{le=\"+Inf\"}} {first_tokens}\n"
    );
    (StatusCode::OK, text)
}

struct Stage {
    state: Arc<SharedState>,
    scrapes: Arc<Scrapes>,
    scraper: Scraper,
    told: Told,
    targets: Targets,
}

async fn stage() -> Stage {
    let told = Told::default();
    let url = server(Arc::clone(&told)).await;
    let (state, scrapes) = (Arc::<SharedState>::default(), Arc::<Scrapes>::default());
    let scraper = Scraper::new(Arc::clone(&state), Arc::clone(&scrapes));
    let targets = Targets {
        interval: SHORTEST,
        pages: vec![Target {
            model: "a".into(),
            url,
        }],
    };
    Stage {
        state,
        scrapes,
        scraper,
        told,
        targets,
    }
}

#[tokio::test]
async fn figures_are_taken_and_grow_stale() {
    let Stage {
        state,
        scrapes,
        mut scraper,
        told,
        targets,
    } = stage().await;
    let model = state.pool.model("a");
    *told.lock().unwrap() = Some(page(4, 100));
    scraper.round(&targets).await;
    assert_eq!(
        (model.in_flight(), model.ttft_ms(95)),
        (5, None),
        "what was before is no sample"
    );
    *told.lock().unwrap() = Some(page(6, 110));
    scraper.round(&targets).await;
    assert_eq!(model.in_flight(), 7);
    let ttft = model.ttft_ms(95).unwrap();
    assert!((100.0..=200.0).contains(&ttft), "{ttft}");
    assert_eq!(scrapes.read.load(Ordering::Relaxed), 2);
    state.pool.tick(Instant::now());
    assert_eq!(model.in_flight(), 7, "still fresh");
    state.pool.tick(Instant::now() + targets.interval * FRESH);
    assert_eq!((model.in_flight(), model.ttft_ms(95)), (0, None), "stale");
}

#[tokio::test]
async fn pages_of_one_model_are_added_up() {
    let Stage {
        state,
        mut scraper,
        told,
        mut targets,
        ..
    } = stage().await;
    let second = server(Arc::clone(&told)).await;
    targets.pages.push(Target {
        model: "a".into(),
        url: second,
    });
    *told.lock().unwrap() = Some(page(4, 0));
    scraper.round(&targets).await;
    assert_eq!(state.pool.model("a").in_flight(), 10);
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing() {
    let Stage {
        state,
        scrapes,
        mut scraper,
        told,
        mut targets,
    } = stage().await;
    let model = state.pool.model("a");
    *told.lock().unwrap() = Some(page(4, 0));
    scraper.round(&targets).await;
    let huge = "x".repeat(PAGE_MAX + 1);
    let answers = [
        Some((StatusCode::NOT_FOUND, page(9, 9).1)),
        Some((StatusCode::OK, "<html>{{{ garbage = \" \u{0}".to_owned())),
        Some((StatusCode::OK, huge)),
        None,
    ];
    let count = answers.len() as u64;
    for answer in answers {
        *told.lock().unwrap() = answer;
        scraper.round(&targets).await;
        assert_eq!(model.in_flight(), 5);
    }
    targets.pages[0].url = "http://127.0.0.1:1/metrics".to_owned();
    scraper.round(&targets).await;
    targets.pages[0].url = "no url".to_owned();
    scraper.round(&targets).await;
    assert_eq!(scrapes.failed.load(Ordering::Relaxed), count + 2);
    assert_eq!(
        scraper.last.len(),
        1,
        "targets that are gone leave nothing behind"
    );
}

#[tokio::test]
async fn a_reload_changes_the_targets() {
    let Stage {
        state,
        scraper,
        told,
        targets,
        ..
    } = stage().await;
    *told.lock().unwrap() = Some(page(4, 0));
    let (sender, receiver) = watch::channel(Targets::default());
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(scraper.run(receiver, stop.clone()));
    sender.send_replace(targets.clone());
    until(|| state.pool.model("a").in_flight() == 5).await;
    let renamed = Target {
        model: "b".into(),
        ..targets.pages[0].clone()
    };
    sender.send_replace(Targets {
        pages: vec![renamed],
        ..targets
    });
    until(|| state.pool.model("b").in_flight() == 5).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.unwrap();
}

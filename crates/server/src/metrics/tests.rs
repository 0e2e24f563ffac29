//! What a scrape shows.

use super::families::{Fallback, ModelError, Plugin, Selected, Stage};
use super::*;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

fn shows(metrics: &Metrics, lines: &[&str]) {
    let text = metrics.render().unwrap();
    for line in lines {
        assert!(
            text.lines().any(|it| it == *line),
            "no line {line:?} in\n{text}"
        );
    }
}

const SHOWN: &[&str] = &[
    r#"llm_model_requests_total{model="small"} 1"#,
    r#"llm_model_prompt_tokens_total{model="small"} 7"#,
    r#"llm_model_ttft_seconds_count{model="small"} 1"#,
    r#"llm_decision_match_total{decision_name="math"} 1"#,
    r#"llm_decision_confidence_bucket{le="0.5",decision_name="math"} 1"#,
    r#"llm_signal_extraction_total{signal_type="keyword",signal_name="urgent"} 1"#,
    r#"llm_signal_match_total{signal_type="keyword",signal_name="urgent"} 1"#,
    r#"llm_signal_extraction_latency_seconds_count{signal_type="keyword"} 1"#,
    r#"llm_model_selection_total{method="static",model="small",decision="math"} 1"#,
    r#"llm_model_selection_fallback_total{method="knn",reason="no_data"} 1"#,
    r#"llm_plugin_execution_total{plugin_type="system_prompt",decision_name="math",status="success"} 1"#,
    r#"llm_request_errors_total{model="",reason="authz"} 1"#,
    r#"merit_config_reload_total{outcome="swapped"} 1"#,
    "merit_config_generation 3",
    "merit_config_last_reload_successful 1",
    r#"merit_request_overhead_seconds_count{stage="parse"} 1"#,
    r#"merit_fault_total{fault="overloaded"} 1"#,
    r#"merit_degraded_total{signal="pii",reason="shed"} 1"#,
    "merit_exchange_open 5",
    concat!(
        r#"merit_build_info{version=""#,
        env!("CARGO_PKG_VERSION"),
        r#""} 1"#
    ),
    "# TYPE llm_context_token_count histogram",
    "# TYPE llm_model_routing_latency_seconds histogram",
    "# TYPE llm_decision_evaluation_latency_seconds histogram",
];

#[test]
fn names_and_labels() {
    let metrics = Metrics::new();
    let names = Names {
        models: &["small"],
        decisions: &["math"],
        signals: &[("keyword", "urgent")],
        ..Names::default()
    };
    let handles = metrics.handles(&names);
    let (small, math) = (Arc::from("small"), Arc::from("math"));
    let model = &handles.models[&small];
    model.requests.inc();
    model.prompt_tokens.inc_by(7);
    model.ttft.observe(0.3);
    handles.decisions[0].matches.inc();
    handles.decisions[0].confidence.observe(0.5);
    handles.signals[0].extractions.inc();
    handles.signals[0].matches.inc();
    handles.families["keyword"].latency.observe(2e-5);
    let (method, model, decision) = ("static", Arc::clone(&small), Arc::clone(&math));
    metrics
        .selection
        .selections
        .get_or_create(&Selected {
            method,
            model,
            decision,
        })
        .inc();
    let fallback = Fallback {
        method: "knn",
        reason: "no_data",
    };
    metrics.selection.fallbacks.get_or_create(&fallback).inc();
    let plugin = Plugin {
        plugin_type: "system_prompt",
        decision_name: math,
        status: "success",
    };
    metrics.plugins.executions.get_or_create(&plugin).inc();
    let error = ModelError {
        model: Arc::from(""),
        reason: "authz",
    };
    metrics.models.errors.get_or_create(&error).inc();
    metrics.process.reloaded("swapped", 3);
    metrics
        .process
        .overhead
        .get_or_create(&Stage { stage: "parse" })
        .observe(1e-5);
    metrics.process.faulted("overloaded");
    metrics.signals.degrade("pii", "shed");
    metrics.observe(
        "merit_exchange_open",
        "Open exchanges",
        super::Observed::Gauge,
        || 5,
    );
    shows(&metrics, SHOWN);
}

#[test]
fn the_encoder_is_read_on_demand() {
    use inference::engine::{BOUNDS, Statistics};
    let metrics = Metrics::new();
    shows(
        &metrics,
        &[
            "merit_encoder_windows_total 0",
            "merit_encoder_run_seconds_count 0",
        ],
    );
    let mut run_times = vec![0; BOUNDS.len() + 1];
    (run_times[0], run_times[3]) = (2, 1);
    let run_time = std::time::Duration::from_millis(6);
    let now = Statistics {
        runs: 3,
        shed: 2,
        cache_hits: 7,
        queued: 4,
        run_time,
        run_times,
        ..Statistics::default()
    };
    metrics.observe_encoder(move || Some(now.clone()));
    let shown = [
        "merit_encoder_windows_total 3",
        "merit_encoder_shed_total 2",
        "merit_encoder_cache_hits_total 7",
        "merit_encoder_queue_depth 4",
        "merit_encoder_run_seconds_sum 0.006",
        "merit_encoder_run_seconds_count 3",
        r#"merit_encoder_run_seconds_bucket{le="0.001"} 2"#,
        r#"merit_encoder_run_seconds_bucket{le="0.005"} 3"#,
        r#"merit_encoder_run_seconds_bucket{le="+Inf"} 3"#,
    ];
    shows(&metrics, &shown);
}

#[test]
fn two_generations_count_in_the_same_series() {
    let metrics = Metrics::new();
    let names = Names {
        models: &["small"],
        ..Names::default()
    };
    let (old, new) = (metrics.handles(&names), metrics.handles(&names));
    old.models["small"].requests.inc();
    new.models["small"].requests.inc();
    shows(&metrics, &[r#"llm_model_requests_total{model="small"} 2"#]);
}

#[test]
fn series_of_past_documents_are_bounded() {
    let metrics = Metrics::new();
    for reload in 0..30 {
        let names: Vec<_> = (0..1_000)
            .map(|model| format!("{reload}-{model}"))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        drop(metrics.handles(&Names {
            models: &names,
            ..Names::default()
        }));
    }
    let series = metrics
        .render()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("llm_model_requests_total"))
        .count();
    assert!((1_000..=10_000).contains(&series), "{series}");
}

#[tokio::test]
async fn is_served_as_open_metrics() {
    let (_state, watch) = tokio::sync::watch::channel(State::Ready);
    let router = router(Arc::new(Metrics::new()), watch);
    for (path, status) in [("/metrics", 200), ("/", 404)] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        if status == 200 {
            assert_eq!(response.headers()[CONTENT_TYPE], OPEN_METRICS);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(body.ends_with(b"# EOF\n"));
        }
    }
}

#[test]
fn pools_are_shown_by_model() {
    let metrics = Metrics::new();
    assert!(!metrics.render().unwrap().contains("merit_pool_in_flight{"));
    let pool = selection::pool::Pool::default();
    pool.report(
        "a",
        &selection::pool::Report {
            ttft_ms: vec![250.0],
            ..Default::default()
        },
        std::time::Instant::now(),
    );
    metrics.observe_pool(move || pool.readings(std::time::Instant::now()));
    let text = metrics.render().unwrap();
    for line in [
        "merit_pool_in_flight{model=\"a\"} 0",
        "merit_pool_resting{model=\"a\"} 0",
        "merit_pool_ttft_seconds{model=\"a\"} 0.25",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(
        !text.contains("merit_pool_tpot_seconds{"),
        "what is not known is not shown"
    );
}

/// What a kubelet asks where it cannot ask by gRPC.
#[tokio::test]
async fn health_and_readiness_are_served_beside_it() {
    let (state, watch) = tokio::sync::watch::channel(State::Starting);
    let router = router(Arc::new(Metrics::new()), watch);
    for (now, ready) in [
        (State::Starting, 503),
        (State::Ready, 200),
        (State::Draining, 503),
    ] {
        state.send_replace(now);
        for (path, status) in [("/health", 200), ("/ready", ready)] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{path} {now:?}");
        }
    }
}

/// Twenty times the rules, decisions and models that a large policy has.
#[test]
fn a_scrape_is_bounded_whatever_the_document_holds() {
    let metrics = Metrics::new();
    let names: Vec<String> = (0..20_000)
        .map(|number| format!("a-name-of-some-length-{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let signals: Vec<_> = names.iter().map(|name| ("keyword", *name)).collect();
    let handles = metrics.handles(&Names {
        models: &names,
        decisions: &names,
        signals: &signals,
        boundaries: &names,
    });
    handles.decisions[7].matches.inc();
    handles.decisions[19_998].matches.inc();
    handles.decisions[19_999].matches.inc();
    for name in &names {
        metrics.boundaries.applied(&Arc::from(*name));
    }
    let text = metrics.render().unwrap();
    shows(
        &metrics,
        &[
            r#"llm_decision_match_total{decision_name="a-name-of-some-length-7"} 1"#,
            r#"llm_decision_match_total{decision_name="other"} 2"#,
            r#"merit_boundary_applied_total{boundary="other"} 19000"#,
        ],
    );
    assert!(text.len() < 1 << 20, "{} bytes", text.len());

    // A document that comes later has its own names.
    let handles = metrics.handles(&Names {
        decisions: &["later"],
        ..Names::default()
    });
    handles.decisions[0].matches.inc();
    shows(
        &metrics,
        &[r#"llm_decision_match_total{decision_name="later"} 1"#],
    );
}

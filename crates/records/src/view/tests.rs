//! Tests of the replay API.

use super::*;
use crate::capture::{Capture, CaptureSettings};
use crate::ledger::Measure;
use crate::record::{
    Cost, Decision, DecisionRecord, Lifecycle, Moment, OutcomeReport, Signal, SignalName,
    SignalState, StepSource, Tokens, ToolStep, ToolStepType,
};
use crate::store::Change;
use crate::store::contract::sample;
use crate::store::memory::Memory;

fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = query.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

async fn ask(store: &Memory, path: &str, query: &[(&str, &str)], detail: Detail) -> (u16, Value) {
    let route = route(path).unwrap();
    let answer = answer(store, &route, &pairs(query), detail).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

async fn keep(store: &Memory, record: &DecisionRecord) {
    let put = Change::Put(Box::new(record.clone()));
    store.write(&[put]).await.unwrap();
}

async fn many(count: u32) -> Memory {
    let store = Memory::default();
    for number in 0..count {
        keep(&store, &sample(number)).await;
    }
    store
}

#[test]
fn paths_in_both_spellings() {
    let record = |id: &str| Some(Route::Record(id.to_owned()));
    for (path, expected) in [
        ("/v1/router_replay", Some(Route::List)),
        ("/v1/router_replay/", Some(Route::List)),
        ("/v1/router_replay/abc", record("abc")),
        ("/v1/router_replay/abc/d", None),
        ("/v1/router_replays", None),
        ("/v1/router_replay/aggregate", Some(Route::Aggregate)),
        ("/v1/router_replay/trajectory", Some(Route::Trajectory)),
        ("/api/v1/observability/replays", Some(Route::List)),
        ("/api/v1/observability/replays/abc", record("abc")),
        (
            "/api/v1/observability/replays/aggregate",
            Some(Route::Aggregate),
        ),
        ("/api/v1/observability/trajectory", Some(Route::Trajectory)),
        ("/api/v1/observability/ledger", Some(Route::Ledger)),
        ("/v1/models", None),
    ] {
        assert_eq!(route(path), expected, "{path}");
    }
}

#[tokio::test]
async fn pages_are_cut_as_asked() {
    let store = many(45).await;
    let list = "/v1/router_replay";
    let (status, page) = ask(
        &store,
        list,
        &[("limit", "20"), ("offset", "40")],
        Detail::Full,
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!((&page["count"], &page["total"]), (&json!(5), &json!(45)));
    assert_eq!(
        (&page["has_more"], page.get("next_offset")),
        (&json!(false), None)
    );
    let (_, page) = ask(&store, list, &[], Detail::Full).await;
    assert_eq!(
        (&page["limit"], &page["next_offset"]),
        (&json!(20), &json!(20))
    );
    for (query, expected) in [
        (("limit", "500"), 200),
        (("limit", "0"), 400),
        (("limit", "x"), 400),
        (("offset", "-1"), 400),
        (("offset", "1000"), 200),
        (("cache_status", "hit"), 400),
        (("cache_status", "cached"), 200),
        (("showDetails", "True"), 200),
        (("showDetails", "yes"), 400),
        (("unknown", "x"), 200),
    ] {
        let (status, page) = ask(&store, list, &[query], Detail::Full).await;
        assert_eq!(status, expected, "{query:?} {page}");
        if query == ("limit", "500") {
            assert_eq!(page["limit"], 100);
        }
        if status == 400 {
            assert_eq!(page["error"]["type"], "invalid_request_error");
        }
    }
    let (status, _) = ask(&store, "/v1/router_replay/trajectory", &[], Detail::Full).await;
    assert_eq!(status, 400);
    let (status, body) = ask(&store, "/v1/router_replay/nothing", &[], Detail::Full).await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (404, &json!("replay record not found"))
    );
}

#[test]
fn an_answer_has_a_bound() {
    let text = "x".repeat(ANSWER_MAX);
    assert_eq!(Answer::ok(&json!(text)).status, 413);
}

fn costing(lifecycle: Lifecycle, nanos: i64, baseline: i64) -> DecisionRecord {
    let mut record = DecisionRecord {
        selected_model: "m".to_owned(),
        tokens: Some(Tokens {
            input: 10,
            output: 5,
            ..Tokens::default()
        }),
        cost: Some(Cost {
            currency: "USD".to_owned(),
            nanos,
            prompt_nanos: nanos,
            baseline_nanos: Some(baseline),
            ..Cost::default()
        }),
        ..DecisionRecord::begin(Moment::now())
    };
    record.end(lifecycle, "", Moment::now());
    record
}

#[tokio::test]
async fn spend_is_of_completed_records() {
    let store = Memory::default();
    keep(
        &store,
        &costing(Lifecycle::Completed, 20_000_000, 50_000_000),
    )
    .await;
    keep(&store, &costing(Lifecycle::Aborted, 10_000_000, 30_000_000)).await;
    let (_, found) = ask(&store, "/v1/router_replay/aggregate", &[], Detail::Full).await;
    let summary = json!({"total_saved": 0.03, "baseline_spend": 0.05, "actual_spend": 0.02,
        "currency": "USD", "cost_record_count": 1, "excluded_record_count": 1});
    assert_eq!(found["summary"], summary);
    assert_eq!(found["lifecycle"]["aborted"], 1);
    assert_eq!(found["token_volume"]["total_tokens"], 30);
    assert_eq!(found["model_selection"], json!([{"name": "m", "value": 2}]));
    assert_eq!(
        found["decision_distribution"],
        json!([{"name": "Unknown", "value": 2}])
    );
    assert_eq!(
        found["token_breakdown"]["by_decision"][0]["input_tokens"],
        20
    );
}

#[tokio::test]
async fn a_ledger_in_integers() {
    let store = many(45).await;
    let path = "/api/v1/observability/ledger";
    let (status, found) = ask(&store, path, &[("by", "model")], Detail::Full).await;
    assert_eq!(status, 200);
    let sum = |rows: &Value| -> i128 {
        let rows = rows.as_array().unwrap().iter();
        let texts = rows.map(|row| row["sums"]["cost_nanos"].as_str().unwrap());
        texts.map(|text| text.parse::<i128>().unwrap()).sum()
    };
    let expected: i128 = (0..45).map(|number| number * 8 + 3).sum();
    assert_eq!(
        (sum(&found["rows"]), sum(&found["totals"])),
        (expected, expected)
    );
    assert_eq!(found["totals"].as_array().unwrap().len(), 2);
    assert!(found["rows"][0]["sums"][Measure::Requests.name()].is_string());
    for query in [("by", "month"), ("from", "yesterday")] {
        let (status, _) = ask(&store, path, &[query], Detail::Full).await;
        assert_eq!(status, 400, "{query:?}");
    }
    let (_, none) = ask(
        &store,
        path,
        &[("to", "2001-01-01T00:00:00Z")],
        Detail::Full,
    )
    .await;
    assert_eq!(none["rows"], json!([]));
}

/// A record with text everywhere.
async fn telling(store: &Memory) -> DecisionRecord {
    let signal = Signal {
        signal: Some(SignalName {
            r#type: "keyword".to_owned(),
            name: "k".to_owned(),
        }),
        state: SignalState::Matched.into(),
        confidence: Some(0.5),
        value: None,
    };
    let mut record = DecisionRecord {
        decision: Some(Decision {
            name: "d".to_owned(),
            ..Decision::default()
        }),
        session_id: "s".to_owned(),
        signals: vec![signal],
        diagnostics_json: r#"{"decision_reason": "SECRET", "session_action": "stay"}"#.to_owned(),
        learning_json: r#"{"adaptation": {"reason": "SECRET", "mode": "m"}}"#.to_owned(),
        projection_trace_json: r#"{"schema_version": "1"}"#.to_owned(),
        ..DecisionRecord::begin(Moment::now())
    };
    record.end(Lifecycle::Completed, "response_complete", Moment::now());
    keep(store, &record).await;
    let settings = CaptureSettings {
        request: true,
        response: true,
        ..CaptureSettings::default()
    };
    let mut capture = Capture::new(&record, settings);
    capture.request_body(b"SECRET");
    capture.response_body(b"SECRET");
    capture.prompt("SECRET");
    capture.tool_definitions("SECRET");
    for (kind, source) in [
        (ToolStepType::UserInput, StepSource::Request),
        (ToolStepType::AssistantToolCall, StepSource::Request),
        (ToolStepType::ClientToolResult, StepSource::Request),
        (ToolStepType::AssistantFinalResponse, StepSource::Response),
    ] {
        let is_call = kind == ToolStepType::AssistantToolCall;
        let text = |is_used: bool| {
            if is_used {
                "SECRET".to_owned()
            } else {
                String::new()
            }
        };
        capture.step(ToolStep {
            r#type: kind.into(),
            source: source.into(),
            tool_name: if is_call { "f" } else { "" }.to_owned(),
            text: text(!is_call),
            raw_arguments: text(is_call),
            output: text(kind == ToolStepType::ClientToolResult),
            ..ToolStep::default()
        });
    }
    let captured = Change::Capture(Box::new(capture.finish().unwrap()));
    store.write(&[captured]).await.unwrap();
    let outcome = OutcomeReport {
        target: "model".to_owned(),
        target_ref: "SECRET".to_owned(),
        reason: "SECRET".to_owned(),
        ..OutcomeReport::default()
    };
    store.add_outcome(&record.id, outcome).await.unwrap();
    record
}

#[tokio::test]
async fn nothing_that_was_said_is_shown_without_the_right() {
    let store = Memory::default();
    let id = telling(&store).await.id;
    let one = format!("/v1/router_replay/{id}");
    let conversation = "/v1/router_replay/trajectory";
    for (path, query) in [
        (one.as_str(), vec![]),
        ("/v1/router_replay", vec![("showDetails", "1")]),
        (conversation, vec![("session_id", "s")]),
    ] {
        let (status, full) = ask(&store, path, &query, Detail::Full).await;
        assert_eq!(status, 200);
        assert!(full.to_string().contains("SECRET"), "{full}");
        let (status, redacted) = ask(&store, path, &query, Detail::Redacted).await;
        assert_eq!(status, 200);
        let text = redacted.to_string();
        assert!(
            !text.contains("SECRET") && text.contains("content_redacted"),
            "{text}"
        );
    }
    let (_, record) = ask(&store, &one, &[], Detail::Redacted).await;
    assert_eq!(record["signals"]["keyword"], json!(["k"]));
    assert_eq!(record["signals"]["pii"], json!([]));
    assert_eq!(record["route_diagnostics"]["session_action"], "stay");
    assert_eq!(record["tool_trace"]["steps"][2]["status"], "succeeded");
    assert_eq!(record["lifecycle_state"], "completed");
}

#[tokio::test]
async fn a_list_is_short_unless_details_are_asked_for() {
    let store = Memory::default();
    telling(&store).await;
    let (_, page) = ask(&store, "/v1/router_replay", &[], Detail::Full).await;
    let record = &page["data"][0];
    for name in [
        "request_body",
        "response_body",
        "prompt",
        "tool_definitions",
        "projection_trace",
    ] {
        assert_eq!(record.get(name), None, "{name}");
    }
    let trace = json!({"flow": "User Query -> LLM Tool Call -> Client Tool Result -> LLM Final Response",
        "stage": "LLM Final Response", "tool_names": ["f"]});
    assert_eq!(record["tool_trace"], trace);
}

#[tokio::test]
async fn a_session_is_one_conversation() {
    let store = Memory::default();
    telling(&store).await;
    // The second request repeats the first.
    telling(&store).await;
    let query = [("session_id", "s")];
    let (_, found) = ask(&store, "/v1/router_replay/trajectory", &query, Detail::Full).await;
    assert_eq!(found["record_count"], 2);
    let messages = found["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant"]);
    assert_eq!(messages[1]["tool_calls"][0]["function"]["name"], "f");
}

//! `merit records export`: records of a running Merit as JSON lines, oldest first.
//!
//! ```text
//! merit records export > records.jsonl
//! merit train selection --data records.jsonl --out artifact.json
//! merit train own --data records.jsonl --out head
//! ```
//!
//! A line is a record as the replay API shows it. Where its prompt was captured it also has what
//! the trainers read: `text` with `label` (the decision), and `models` with what outcomes say of
//! the model that answered. Records of the same prompt share what is known of their models.

use crate::cli::ExportArgs;
use crate::output;
use anyhow::{Context as _, bail};
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::process::ExitCode;

/// Records of a page, the most that the API gives.
const PAGE: usize = 100;
/// The longest page that is read, bytes.
const PAGE_MAX: usize = 8 << 20;

type Http = legacy::Client<HttpConnector, Empty<bytes::Bytes>>;

/// Writes the records.
///
/// # Errors
/// Merit does not answer, or not with records.
pub fn run(arguments: &ExportArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let records = runtime.block_on(records(arguments))?;
    let lines = lines(records, arguments.captured);
    output::text(&lines)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads all pages; returns the records oldest first.
async fn records(arguments: &ExportArgs) -> anyhow::Result<Vec<Value>> {
    let token = match &arguments.admin_token_file {
        None => None,
        Some(file) => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?,
        ),
    };
    let http: Http = legacy::Client::builder(TokioExecutor::new()).build_http();
    let mut records: Vec<Value> = Vec::new();
    let mut limit = PAGE;
    loop {
        let path = format!(
            "/v1/router_replay?showDetails=true&limit={limit}&offset={}",
            records.len()
        );
        let page = match page(&http, arguments, &path, token.as_deref()).await? {
            Some(page) => page,
            // A page of large records: fewer at a time.
            None if limit > 1 => {
                limit = (limit / 4).max(1);
                continue;
            }
            None => bail!("a record is too large for the API"),
        };
        let found = page.get("data").and_then(Value::as_array);
        records.extend(found.into_iter().flatten().cloned());
        if page.get("has_more") != Some(&Value::Bool(true)) {
            records.reverse();
            return Ok(records);
        }
    }
}

/// Reads one page; `None` if it is too large.
async fn page(
    http: &Http,
    arguments: &ExportArgs,
    path: &str,
    token: Option<&str>,
) -> anyhow::Result<Option<Value>> {
    let mut request = Request::builder().uri(format!("http://{}{path}", arguments.admin));
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
    }
    let response = http
        .request(request.body(Empty::new())?)
        .await
        .with_context(|| format!("{} does not answer", arguments.admin))?;
    let status = response.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Ok(None);
    }
    let body = Limited::new(response.into_body(), PAGE_MAX).collect().await;
    let body = body
        .map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?
        .to_bytes();
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status != StatusCode::OK {
        let message = value.pointer("/error/message").and_then(Value::as_str);
        bail!(
            "{} answers {status}: {}",
            arguments.admin,
            message.unwrap_or_default()
        );
    }
    Ok(Some(value))
}

/// Returns one line a record; with `captured`, only of those that a trainer can read.
fn lines(records: Vec<Value>, captured: bool) -> String {
    let mut known: HashMap<String, Map<String, Value>> = HashMap::new();
    for record in &records {
        if let (Some(prompt), Some((model, worth))) = (prompt(record), worth(record)) {
            known
                .entry(prompt.to_owned())
                .or_default()
                .insert(model, worth);
        }
    }
    let mut lines = String::new();
    for mut record in records {
        let prompt = prompt(&record).map(str::to_owned);
        if prompt.is_none() && captured {
            continue;
        }
        if let (Some(prompt), Some(object)) = (prompt, record.as_object_mut()) {
            if let Some(models) = known.get(&prompt) {
                object.insert("models".to_owned(), models.clone().into());
            }
            if let Some(label) = object.get("decision").cloned() {
                object.insert("label".to_owned(), label);
            }
            object.insert("text".to_owned(), prompt.into());
        }
        lines.push_str(&record.to_string());
        lines.push('\n');
    }
    lines
}

fn prompt(record: &Value) -> Option<&str> {
    record.get("prompt")?.as_str()
}

/// Returns the model that answered, with what outcomes say of its answer and what that cost.
fn worth(record: &Value) -> Option<(String, Value)> {
    let model = record.get("selected_model")?.as_str()?;
    let outcomes = record.get("outcomes")?.as_array()?;
    let scores: Vec<f64> = outcomes.iter().filter_map(score).collect();
    if scores.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few outcomes")]
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let mut worth = json!({"score": mean});
    if let Some(cost) = record.get("actual_cost").filter(|cost| cost.is_number()) {
        worth["cost"] = cost.clone();
    }
    Some((model.to_owned(), worth))
}

/// Returns what an outcome says of the answer, 0 to 1. That a smaller model would have done says
/// that this one did.
fn score(outcome: &Value) -> Option<f64> {
    if let Some(score) = outcome.get("score").and_then(Value::as_f64) {
        return Some(score.clamp(0.0, 1.0));
    }
    match outcome.get("verdict")?.as_str()? {
        "good_fit" | "overprovisioned" => Some(1.0),
        "underpowered" | "failed" => Some(0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_lines_that_trainers_read() {
        let record = |prompt: Option<&str>, model: &str, verdict: &str| {
            let mut record = json!({"selected_model": model, "decision": "d", "actual_cost": 0.5,
                "outcomes": [{"verdict": verdict}]});
            if let Some(prompt) = prompt {
                record["prompt"] = prompt.into();
            }
            record
        };
        let records = vec![
            record(Some("a"), "small", "underpowered"),
            record(Some("a"), "large", "good_fit"),
            record(None, "small", "failed"),
        ];
        let all = lines(records.clone(), false);
        assert_eq!(all.lines().count(), 3);
        let some = lines(records, true);
        let first: Value = serde_json::from_str(some.lines().next().unwrap()).unwrap();
        assert_eq!(some.lines().count(), 2);
        assert_eq!(
            (&first["text"], &first["label"]),
            (&"a".into(), &"d".into())
        );
        assert_eq!(
            first["models"],
            json!({"small": {"score": 0.0, "cost": 0.5}, "large": {"score": 1.0, "cost": 0.5}})
        );
    }

    #[test]
    fn a_score_wins_over_a_verdict() {
        for (outcome, expected) in [
            (json!({"verdict": "good_fit"}), Some(1.0)),
            (json!({"verdict": "failed", "score": 0.25}), Some(0.25)),
            (json!({"verdict": "overprovisioned"}), Some(1.0)),
            (json!({"verdict": "other"}), None),
        ] {
            assert_eq!(score(&outcome), expected, "{outcome}");
        }
    }
}

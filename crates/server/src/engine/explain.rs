//! `merit explain`: one request through a document, for people: where it would go, and every rule
//! on the way.

mod endpoint;

use super::EVALUATION;
use super::evaluator::{Evaluator, identity};
use crate::cli::LogFormat;
use crate::explain::Query;
use crate::models::Open;
use document::Problem;
use router::generation::Generation;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Where one request would go, and why: as lines, or as the answer of an evaluation.
///
/// # Errors
/// What is wrong with the document or the request.
pub fn explain(
    document: &str,
    query: &Query,
    format: LogFormat,
    assets: Option<&Path>,
    models: Arc<dyn Open>,
) -> Result<String, Vec<Problem>> {
    let evaluator = Evaluator::open(document, assets, Some(models))?;
    let generation = &evaluator.generation;
    if let Some(path) = &query.path {
        let deadline = Instant::now() + EVALUATION;
        let lines = endpoint::explain(generation, path, query, evaluator.asker(), deadline)?;
        let value = || json!({"path": path, "lines": lines.lines().collect::<Vec<_>>()});
        return Ok(written(format, || lines.clone(), value));
    }
    let request = evaluator
        .request(&query.body)
        .map_err(|error| vec![Problem::error("", error.to_string())])?;
    let bounded = generation
        .recipes
        .first()
        .is_some_and(|recipe| !recipe.boundaries.is_empty());
    let asked = request.requested_model.as_str();
    if let Some(upstream) = concrete(generation, asked).filter(|_| !bounded) {
        let line = || {
            format!(
                "model     {asked} (the client names it: no signals, no decisions; sent as {upstream})\n"
            )
        };
        let value = || {
            json!({
                "requested_model": asked,
                "selected_model": asked,
                "selection_status": "selected",
                "selection_reason": "the client names the model",
                "upstream_model": upstream,
            })
        };
        return Ok(written(format, line, value));
    }
    let identity = identity(&query.headers, &generation.settings);
    let answer = evaluator
        .evaluate(&request, identity.as_ref())
        .map_err(|error| vec![Problem::error("", error.to_string())])?;
    Ok(written(format, || render(&answer), || answer.clone()))
}

fn written(
    format: LogFormat,
    text: impl FnOnce() -> String,
    value: impl FnOnce() -> Value,
) -> String {
    match format {
        LogFormat::Text => text(),
        LogFormat::Json => format!("{:#}", value()),
    }
}

/// Returns the upstream name of the user's explicit choice: nothing is evaluated for it.
fn concrete<'a>(generation: &'a Generation, asked: &str) -> Option<&'a str> {
    let model = generation.targets.models().get(asked)?;
    Some(&model.upstream_id)
}

/// Plain lines: the outcome first, then matches, numbers and the trees.
fn render(answer: &Value) -> String {
    let mut text = String::new();
    let shown = |pointer: &str| {
        answer
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    line(&mut text, 0, &format!("recipe    {}", shown("/recipe")));
    line(
        &mut text,
        0,
        &format!("decision  {}", shown("/decision_result/decision_name")),
    );
    let (model, status) = (shown("/selected_model"), shown("/selection_status"));
    line(
        &mut text,
        0,
        &format!(
            "model     {model} ({status}; {})",
            shown("/selection_reason")
        ),
    );
    eligibility(&mut text, answer);
    if let Some(session) = answer["session"].as_str() {
        line(&mut text, 0, &format!("session   {session}"));
    }
    line(&mut text, 0, "matched");
    for (family, names) in answer["decision_result"]["matched_signals"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let names: Vec<&str> = names
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        line(&mut text, 1, &format!("{family}: {}", names.join(", ")));
    }
    for (title, key) in [
        ("confidences", "signal_confidences"),
        ("values", "signal_values"),
    ] {
        if let Some(numbers) = answer[key].as_object() {
            line(&mut text, 0, title);
            numbers
                .iter()
                .for_each(|(name, number)| line(&mut text, 1, &format!("{name} = {number}")));
        }
    }
    line(&mut text, 0, "decisions");
    for decision in answer["eval_trace"].as_array().into_iter().flatten() {
        let name = decision["decision_name"].as_str().unwrap_or_default();
        line(
            &mut text,
            1,
            &format!(
                "{} {name} (confidence {})",
                mark(decision),
                decision["confidence"]
            ),
        );
        tree(&mut text, &decision["root_trace"], 2);
    }
    text
}

/// Which models may get the request, and why the others may not.
fn eligibility(text: &mut String, answer: &Value) {
    if let Some(refused) = answer.get("refused") {
        let said = |key: &str| refused[key].as_str().unwrap_or_default().to_owned();
        line(
            text,
            0,
            &format!(
                "refused   {} by {} ({})",
                refused["status"],
                said("by"),
                said("message")
            ),
        );
    }
    let lists = [
        ("boundaries", "name", "holds"),
        ("candidates", "model", "eligible"),
    ];
    for (title, name, sign) in lists {
        let Some(lines) = answer[title].as_array() else {
            continue;
        };
        line(text, 0, title);
        for entry in lines {
            let sign = if entry[sign] == Value::Bool(true) {
                "+"
            } else {
                "-"
            };
            let by = entry["dropped_by"]
                .as_str()
                .map_or_else(String::new, |by| format!(" ({by})"));
            let score = entry["score"]
                .as_f64()
                .map_or_else(String::new, |score| format!(" scores {score:.3}"));
            line(
                text,
                1,
                &format!(
                    "{sign} {}{by}{score}",
                    entry[name].as_str().unwrap_or_default()
                ),
            );
            if let Some(forecast) = entry["forecast"].as_str() {
                line(text, 2, forecast);
            }
        }
    }
}

fn tree(text: &mut String, node: &Value, depth: usize) {
    let kind = node["node_type"].as_str().unwrap_or_default();
    let what = match (node["signal_type"].as_str(), node["signal_name"].as_str()) {
        (Some(kind), Some(name)) => format!("{kind}:{name}"),
        _ => kind.to_owned(),
    };
    line(text, depth, &format!("{} {what}", mark(node)));
    for child in node["children"].as_array().into_iter().flatten() {
        tree(text, child, depth + 1);
    }
}

fn mark(node: &Value) -> &'static str {
    if node["matched"] == Value::Bool(true) {
        "+"
    } else {
        "-"
    }
}

fn line(text: &mut String, depth: usize, content: &str) {
    // Writing to a string does not fail.
    if writeln!(text, "{:indent$}{content}", "", indent = depth * 2).is_err() {
        text.push('\n');
    }
}

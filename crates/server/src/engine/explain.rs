//! `merit explain`: one request through a document, for people: where it would go, and every rule
//! on the way.

mod endpoint;

use super::{EVALUATION, Shared, build, inference, language, variable};
use crate::explain::Query;
use crate::models::Open;
use dialects::EvalRequest;
use document::Problem;
use futures_executor::block_on;
use router::config::{self};
use router::evaluation::eval;
use router::generation::{Generation, Settings};
use serde_json::Value;
use signals::families::Identity;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Where one request would go, and why.
///
/// # Errors
/// What is wrong with the document or the request.
pub fn explain(
    document: &str,
    query: &Query,
    assets: Option<&Path>,
    models: Arc<dyn Open>,
) -> Result<String, Vec<Problem>> {
    let checked = config::check(document, &variable);
    let language = language(assets).map_err(|problem| vec![problem])?;
    let shared = Shared::new(language, models, inference(&checked));
    let (generation, found) = build(checked, &shared);
    let generation = generation.ok_or(found)?;
    if let Some(path) = &query.path {
        let deadline = Instant::now() + EVALUATION;
        return endpoint::explain(&generation, path, query, &*shared.models, deadline);
    }
    let body = Value::Object(query.body.clone()).to_string();
    let request = EvalRequest::parse(body.as_bytes(), true, &generation.settings.reading)
        .map_err(|error| vec![Problem::error("", error.to_string())])?;
    let bounded = generation
        .recipes
        .first()
        .is_some_and(|recipe| !recipe.boundaries.is_empty());
    if let Some(model) = concrete(&generation, &request.requested_model).filter(|_| !bounded) {
        return Ok(model);
    }
    let identity = identity(query, &generation.settings);
    let deadline = Instant::now() + EVALUATION;
    let eval = eval(
        &generation,
        &request,
        identity.as_ref(),
        &*shared.models,
        deadline,
    );
    let answer = block_on(eval).map_err(|error| vec![Problem::error("", error.to_string())])?;
    Ok(render(&answer))
}

/// The user's explicit choice: nothing is evaluated for it.
fn concrete(generation: &Generation, asked: &str) -> Option<String> {
    let model = generation.targets.models().get(asked)?;
    Some(format!(
        "model     {asked} (the client names it: no signals, no decisions; sent as {})\n",
        model.upstream_id
    ))
}

/// Returns the caller that a header names: explaining a policy for any identity is allowed.
fn identity(query: &Query, settings: &Settings) -> Option<Identity> {
    let header = |name: &str| {
        query
            .headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    let user = header(&settings.user_header)?.trim().to_owned();
    let groups = header(&settings.groups_header)
        .unwrap_or_default()
        .split(',');
    let groups = groups
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect();
    Some(Identity { user, groups })
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

//! One record as the API shows it. What is zero or empty is left out, unless clients rely on it.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::Detail;
use super::guards;
use super::redaction::{tool_status, without_reasons};
use crate::record::{
    Captured, Cost, DecisionRecord, Lifecycle, OutcomeReport, Signal, SignalName, SignalState,
    StepSource, Text, Tokens, ToolStep, ToolStepType, ToolTrace,
};
use crate::store::Kept;

/// Families that every record lists, in the reference's order.
pub(super) const FAMILIES: [&str; 20] = [
    "keyword",
    "embedding",
    "domain",
    "fact_check",
    "user_feedback",
    "reask",
    "preference",
    "language",
    "context",
    "structure",
    "complexity",
    "modality",
    "authz",
    "jailbreak",
    "pii",
    "kb",
    "conversation",
    "event",
    "metadata",
    "classifier",
];

/// How a record is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What the caller may see.
    pub detail: Detail,
    /// As in a list: without bodies, prompts and traces.
    pub is_reduced: bool,
}

impl Shape {
    /// Everything that the caller may see.
    #[must_use]
    pub fn whole(detail: Detail) -> Self {
        Self {
            detail,
            is_reduced: false,
        }
    }

    pub(super) fn is_redacted(self) -> bool {
        self.detail == Detail::Redacted
    }
}

/// An object that leaves out what is zero or empty.
#[derive(Debug, Default)]
pub(super) struct Object(pub(super) Map<String, Value>);

impl Object {
    /// Adds a member unless it is zero or empty.
    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if !is_empty(&value) {
            self.keep(name, value);
        }
    }

    /// Adds a member.
    pub(super) fn keep(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(super) fn finish(self) -> Value {
        self.0.into()
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(it) => !it,
        Value::Number(it) => it.as_f64() == Some(0.0),
        Value::String(it) => it.is_empty(),
        Value::Array(it) => it.is_empty(),
        Value::Object(it) => it.is_empty(),
    }
}

/// Returns a record as the API shows it.
#[must_use]
pub fn record(kept: &Kept, shape: Shape) -> Value {
    let record = &kept.record;
    let mut object = Object::default();
    identity(&mut object, record);
    route(&mut object, record);
    signals(&mut object, record, shape);
    diagnostics(&mut object, record, shape);
    let outcomes: Vec<Value> = record
        .outcomes
        .iter()
        .map(|it| outcome(it, shape))
        .collect();
    object.put("outcomes", outcomes);
    if let Some(captured) = &kept.captured {
        payload(&mut object, captured, shape);
    }
    result(&mut object, record);
    guards::put(&mut object, kept, shape);
    if let Some(tokens) = &record.tokens {
        usage(&mut object, tokens);
    }
    if let Some(cost) = &record.cost {
        money(&mut object, cost);
    }
    merits_own(&mut object, record);
    object.finish()
}

fn identity(object: &mut Object, record: &DecisionRecord) {
    object.keep("id", record.id.as_str());
    object.keep("timestamp", record.moment().to_string());
    object.put("request_id", record.request_id.as_str());
    object.put("session_id", record.session_id.as_str());
    object.keep("turn_index", record.turn_index);
    object.put("previous_response_id", record.previous_response_id.as_str());
    object.put("conversation_id", record.conversation_id.as_str());
}

fn route(object: &mut Object, record: &DecisionRecord) {
    let decision = record.decision.clone().unwrap_or_default();
    object.put("recipe", record.recipe.as_str());
    object.put("decision", decision.name);
    object.keep("decision_tier", decision.tier);
    object.keep("decision_priority", decision.priority);
    object.put("category", record.category.as_str());
    object.put("original_model", record.requested_model.as_str());
    object.put("selected_model", record.selected_model.as_str());
    if let Some(selection) = &record.selection {
        let reasoning = selection.reasoning.map(|on| if on { "on" } else { "off" });
        object.put("reasoning_mode", reasoning);
        object.put("selection_method", selection.algorithm.as_str());
    }
    object.put("confidence_score", decision.confidence);
}

fn signals(object: &mut Object, record: &DecisionRecord, shape: Shape) {
    let families = FAMILIES.map(|family| (family.to_owned(), Value::Array(Vec::new())));
    let mut names: Map<String, Value> = families.into_iter().collect();
    let mut confidences = Map::new();
    let mut values = Map::new();
    for (signal, name) in named(&record.signals) {
        let key = format!("{}:{}", name.r#type, name.name);
        if let Some(value) = signal.value {
            values.insert(key.clone(), value.into());
        }
        if signal.state() != SignalState::Matched {
            continue;
        }
        if let Some(confidence) = signal.confidence {
            confidences.insert(key, confidence.into());
        }
        let family = names
            .entry(name.r#type.clone())
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Some(family) = family.as_array_mut() {
            family.push(name.name.clone().into());
        }
    }
    object.keep("signals", names);
    object.put("projections", record.projections.clone());
    object.put("projection_scores", json!(record.projection_scores));
    if !shape.is_reduced {
        object.put("projection_trace", parsed(&record.projection_trace_json));
    }
    object.put("signal_confidences", confidences);
    object.put("signal_values", values);
}

fn named(signals: &[Signal]) -> impl Iterator<Item = (&Signal, &SignalName)> {
    let named = signals.iter();
    named.filter_map(|signal| Some((signal, signal.signal.as_ref()?)))
}

/// Reads a JSON text that a record holds; what cannot be read is null.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn diagnostics(object: &mut Object, record: &DecisionRecord, shape: Shape) {
    let mut about = Object::default();
    if let Some(decision) = &record.decision {
        about.put("decision", decision.name.as_str());
        about.put("decision_tier", decision.tier);
        about.put("decision_priority", decision.priority);
    }
    if let Some(selection) = &record.selection {
        about.put("selection_method", selection.algorithm.as_str());
        about.put("fallback_reason", selection.fallback_reason.as_str());
    }
    about.put("original_model", record.requested_model.as_str());
    about.put("selected_model", record.selected_model.as_str());
    if let Value::Object(more) = parsed(&record.diagnostics_json) {
        about.0.extend(more);
    }
    let learning = parsed(&record.learning_json);
    let shown = |value| {
        if shape.is_redacted() {
            without_reasons(value)
        } else {
            value
        }
    };
    object.put("route_diagnostics", shown(about.finish()));
    let protection = learning.get("protection").cloned();
    object.put("learning", shown(learning));
    if !shape.is_redacted() {
        object.put("session_policy", protection);
    }
}

fn outcome(report: &OutcomeReport, shape: Shape) -> Value {
    let mut object = Object::default();
    let time = report.time.as_ref().map(ToString::to_string);
    object.put("timestamp", time);
    object.keep("source", report.source.as_str());
    object.keep("target", report.target.as_str());
    if !shape.is_redacted() {
        object.put("target_ref", report.target_ref.as_str());
    }
    object.keep("verdict", report.verdict.as_str());
    if let Some(score) = report.score {
        object.keep("score", score);
    }
    if shape.is_redacted() {
        object.keep("content_redacted", true);
    } else {
        object.put("reason", report.reason.as_str());
        object.put("metadata", json!(report.metadata));
    }
    object.finish()
}

fn payload(object: &mut Object, captured: &Captured, shape: Shape) {
    let texts = [
        ("request_body", &captured.request_body),
        ("response_body", &captured.response_body),
        ("prompt", &captured.prompt),
        ("tool_definitions", &captured.tool_definitions),
    ];
    for (name, text) in texts {
        let Some(Text { text, truncated }) = text else {
            continue;
        };
        if !shape.is_reduced && !shape.is_redacted() {
            object.put(name, text.as_str());
        }
        object.put(&format!("{name}_truncated"), *truncated);
    }
    if let Some(trace) = &captured.tool_trace {
        object.put("tool_trace", tool_trace(trace, shape));
    }
}

fn tool_trace(trace: &ToolTrace, shape: Shape) -> Value {
    let mut object = Object::default();
    object.put("flow", trace.flow());
    object.put("stage", trace.stage());
    object.put(
        "tool_names",
        trace.tool_names().into_iter().collect::<Vec<_>>(),
    );
    if !shape.is_reduced {
        let steps: Vec<Value> = trace.steps.iter().map(|it| tool_step(it, shape)).collect();
        object.put("steps", steps);
        object.put("steps_truncated", trace.dropped_steps > 0);
        object.put("dropped_step_count", trace.dropped_steps);
    }
    object.finish()
}

fn tool_step(step: &ToolStep, shape: Shape) -> Value {
    let mut object = Object::default();
    object.keep("type", step.r#type().name());
    let source = match step.source() {
        StepSource::Request => "request",
        StepSource::Response => "response",
        StepSource::Stream => "stream",
        StepSource::Unspecified => "",
    };
    object.put("source", source);
    object.put("role", step.role.as_str());
    object.put("tool_name", step.tool_name.as_str());
    object.put("tool_call_id", step.tool_call_id.as_str());
    if shape.is_redacted() {
        object.keep("content_redacted", true);
        // Of an output that was not kept, nobody knows.
        let is_known = step.output_bytes == 0 || !output(step).is_empty();
        if step.r#type() == ToolStepType::ClientToolResult && is_known {
            object.keep("status", tool_status(output(step)));
        }
    } else {
        object.put("text", step.text.as_str());
        object.put("arguments", step.arguments.as_str());
        object.put("raw_arguments", step.raw_arguments.as_str());
        object.put("output", step.output.as_str());
        object.put("raw_output", step.raw_output.as_str());
    }
    object.put("api_type", step.api_type.as_str());
    object.put("truncated", step.truncated);
    object.put("text_bytes", step.text_bytes);
    object.put("arguments_bytes", step.arguments_bytes);
    object.put("output_bytes", step.output_bytes);
    object.finish()
}

fn output(step: &ToolStep) -> &str {
    if step.output.is_empty() {
        &step.raw_output
    } else {
        &step.output
    }
}

fn result(object: &mut Object, record: &DecisionRecord) {
    object.put("response_status", record.response_status);
    object.keep("lifecycle_state", lifecycle_name(record.lifecycle()));
    if let Some(ended) = &record.ended_at {
        let ended = crate::record::Moment::from(ended);
        object.put("ended_at", ended.to_string());
        let span = ended.0.saturating_sub(record.moment().0);
        object.keep("duration_ms", span.max(0) / 1_000_000);
    }
    object.put("terminal_reason", record.terminal_reason.as_str());
    object.put("from_cache", record.from_cache);
    object.put("streaming", record.streamed);
    object.put("warnings", record.warnings.clone());
}

/// Returns the API's word for how far a request has come.
pub(super) fn lifecycle_name(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Unspecified => "unknown",
        Lifecycle::InProgress => "in_progress",
        Lifecycle::Completed => "completed",
        Lifecycle::Failed => "failed",
        Lifecycle::Aborted => "aborted",
    }
}

fn usage(object: &mut Object, tokens: &Tokens) {
    object.keep("prompt_tokens", tokens.input);
    object.keep("cached_prompt_tokens", tokens.cached_input);
    object.keep("cache_write_tokens", tokens.cache_write);
    object.keep("completion_tokens", tokens.output);
    object.put("reasoning_tokens", tokens.reasoning);
    object.keep("total_tokens", tokens.input.saturating_add(tokens.output));
    object.put("usage_estimated", tokens.estimated);
}

fn money(object: &mut Object, cost: &Cost) {
    object.keep("actual_cost", units(cost.nanos.into()));
    if let Some(baseline) = cost.baseline_nanos {
        object.keep("baseline_cost", units(baseline.into()));
        let saved = i128::from(baseline) - i128::from(cost.nanos);
        object.keep("cost_savings", units(saved));
        object.put("baseline_model", cost.baseline_model.as_str());
    }
    object.put("currency", cost.currency.as_str());
}

/// Returns billionths as a number of units, for people; sums are made of the integers.
#[expect(
    clippy::cast_precision_loss,
    reason = "a number for people, of fifteen digits"
)]
pub(super) fn units(nanos: i128) -> f64 {
    nanos as f64 / 1e9
}

/// What the reference does not know.
fn merits_own(object: &mut Object, record: &DecisionRecord) {
    if let Some(energy) = &record.energy {
        let joules = |nanos: i64| units(nanos.into());
        let energy = json!({
            "attributed_joules": joules(energy.attributed_nanojoules),
            "marginal_joules": joules(energy.marginal_nanojoules),
            "low_joules": joules(energy.low_nanojoules),
            "high_joules": joules(energy.high_nanojoules),
            "method": energy.method, "date": energy.date,
        });
        object.put("energy", energy);
    }
    if let Some(own) = &record.own_work {
        object.put(
            "own_work",
            json!({"cpu_ms": units(own.cpu_nanoseconds.into()) * 1e3, "joules": units(own.nanojoules.into())}),
        );
    }
    object.put("caller", record.caller.as_str());
    object.put("boundaries", record.boundaries.clone());
    object.put("policy_hash", record.config_hash.as_str());
    object.put("prompt_hash", record.prompt_hash.as_str());
    let degraded = record.degraded.iter().map(|it| {
        let reason = it.reason().as_str_name();
        let reason = reason.trim_start_matches("DEGRADATION_REASON_");
        format!("{}={}", it.component, reason.to_lowercase())
    });
    object.put("degraded", degraded.collect::<Vec<_>>());
    object.put("candidates", candidates(record));
    let attempts = record.attempts.iter().map(|it| {
        let mut object = Object::default();
        object.keep("model", it.model.as_str());
        object.put("status", it.status);
        object.put("why", it.why.as_str());
        if let Some(tokens) = &it.tokens {
            usage(&mut object, tokens);
        }
        if let Some(cost) = &it.cost {
            money(&mut object, cost);
        }
        object.finish()
    });
    object.put("attempts", attempts.collect::<Vec<_>>());
}

fn candidates(record: &DecisionRecord) -> Vec<Value> {
    let considered = record.selection.iter().flat_map(|it| &it.considered);
    considered
        .map(|candidate| {
            let mut object = Object::default();
            object.keep("model", candidate.model.as_str());
            if let Some(score) = candidate.score {
                object.keep("score", score);
            }
            object.put("excluded_by", candidate.excluded_by.as_str());
            object.finish()
        })
        .collect()
}

/// Returns names with values, largest first, equal ones by name; an empty name is `Unknown`.
pub(super) fn ranked(values: impl IntoIterator<Item = (String, i128)>) -> Vec<(String, i128)> {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    for (name, value) in values {
        let name = if name.is_empty() {
            "Unknown".to_owned()
        } else {
            name
        };
        *sums.entry(name).or_default() += value;
    }
    let mut ranked: Vec<(String, i128)> = sums.into_iter().collect();
    // The sort is stable, so equal values stay in the order of their names.
    ranked.sort_by_key(|(_, value)| std::cmp::Reverse(*value));
    ranked
}

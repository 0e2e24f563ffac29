//! Category of a request, and the decision that it leads to.

use super::{best, loaded, mark, or_default, parse, probabilities, question, rows, sampled};
use crate::admin::Refusal;
use crate::engine::Generation;
use dialects::EvalRequest;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Confidence that makes a category a specialist's, without a decision.
const SPECIALIZED: f32 = 0.7;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "or_default")]
    options: Options,
}

/// How the category is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    return_probabilities: bool,
    confidence_threshold: Option<f32>,
}

impl Generation {
    /// The domain classifier's category, and the recipe's decision. All signals are evaluated,
    /// whatever the options say: the decision is the same.
    pub(super) fn intent(&self, body: &[u8]) -> Result<Value, Refusal> {
        let request = EvalRequest::parse(body, true, &self.router.settings.reading)
            .map_err(|error| Refusal::invalid_input(error.to_string()))?;
        let Body { options } = parse(body)?;
        let domain = loaded(self.classifiers.domain.as_ref(), "domain")?;
        let replies = self.ask(
            "domain",
            &[question(&request.original_text, sampled(&domain.model))],
        )?;
        let Some(reply) = replies.first() else {
            return Err(Refusal::internal("no answer"));
        };
        let row = rows(reply).first().map_or(&[][..], |row| row);
        let (category, confidence) = domain.category(row);
        let eval = self.eval(body, true)?;
        let mut answer =
            json!({"classification": {"category": category, "confidence": confidence}});
        if options.return_probabilities {
            answer["probabilities"] = json!(probabilities(&domain.model.labels, row));
        }
        let threshold = options.confidence_threshold.unwrap_or(SPECIALIZED);
        add_decision(&mut answer, &eval, confidence >= threshold);
        Ok(mark(answer, reply))
    }
}

impl super::super::classifiers::Sequence {
    /// The likeliest label, or the fallback where nothing reaches the threshold.
    pub(super) fn category(&self, row: &[f32]) -> (String, f32) {
        let (index, confidence) = best(row);
        let label = self
            .model
            .labels
            .get(index)
            .map(ToString::to_string)
            .unwrap_or_default();
        let unsure = confidence < self.threshold && !self.fallback.is_empty();
        (
            if unsure { self.fallback.clone() } else { label },
            confidence,
        )
    }
}

fn add_decision(answer: &mut Value, eval: &Value, is_sure: bool) {
    let result = &eval["decision_result"];
    let name = result["decision_name"].as_str().unwrap_or_default();
    answer["matched_signals"] = result["matched_signals"].clone();
    if let Some(errors) = eval.get("signal_errors") {
        answer["signal_errors"] = errors.clone();
    }
    if name.is_empty() {
        let word = if is_sure {
            "high_confidence_specialized"
        } else {
            "low_confidence_general"
        };
        answer["routing_decision"] = word.into();
        return;
    }
    answer["routing_decision"] = name.into();
    if let Some(model) = eval["selected_model"]
        .as_str()
        .or_else(|| eval["recommended_models"][0].as_str())
    {
        answer["recommended_model"] = model.into();
    }
    let traced = eval["eval_trace"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["decision_name"] == name);
    let confidence = traced.map_or(Value::Null, |trace| trace["confidence"].clone());
    let rules = matched_rules(result);
    answer["decision_result"] =
        json!({"decision_name": name, "confidence": confidence, "matched_rules": rules});
}

/// Leaves of the winner that matched, as `family:name`.
fn matched_rules(result: &Value) -> Vec<String> {
    let empty = Map::new();
    let used = result["used_signals"].as_object().unwrap_or(&empty);
    let matched = |family: &str, name: &Value| {
        result["matched_signals"][family]
            .as_array()
            .is_some_and(|names| names.contains(name))
    };
    let mut rules = Vec::new();
    for (family, names) in used {
        let names = names
            .as_array()
            .into_iter()
            .flatten()
            .filter(|name| matched(family, name));
        rules.extend(
            names
                .filter_map(Value::as_str)
                .map(|name| format!("{family}:{name}")),
        );
    }
    rules
}

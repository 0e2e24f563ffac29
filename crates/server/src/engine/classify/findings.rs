//! One text, one classifier: personal data, attacks, the need of facts, feedback.

use super::{Asked, Nothing, best, loaded, mark, question, rows, sampled, spoken};
use crate::admin::Refusal;
use crate::engine::Generation;
use crate::engine::classifiers::Sequence;
use inference::ask::{Answer, Entity, Over, Reply, What};
use serde::Deserialize;
use serde_json::{Value, json};

/// How personal data is looked for and shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PiiOptions {
    /// Types that count; empty means all.
    entity_types: Vec<String>,
    /// Least confidence; omitted means the module's.
    confidence_threshold: Option<f32>,
    /// Say where; omitted means yes.
    return_positions: Option<bool>,
    /// Give the text with entities replaced.
    mask_entities: bool,
    /// Show what was found; otherwise only its type.
    reveal_entity_text: bool,
}

/// How attacks are looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SecurityOptions {
    /// `jailbreak`, which is all there is.
    detection_types: Vec<String>,
    /// Say why.
    include_reasoning: bool,
}

/// A verdict about attacks.
pub(super) struct Risk {
    /// The greatest probability of an attack in any window.
    pub(super) risk: f32,
    /// It reaches the threshold.
    pub(super) is_attack: bool,
}

impl Risk {
    /// Probability of the likelier class.
    pub(super) fn confidence(&self) -> f32 {
        self.risk.max(1.0 - self.risk)
    }

    /// The greatest sum of the labels that mean an attack.
    pub(super) fn of(guard: &Sequence, reply: &Reply) -> Self {
        let positive = |row: &[f32]| -> f32 {
            let labelled = guard.model.labels.iter().zip(row);
            labelled
                .filter(|(label, _)| guard.positive.iter().any(|own| **own == ***label))
                .map(|(_, p)| *p)
                .sum()
        };
        let risk = rows(reply)
            .iter()
            .map(|row| positive(row))
            .fold(0.0, f32::max);
        Self {
            risk,
            is_attack: risk > 0.0 && risk >= guard.threshold,
        }
    }
}

impl Generation {
    pub(super) fn pii(&self, request: &Asked<PiiOptions>) -> Result<Value, Refusal> {
        let text = spoken("text", &request.text)?;
        let pii = loaded(self.classifiers.pii.as_ref(), "pii")?;
        let replies = self.ask("pii", &[question(text, What::Entities(pii.model.clone()))])?;
        let Some(reply) = replies.first() else {
            return Err(Refusal::internal("no answer"));
        };
        let found = counted(reply, &request.options, pii.threshold);
        let options = &request.options;
        let shown: Vec<Value> = found
            .iter()
            .map(|entity| shown(text, entity, options))
            .collect();
        let recommendation = if found.is_empty() { "allow" } else { "block" };
        let mut answer = json!({"has_pii": !found.is_empty(), "entities": shown, "security_recommendation": recommendation});
        if options.mask_entities {
            answer["masked_text"] = masked(text, &found).into();
        }
        Ok(mark(answer, reply))
    }

    pub(super) fn security(&self, request: &Asked<SecurityOptions>) -> Result<Value, Refusal> {
        let text = spoken("text", &request.text)?;
        let known = |kind: &&String| {
            !matches!(
                kind.to_ascii_lowercase().as_str(),
                "jailbreak" | "prompt_injection" | "all"
            )
        };
        if let Some(unknown) = request.options.detection_types.iter().find(known) {
            let message = format!(
                "unknown detection type {unknown:?}; known are jailbreak, prompt_injection and all"
            );
            return Err(Refusal::invalid_input(message));
        }
        let guard = loaded(self.classifiers.jailbreak.as_ref(), "jailbreak")?;
        let replies = self.ask(
            "jailbreak",
            &[question(
                text,
                What::Labels(guard.model.clone(), Over::EachWindow),
            )],
        )?;
        let Some(reply) = replies.first() else {
            return Err(Refusal::internal("no answer"));
        };
        let verdict = Risk::of(guard, reply);
        let found: &[&str] = if verdict.is_attack {
            &["jailbreak"]
        } else {
            &[]
        };
        let mut answer = json!({
            "is_jailbreak": verdict.is_attack,
            "risk_score": verdict.risk,
            "confidence": verdict.confidence(),
            "detection_types": found,
            "patterns_detected": found,
            "recommendation": if verdict.is_attack { "block" } else { "allow" },
        });
        if request.options.include_reasoning {
            let side = if verdict.is_attack {
                "reaches"
            } else {
                "stays below"
            };
            let reasoning = format!(
                "risk {:.4} {side} the threshold {}",
                verdict.risk, guard.threshold
            );
            answer["reasoning"] = reasoning.into();
        }
        Ok(mark(answer, reply))
    }

    pub(super) fn fact_check(&self, request: &Asked<Nothing>) -> Result<Value, Refusal> {
        let fact_check = loaded(self.classifiers.fact_check.as_ref(), "fact_check")?;
        let (label, confidence, reply) = self.label("fact_check", fact_check, &request.text)?;
        let needs = label == "needs_fact_check" && confidence >= fact_check.threshold;
        let label = if needs {
            "needs_fact_check"
        } else {
            "no_fact_check_needed"
        };
        Ok(mark(
            json!({"needs_fact_check": needs, "label": label, "confidence": confidence}),
            &reply,
        ))
    }

    pub(super) fn user_feedback(&self, request: &Asked<Nothing>) -> Result<Value, Refusal> {
        let feedback = loaded(self.classifiers.user_feedback.as_ref(), "user_feedback")?;
        let (label, confidence, reply) = self.label("user_feedback", feedback, &request.text)?;
        let kind = if confidence < feedback.threshold {
            "satisfied".to_owned()
        } else {
            label.clone()
        };
        Ok(mark(
            json!({"feedback_type": kind, "label": label, "confidence": confidence}),
            &reply,
        ))
    }

    /// The likeliest label of a text.
    fn label(
        &self,
        name: &str,
        by: &Sequence,
        text: &str,
    ) -> Result<(String, f32, Reply), Refusal> {
        let mut replies = self.ask(name, &[question(spoken("text", text)?, sampled(&by.model))])?;
        let Some(reply) = replies.pop() else {
            return Err(Refusal::internal("no answer"));
        };
        let row = rows(&reply).first().map_or(&[][..], |row| row);
        let (index, confidence) = best(row);
        let label = by.model.labels.get(index).map(ToString::to_string);
        Ok((label.unwrap_or_default(), confidence, reply))
    }
}

/// The entities that count.
pub(super) fn counted(reply: &Reply, options: &PiiOptions, threshold: f32) -> Vec<Entity> {
    let Answer::Entities(entities) = &reply.answer else {
        return Vec::new();
    };
    let least = options.confidence_threshold.unwrap_or(threshold);
    let wanted = |kind: &str| {
        options.entity_types.is_empty()
            || options
                .entity_types
                .iter()
                .any(|own| own.eq_ignore_ascii_case(kind))
    };
    entities
        .iter()
        .filter(|entity| entity.confidence >= least && wanted(&entity.kind))
        .cloned()
        .collect()
}

fn shown(text: &str, entity: &Entity, options: &PiiOptions) -> Value {
    let masked = mask(entity);
    let value = if options.reveal_entity_text {
        span(text, entity.start, entity.end)
    } else {
        masked.clone()
    };
    let mut shown = json!({"type": &*entity.kind, "value": value, "confidence": entity.confidence});
    if options.return_positions != Some(false) {
        shown["start_position"] = entity.start.into();
        shown["end_position"] = entity.end.into();
    }
    if options.mask_entities {
        shown["masked_value"] = masked.into();
    }
    shown
}

fn mask(entity: &Entity) -> String {
    format!("[{}]", entity.kind)
}

/// The scalars from `start` to before `end`.
fn span(text: &str, start: usize, end: usize) -> String {
    text.chars()
        .skip(start)
        .take(end.saturating_sub(start))
        .collect()
}

/// The text with every entity replaced by its type. Entities come in order of their start; one
/// inside another goes with it.
fn masked(text: &str, entities: &[Entity]) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut chars, mut at) = (text.chars(), 0);
    for entity in entities {
        if entity.end <= at {
            continue;
        }
        if entity.start >= at {
            out.extend(chars.by_ref().take(entity.start - at));
            out.push_str(&mask(entity));
            at = entity.start;
        }
        // What overlaps the one before is hidden too, without a mark of its own.
        chars.by_ref().take(entity.end - at).for_each(drop);
        at = entity.end;
    }
    out.extend(chars);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, entities: &[(&str, usize, usize)], expected: &str) {
        let entity = |&(kind, start, end): &(&str, usize, usize)| Entity {
            kind: kind.into(),
            confidence: 1.0,
            start,
            end,
        };
        let entities: Vec<Entity> = entities.iter().map(entity).collect();
        assert_eq!(masked(text, &entities), expected);
    }

    #[test]
    fn masks_by_scalars() {
        check("ask Zoë 🙂 now", &[("PERSON", 4, 7)], "ask [PERSON] 🙂 now");
        check(
            "🙂a@b.c, d@e.f",
            &[("EMAIL", 1, 6), ("EMAIL", 8, 13)],
            "🙂[EMAIL], [EMAIL]",
        );
        check("abcdef", &[("A", 0, 4), ("B", 1, 2), ("C", 3, 5)], "[A]f");
        check("abc", &[("A", 1, 9)], "a[A]");
        check("abc", &[], "abc");
    }
}

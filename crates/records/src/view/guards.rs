//! What guards, retrieval, the cache and the check of the answer found, as the API shows it.

use serde_json::Value;

use super::record::{Object, Shape};
use crate::record::{Guards, Hallucination};
use crate::store::Kept;

pub(super) fn put(object: &mut Object, kept: &Kept, shape: Shape) {
    let record = &kept.record;
    if let Some(guards) = &record.guards {
        guarded(object, guards, shape);
    }
    if let Some(retrieval) = &record.retrieval {
        object.put("rag_enabled", retrieval.enabled);
        object.put("rag_backend", retrieval.backend.as_str());
        object.put("rag_context_length", retrieval.context_bytes);
        object.put("rag_similarity_score", retrieval.similarity);
    }
    if let Some(cache) = &record.cache {
        object.put("cache_similarity", cache.similarity);
        object.put("cache_hit_kind", cache.hit_kind.as_str());
        object.put("cache_source", cache.source.as_str());
        object.put("cache_entry_age_seconds", cache.entry_age_seconds);
        object.put("cache_ttl_seconds", cache.ttl_seconds);
    }
    object.put("context_token_count", record.context_token_count);
    if let Some(found) = &record.hallucination {
        hallucination(object, found, kept, shape);
    }
}

fn guarded(object: &mut Object, guards: &Guards, shape: Shape) {
    object.put("guardrails_enabled", guards.enabled);
    object.put("jailbreak_enabled", guards.jailbreak_enabled);
    object.put("pii_enabled", guards.pii_enabled);
    object.put("jailbreak_detected", guards.jailbreak_detected);
    object.put("jailbreak_type", guards.jailbreak_type.as_str());
    object.put("jailbreak_confidence", guards.jailbreak_confidence);
    let detected = guards.response_jailbreak_detected;
    object.put("response_jailbreak_detected", detected);
    let kind = guards.response_jailbreak_type.as_str();
    object.put("response_jailbreak_type", kind);
    let confidence = guards.response_jailbreak_confidence;
    object.put("response_jailbreak_confidence", confidence);
    object.put("pii_detected", guards.pii_detected);
    if !shape.is_redacted() {
        object.put("pii_entities", guards.pii_entities.clone());
    }
    object.put("pii_blocked", guards.pii_blocked);
}

fn hallucination(object: &mut Object, found: &Hallucination, kept: &Kept, shape: Shape) {
    object.put("hallucination_enabled", found.enabled);
    object.put("hallucination_detected", found.detected);
    object.put("hallucination_confidence", found.confidence);
    let texts = kept
        .captured
        .iter()
        .flat_map(|captured| &captured.hallucination_spans);
    if !shape.is_redacted() {
        let spans: Vec<&str> = texts.clone().map(|it| it.text.as_str()).collect();
        object.put("hallucination_spans", spans);
    }
    let mut texts = texts.filter(|_| !shape.is_redacted());
    let details = found.spans.iter().filter_map(|span| {
        let text = texts.next();
        if span.nli_label.is_empty() {
            return None;
        }
        let mut object = Object::default();
        object.put("text", text.map(|it| it.text.as_str()));
        object.keep("start", span.start);
        object.keep("end", span.end);
        object.keep("hallucination_confidence", span.confidence);
        object.keep("nli_label", span.nli_label.as_str());
        object.keep("nli_confidence", span.nli_confidence);
        object.keep("severity", span.severity);
        object.put("explanation", text.map(|it| it.explanation.as_str()));
        Some(object.finish())
    });
    let details: Vec<Value> = details.collect();
    object.put("hallucination_span_details", details);
}

//! Learning: its weights and header names, and what leaves it without effect. Its words are checked
//! when it is read.

use super::Scope;
use crate::config::Document;
use crate::config::decisions::Decision;
use conversation::learning::settings::{Learning, Protection};
use document::Findings;
use selection::card::ModelDescriptions;

const LEARNING: &str = "global.router.learning";

/// The process-wide block.
pub(super) fn check(document: &Document, findings: &mut Findings) {
    let Some(learning) = &document.global.router.learning else {
        return;
    };
    if let Some(protection) = &learning.protection {
        self::protection(protection, findings);
    }
    store(learning, findings);
}

fn protection(protection: &Protection, findings: &mut Findings) {
    let path = format!("{LEARNING}.protection");
    if let Some(tuning) = &protection.tuning {
        weight(
            &format!("{path}.tuning.switch_margin"),
            tuning.switch_margin,
            findings,
        );
        weight(
            &format!("{path}.tuning.stability_weight"),
            tuning.stability_weight,
            findings,
        );
    }
    let headers = protection
        .identity
        .as_ref()
        .and_then(|identity| identity.headers.as_ref());
    let Some(headers) = headers else { return };
    let named = [
        ("session", headers.session.trim()),
        ("conversation", headers.conversation.trim()),
    ];
    for (key, name) in named {
        if !name.is_empty() && http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            findings.error(
                format!("{path}.identity.headers.{key}"),
                format!("`{name}` cannot be a header's name"),
            );
        }
    }
    let session = if named[0].1.is_empty() {
        "x-session-id"
    } else {
        named[0].1
    };
    let conversation = if named[1].1.is_empty() {
        "x-conversation-id"
    } else {
        named[1].1
    };
    if session.eq_ignore_ascii_case(conversation) {
        let message =
            "session and conversation are the same header, so every session is one conversation";
        findings.warn(format!("{path}.identity.headers"), message);
    }
}

fn store(learning: &Learning, findings: &mut Findings) {
    let Some(store) = &learning.state_store else {
        return;
    };
    let path = format!("{LEARNING}.state_store");
    match (store.backend.trim(), &store.redis) {
        ("redis", None) => findings.error(
            format!("{path}.redis"),
            "`backend: redis` needs an address here",
        ),
        ("redis", Some(_)) | (_, None) => {}
        (_, Some(_)) => findings.warn(
            format!("{path}.redis"),
            "is not read: the backend is `memory`",
        ),
    }
}

/// What a decision says of it.
pub(super) fn decision(
    scope: &Scope<'_>,
    path: &str,
    decision: &Decision,
    findings: &mut Findings,
) {
    let learning = scope
        .document
        .global
        .router
        .learning
        .as_ref()
        .filter(|learning| learning.enabled);
    if let Some(own) = &decision.adaptations {
        let path = format!("{path}.adaptations");
        if let Some(protection) = &own.protection {
            weight(
                &format!("{path}.protection.switch_margin"),
                protection.switch_margin,
                findings,
            );
            weight(
                &format!("{path}.protection.stability_weight"),
                protection.stability_weight,
                findings,
            );
        }
        if learning.is_none() {
            findings.note(
                path,
                "has no effect: `global.router.learning.enabled` is not set",
            );
        }
    }
    let adapts = learning.is_some_and(|learning| {
        learning
            .adaptation
            .as_ref()
            .is_none_or(|it| it.enabled != Some(false))
    });
    let bypassed = decision.adaptations.as_ref().is_some_and(|own| {
        own.mode == "bypass"
            || own
                .adaptation
                .as_ref()
                .is_some_and(|adaptation| adaptation.mode == "bypass")
    });
    if !adapts || bypassed {
        return;
    }
    for (index, candidate) in decision.model_refs.iter().enumerate() {
        let name = candidate.model.trim();
        if !name.is_empty() && scope.document.model_card(name).is_none() {
            let message = format!("`{name}` has no model card, so adaptation never proposes it");
            findings.warn(format!("{path}.modelRefs[{index}].model"), message);
        }
    }
}

fn weight(path: &str, written: Option<f64>, findings: &mut Findings) {
    if written.is_some_and(|weight| !weight.is_finite() || weight < 0.0) {
        findings.warn(path, "a number below 0 counts as omitted");
    }
}

//! `POST /v1/router/outcomes`: somebody says what an answer was worth, in the reference's shape.
//!
//! ```json
//! {"replay_id": "0b7c…", "target": "model", "verdict": "underpowered", "score": 1}
//! ```
//!
//! The id is the request's `x-request-id`, which a learning document shows its clients as
//! `x-merit-request-id`. A caller of the admin API is an operator and may judge every request,
//! unless the header that names users (`authz.identity.user_id_header`) comes along: then a front
//! of ours forwards what that user says, who may judge only their own requests. An
//! `Idempotency-Key` counts once for a request; without one, each verdict counts once.

use super::Generation;
use crate::admin::Refusal;
use crate::admin::outcomes::{Outcome, SOURCES, invalid, key, only};
use axum::http::{HeaderMap, StatusCode};
use conversation::learning::policy::ttl;
use conversation::learning::requests::{Judge, Judgement, NotJudged};
use conversation::learning::rows::Verdict;
use serde_json::{Value, json};
use std::time::{Instant, SystemTime};

/// The largest score.
const SCORE_MAX: f64 = 100.0;

impl Generation {
    /// Counts an outcome. Beside the answer it gives the word for the metric.
    pub fn outcome(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> (&'static str, Result<Value, Refusal>) {
        let read =
            serde_json::from_slice::<Outcome>(body).map_err(|error| invalid(&error.to_string()));
        match read.and_then(|outcome| self.count(headers, &outcome)) {
            Ok((word, answer)) => (word, Ok(answer)),
            Err(refusal) => (word(&refusal), Err(refusal)),
        }
    }

    /// Returns the user that a caller of the admin API speaks for; `None` for an operator.
    ///
    /// # Errors
    /// The header that names users is empty, or stands there twice.
    pub fn judge(&self, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
        match only(headers, &self.router.settings.user_header)?.map(str::trim) {
            Some("") => Err(invalid("the header that names the user is empty")),
            user => Ok(user.map(str::to_owned)),
        }
    }

    fn count(
        &self,
        headers: &HeaderMap,
        outcome: &Outcome,
    ) -> Result<(&'static str, Value), Refusal> {
        let learning = self
            .router
            .document
            .global
            .router
            .learning
            .as_ref()
            .filter(|learning| learning.enabled);
        let Some(learning) = learning else {
            let message =
                "the served document does not learn: `global.router.learning.enabled` is not set";
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "NO_ROUTER_LEARNING_RUNTIME",
                message,
            ));
        };
        let (verdict, score) = (verdict(outcome)?, score(outcome)?);
        let key = key(headers)?;
        let user = self.judge(headers)?;
        let judge = user.as_deref().map_or(Judge::Operator, Judge::Caller);
        let model = Some(outcome.target_ref.trim()).filter(|model| !model.is_empty());
        let request = outcome.replay_id.trim();
        let judgement = Judgement {
            request,
            judge,
            verdict,
            score,
            model,
            key,
        };
        let judged = self
            .router
            .state
            .experience
            .judge(&judgement, ttl(learning), Instant::now())
            .map_err(refusal)?;
        let word = if judged.duplicate {
            "duplicate"
        } else {
            verdict.as_str()
        };
        let answer = json!({
            "success": true,
            "updated": judged.updated,
            "recorded": !judged.duplicate,
            "duplicate": judged.duplicate,
            "timestamp": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        });
        Ok((word, answer))
    }
}

fn verdict(outcome: &Outcome) -> Result<Verdict, Refusal> {
    if outcome.replay_id.trim().is_empty() {
        return Err(invalid(
            "replay_id is required: the value of x-merit-request-id",
        ));
    }
    let source = outcome.source.trim();
    if !source.is_empty() && !SOURCES.contains(&source) {
        return Err(invalid(&format!(
            "source must be one of {}",
            SOURCES.join(", ")
        )));
    }
    if !["", "model"].contains(&outcome.target.trim()) {
        return Err(invalid(
            "target must be model: outcomes of routes, policies and providers are not kept",
        ));
    }
    let wanted = "verdict must be one of good_fit, underpowered, overprovisioned, failed";
    Verdict::parse(&outcome.verdict).ok_or_else(|| invalid(wanted))
}

/// Returns the score; 0 if it is omitted.
fn score(outcome: &Outcome) -> Result<f64, Refusal> {
    let score = outcome.score.unwrap_or_default();
    if !(0.0..=SCORE_MAX).contains(&score) {
        return Err(invalid(&format!("score must be between 0 and {SCORE_MAX}")));
    }
    Ok(score)
}

fn refusal(error: NotJudged) -> Refusal {
    let (status, code) = match error {
        NotJudged::Unknown => (StatusCode::NOT_FOUND, "REPLAY_NOT_FOUND"),
        NotJudged::OtherModel { .. } => (StatusCode::CONFLICT, "OUTCOME_OWNERSHIP_MISMATCH"),
        NotJudged::KeyReused => (StatusCode::CONFLICT, "IDEMPOTENCY_KEY_REUSED"),
        NotJudged::TooMany => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_OUTCOMES"),
    };
    Refusal::new(status, code, error.to_string())
}

/// Returns the metric's word for a refusal.
fn word(refusal: &Refusal) -> &'static str {
    match refusal.status {
        StatusCode::NOT_FOUND => "unknown",
        StatusCode::SERVICE_UNAVAILABLE => "off",
        StatusCode::BAD_REQUEST => "invalid",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::preparer;
    use crate::models::tests::Scripted;
    use crate::reload::Prepare as _;
    use conversation::learning::LearningRecord;
    use conversation::learning::requests::RequestKey;
    use conversation::learning::rows::Place;
    use inference::fake::Fake;

    const DOCUMENT: &str = "{version: v0.3, providers: {defaults: {default_model: small}, \
        models: [{name: small, backend_refs: [{endpoint: 'b:1'}]}]}, \
        routing: {modelCards: [{name: small}], decisions: [{name: d, priority: 1, modelRefs: [{model: small}]}]}, \
        global: {router: {learning: {enabled: ENABLED}}}}";

    fn generation(enabled: bool) -> Generation {
        let text = DOCUMENT.replace("ENABLED", &enabled.to_string());
        let built = preparer(Scripted::new(Fake::default())).prepare(&text, None);
        let generation = built.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let place = Place {
            recipe: "default".into(),
            decision: "d".into(),
            tier: 0,
            model: "small".into(),
        };
        for (id, caller) in [("r-1", "ada"), ("r-2", "")] {
            let request = RequestKey::of(id, caller);
            let record = LearningRecord {
                place: place.clone(),
                prices: None,
                conversation: None,
                request,
            };
            generation
                .router
                .state
                .experience
                .sent(&record, Instant::now());
        }
        generation
    }

    /// Status and code, or `ok` and the rows that changed.
    fn ask(
        generation: &Generation,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (&'static str, String) {
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let name = axum::http::HeaderName::try_from(*name).unwrap();
            sent.append(name, value.parse().unwrap());
        }
        let (word, answer) = generation.outcome(&sent, body.as_bytes());
        let text = match answer {
            Ok(answer) => format!("ok {} {}", answer["updated"], answer["duplicate"]),
            Err(refusal) => format!("{} {}", refusal.status.as_u16(), refusal.code),
        };
        (word, text)
    }

    #[test]
    fn outcomes() {
        let generation = generation(true);
        let check = |headers: &[(&str, &str)], body: &str, expected: (&str, &str)| {
            let (word, text) = ask(&generation, headers, body);
            assert_eq!((word, text.as_str()), expected, "{headers:?} {body}");
        };
        let good = r#"{"replay_id":"r-1","target":"model","verdict":"good_fit"}"#;
        let failed = r#"{"request_id":"r-1","outcome":"failed","model":"small","source":"user","score":3,"reason":"x"}"#;
        let (ada, eve) = (("x-authz-user-id", "ada"), ("x-authz-user-id", "eve"));
        check(&[eve], good, ("unknown", "404 REPLAY_NOT_FOUND"));
        check(&[ada], good, ("good_fit", "ok 2 false"));
        check(&[ada], good, ("duplicate", "ok 0 true"));
        check(&[], good, ("duplicate", "ok 0 true"));
        check(
            &[ada, ("idempotency-key", "k")],
            failed,
            ("failed", "ok 2 false"),
        );
        check(
            &[ada, ("idempotency-key", "k")],
            failed,
            ("duplicate", "ok 0 true"),
        );
        check(
            &[ada, ("idempotency-key", "k")],
            good,
            ("refused", "409 IDEMPOTENCY_KEY_REUSED"),
        );
        let other = r#"{"replay_id":"r-2","verdict":"good","target_ref":"large"}"#;
        check(&[], other, ("refused", "409 OUTCOME_OWNERSHIP_MISMATCH"));
        check(
            &[],
            r#"{"replay_id":"r-3","verdict":"good"}"#,
            ("unknown", "404 REPLAY_NOT_FOUND"),
        );
        let invalid = ("invalid", "400 INVALID_OUTCOME");
        for body in [
            "",
            "[]",
            r#"{"replay_id":"r-1"}"#,
            r#"{"replay_id":" ","verdict":"good"}"#,
            r#"{"replay_id":"r-1","verdict":"great"}"#,
            r#"{"replay_id":"r-1","verdict":"good","target":"route"}"#,
            r#"{"replay_id":"r-1","verdict":"good","source":"bot"}"#,
            r#"{"replay_id":"r-1","verdict":"good","score":-1}"#,
            r#"{"replay_id":"r-1","verdict":"good","score":101}"#,
            r#"{"replay_id":"r-1","verdict":"good","extra":1}"#,
        ] {
            check(&[], body, invalid);
        }
        check(&[("x-authz-user-id", " ")], good, invalid);
        check(&[ada, eve], good, invalid);
        check(&[("idempotency-key", "")], good, invalid);
        let off = self::generation(false);
        assert_eq!(
            ask(&off, &[], good),
            ("off", "503 NO_ROUTER_LEARNING_RUNTIME".to_owned())
        );
    }
}

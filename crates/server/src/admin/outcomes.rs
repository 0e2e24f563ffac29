//! `POST /v1/router/outcomes`: what somebody says of an answer joins the record of its request, and
//! learning counts it.
//!
//! The request is named by its record's id (`x-vsr-replay-id`). An id that is none goes to learning
//! alone, which knows requests by `x-merit-request-id`.

use super::{Console, Refusal};
use ::records::record::{DecisionRecord, Moment, OutcomeReport, is_id};
use ::records::store::{Added, RecordStore, StoreError};
use axum::http::{HeaderMap, StatusCode};
use conversation::learning::rows::Verdict;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Longer keys are refused, bytes.
const KEY_MAX: usize = 256;
/// Bytes that are kept of a model's name and of a reason.
const REF_MAX: usize = 512;
const REASON_MAX: usize = 1_024;
/// Entries of metadata, and bytes of their keys and values; what is more is dropped.
const ENTRIES: usize = 32;
const ENTRY_KEY: usize = 128;
const ENTRY_VALUE: usize = 1_024;
/// Who may say what an answer was worth.
pub(crate) const SOURCES: [&str; 6] = ["user", "agent", "eval", "operator", "provider", "router"];
const TARGETS: [&str; 6] = [
    "model",
    "route",
    "policy",
    "stability",
    "provider",
    "router",
];

/// An outcome as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// The request: its record's id, or else the value of `x-merit-request-id`.
    #[serde(alias = "request_id")]
    pub(crate) replay_id: String,
    /// What the answer was worth.
    #[serde(alias = "outcome")]
    pub(crate) verdict: String,
    /// What is judged; empty means the model.
    #[serde(default)]
    pub(crate) target: String,
    /// Its name.
    #[serde(default, alias = "model")]
    pub(crate) target_ref: String,
    /// How good it was.
    #[serde(default, deserialize_with = "written")]
    pub(crate) score: Option<f64>,
    /// Who says so; empty means what the caller is.
    #[serde(default)]
    pub(crate) source: String,
    /// For people.
    #[serde(default)]
    reason: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// Reads a score that is written, which is a number and not `null`.
fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(from).map(Some)
}

/// Takes an outcome.
///
/// # Errors
/// It is not understood, or is of no request that the caller may judge.
pub(super) async fn take(
    console: &dyn Console,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    let named = serde_json::from_slice::<Outcome>(body).ok();
    let named = named.filter(|outcome| is_id(outcome.replay_id.trim()));
    let (Some(outcome), Some(store)) = (named, console.records()) else {
        return console.outcome(headers, body);
    };
    console.settled().await;
    let id = outcome.replay_id.trim().to_ascii_lowercase();
    let kept = store.get(&id).await.map_err(away)?;
    let user = console.judge(headers)?;
    let record = kept.map(|kept| kept.record).filter(|record| {
        // Somebody who speaks for one user may judge that user's requests only.
        user.as_ref().is_none_or(|user| *user == record.caller)
    });
    let record = record.ok_or_else(unknown)?;
    let report = outcome.report(headers, user.is_some())?;
    outcome.check_model(&record)?;
    join(console, headers, &*store, &outcome, &record, report).await
}

/// Keeps an outcome with its record, and lets learning count what it says of the model.
async fn join(
    console: &dyn Console,
    headers: &HeaderMap,
    store: &dyn RecordStore,
    outcome: &Outcome,
    record: &DecisionRecord,
    report: OutcomeReport,
) -> Result<Value, Refusal> {
    let is_of_model = report.target == "model";
    let added = store.add_outcome(&record.id, report).await.map_err(away)?;
    let updated = match added {
        Added::NoRecord => return Err(unknown()),
        Added::Duplicate => 0,
        Added::Added if is_of_model => learned(console, headers, outcome, record),
        Added::Added => 0,
    };
    let is_new = added == Added::Added;
    Ok(json!({
        "success": true,
        "updated": updated,
        "recorded": is_new,
        "duplicate": !is_new,
        "timestamp": Moment::now().to_string(),
    }))
}

/// Returns how many rows learning has changed: none where it is off, or has forgotten the request.
fn learned(
    console: &dyn Console,
    headers: &HeaderMap,
    outcome: &Outcome,
    record: &DecisionRecord,
) -> u64 {
    let mut said = Map::new();
    let mut put = |name: &str, value: Value| said.insert(name.to_owned(), value);
    put("replay_id", record.request_id.as_str().into());
    put("verdict", outcome.verdict.as_str().into());
    if let Some(score) = outcome.score {
        put("score", score.into());
    }
    let body = Value::Object(said).to_string();
    let answer = console.outcome(headers, body.as_bytes());
    let updated = answer
        .ok()
        .and_then(|answer| answer.get("updated")?.as_u64());
    updated.unwrap_or_default()
}

impl Outcome {
    /// Returns what is kept of it.
    fn report(&self, headers: &HeaderMap, is_user: bool) -> Result<OutcomeReport, Refusal> {
        let verdict = Verdict::parse(&self.verdict).ok_or_else(|| {
            invalid("verdict must be one of good_fit, underpowered, overprovisioned, failed")
        })?;
        let target = or(self.target.trim(), "model");
        if !TARGETS.contains(&target) {
            return Err(invalid(&format!(
                "target must be one of {}",
                TARGETS.join(", ")
            )));
        }
        let source = or(
            self.source.trim(),
            if is_user { "user" } else { "operator" },
        );
        if !SOURCES.contains(&source) {
            return Err(invalid(&format!(
                "source must be one of {}",
                SOURCES.join(", ")
            )));
        }
        // Who speaks for a user speaks as one.
        let source = if is_user { "user" } else { source };
        if self
            .score
            .is_some_and(|score| !(0.0..=1.0).contains(&score))
        {
            return Err(invalid("score must be between 0 and 1"));
        }
        let key = match key(headers)? {
            Some(key) => key.to_owned(),
            None => format!("{source}:{target}:{}", verdict.as_str()),
        };
        let fits = |(key, value): &(&String, &String)| {
            key.len() <= ENTRY_KEY && value.len() <= ENTRY_VALUE
        };
        let metadata = self.metadata.iter().filter(fits).take(ENTRIES);
        Ok(OutcomeReport {
            time: Some(Moment::now().into()),
            source: source.to_owned(),
            target: target.to_owned(),
            target_ref: cut(self.target_ref.trim(), REF_MAX),
            verdict: verdict.as_str().to_owned(),
            reason: cut(&self.reason, REASON_MAX),
            score: self.score,
            metadata: metadata
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            idempotency_key: key,
        })
    }

    /// Refuses an outcome of a model that did not answer.
    fn check_model(&self, record: &DecisionRecord) -> Result<(), Refusal> {
        if or(self.target.trim(), "model") != "model" {
            return Ok(());
        }
        let of_metadata = |name: &str| self.metadata.get(name).map(String::as_str);
        let named = [
            Some(self.target_ref.as_str()),
            of_metadata("model"),
            of_metadata("selected_model"),
        ];
        let mut named = named.into_iter().flatten().map(str::trim);
        let other = named.find(|model| !model.is_empty() && *model != record.selected_model);
        match other {
            None => Ok(()),
            Some(other) => Err(Refusal::new(
                StatusCode::CONFLICT,
                "OUTCOME_OWNERSHIP_MISMATCH",
                format!(
                    "the request went to {}, not to {other}",
                    record.selected_model
                ),
            )),
        }
    }
}

fn or<'a>(written: &'a str, usual: &'a str) -> &'a str {
    if written.is_empty() { usual } else { written }
}

fn cut(text: &str, most: usize) -> String {
    let end = text.floor_char_boundary(most);
    text.get(..end).unwrap_or_default().to_owned()
}

/// Returns the key by which an outcome counts once, if the caller gives one.
///
/// # Errors
/// It is empty or too long, or stands there twice.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let key = only(headers, "idempotency-key")?;
    if key.is_some_and(|key| key.is_empty() || key.len() > KEY_MAX) {
        return Err(invalid(&format!(
            "Idempotency-Key must have 1 to {KEY_MAX} characters"
        )));
    }
    Ok(key)
}

/// Returns a header that must not be repeated: two values may have two authors.
///
/// # Errors
/// It stands there twice, or is not text.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value
            .to_str()
            .map(Some)
            .map_err(|_| invalid(&format!("the header {name} is not text"))),
        (Some(_), Some(_)) => Err(invalid(&format!("the header {name} stands there twice"))),
    }
}

/// Refuses what is no outcome.
pub(crate) fn invalid(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "INVALID_OUTCOME", message)
}

fn unknown() -> Refusal {
    let message = "there is no record of this request, or it is another caller's";
    Refusal::new(StatusCode::NOT_FOUND, "REPLAY_NOT_FOUND", message)
}

fn away(failure: StoreError) -> Refusal {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Refusal::new(status, "RECORDS_UNAVAILABLE", failure.to_string())
}

//! `merit explain --path`: a request of any endpoint, taken the way that `serve` takes it.

use super::super::evaluator::identity;
use super::line;
use crate::explain::Query;
use conversation::learning::context::RequestContext;
use conversation::session::SessionHints;
use dialects::{Asked, Dialect, Endpoint, Request, Service};
use document::Problem;
use futures_executor::block_on;
use inference::ask::Ask;
use router::generation::Generation;
use router::pipeline::{self, Routed, RoutingRequest};
use router::plan::Outcome;
use router::plan::translation::api;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Explains a request to `path`.
///
/// # Errors
/// What is wrong with the request.
pub(super) fn explain(
    generation: &Generation,
    path: &str,
    query: &Query,
    models: &dyn Ask,
    deadline: Instant,
) -> Result<String, Vec<Problem>> {
    let settings = &generation.settings;
    let endpoint = match settings.paths.endpoint("POST", path) {
        Endpoint::MethodNotAllowed => settings.paths.endpoint("GET", path),
        endpoint => endpoint,
    };
    let (dialect, service) = match endpoint {
        Endpoint::Inference(dialect) => (dialect, None),
        Endpoint::Service(service) => (service.dialect(), Some(service)),
        other => {
            return Ok(format!(
                "path      {path}: {}\n",
                unread(generation, &other)
            ));
        }
    };
    let deployment = settings.paths.deployment(path);
    let asked = Asked {
        dialect,
        service,
        content_type: "",
        model: deployment.as_deref(),
    };
    let body = Value::Object(body(dialect, service, &query.body)).to_string();
    let request = Request::read(&asked, body.into(), &settings.reading)
        .map_err(|refused| vec![Problem::error("", refused.to_string())])?;

    let identity = identity(&query.headers, settings).unwrap_or_default();
    let call = RoutingRequest {
        prompt: request.prompt(),
        more: request.more(),
        dialect,
        service,
        identity: &identity,
        hints: SessionHints::default(),
        observed: false,
        models,
        deadline,
        context: RequestContext {
            headers: &query.headers,
            previous_response: false,
        },
        full: true,
        traced: false,
        rewritable: true,
    };
    let routed = block_on(pipeline::route(generation, &call));
    Ok(render(path, &routed))
}

/// Says what becomes of a request whose body is not read.
fn unread(generation: &Generation, endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Models | Endpoint::Model(_) => "Merit answers itself, to GET".to_owned(),
        Endpoint::Stored(_) => {
            "goes where the object lives; a body is refused while a policy guards text".to_owned()
        }
        Endpoint::WrongBase(wrong) => format!("refused with 404: {}", wrong.message()),
        Endpoint::MethodNotAllowed => "refused with 405: it takes no POST".to_owned(),
        _ if generation.guards_text() => {
            "not read: a body is refused, as the policy has boundaries or safety rules".to_owned()
        }
        _ => "not read: passes on by the gateway's routes".to_owned(),
    }
}

/// Returns a request body: as it is, or with a text where the endpoint takes it.
fn body(
    dialect: Dialect,
    service: Option<Service>,
    given: &Map<String, Value>,
) -> Map<String, Value> {
    let mut body = given.clone();
    let Some(text) = body.remove("text").filter(Value::is_string) else {
        return given.clone();
    };
    let messages = || json!([{"role": "user", "content": text}]);
    body.entry("model").or_insert_with(|| json!("auto"));
    let (member, value) = match (dialect, service) {
        (_, Some(Service::MessageBatches)) => {
            let mut params = std::mem::take(&mut body);
            params.insert("messages".to_owned(), messages());
            ("requests", json!([{"custom_id": "1", "params": params}]))
        }
        (_, Some(Service::Completions | Service::Images | Service::Transcriptions)) => {
            ("prompt", json!(text))
        }
        (_, Some(Service::Rerank)) => ("query", json!(text)),
        (_, Some(Service::Embeddings | Service::Moderations | Service::Speech))
        | (Dialect::OpenAiResponses, _) => ("input", json!(text)),
        (Dialect::OpenAiChat | Dialect::AnthropicMessages, _) => ("messages", messages()),
    };
    body.insert(member.to_owned(), value);
    body
}

/// Writes what became of a request as plain lines.
fn render(path: &str, routed: &Routed<'_>) -> String {
    let trace = &routed.trace;
    let shown = |name: Option<&str>| name.unwrap_or("-").to_owned();
    let model = shown(trace.model.as_deref());
    let outcome = match &routed.outcome {
        Outcome::Forward(forward) => {
            let wire = forward.translation().map(|it| api(it.backend.dialect));
            let translated = wire.map_or_else(String::new, |api| format!(", translated to {api}"));
            let how = trace.algorithm.unwrap_or("named");
            format!("model     {model} ({how}{translated})")
        }
        Outcome::Count { model, tokens } => {
            format!("model     {model} (Merit counts: about {tokens} tokens)")
        }
        Outcome::Answer { .. } => "model     - (a plugin answers)".to_owned(),
        Outcome::Escalate(_) => format!("model     several ({model} where they are not run)"),
        Outcome::Refuse(refusal) => format!("refused   {} {}", refusal.status, refusal.message),
    };
    let mut text = String::new();
    for content in [
        format!("path      {path}"),
        format!("recipe    {}", shown(trace.recipe.as_deref())),
        format!("decision  {}", shown(trace.decision.as_deref())),
        outcome,
    ] {
        line(&mut text, 0, &content);
    }

    let boundaries: Vec<&str> = trace.verdict.names().map(|name| &**name).collect();
    let parts = [
        ("holding  ", boundaries.join(", ")),
        ("dropped  ", trace.dropped()),
        ("degraded ", trace.degraded.join(", ")),
    ];
    for (title, said) in parts {
        if !said.is_empty() {
            line(&mut text, 0, &format!("{title} {said}"));
        }
    }

    line(&mut text, 0, "matched");
    for (kind, name) in &trace.matched {
        line(&mut text, 1, &format!("{}: {name}", kind.as_str()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::LogFormat;
    use crate::models::tests::Scripted;
    use inference::fake::Fake;

    const POLICY: &str = "{version: v0.3,
      providers: {defaults: {default_model: small}, models: [
        {name: small, location: cloud, backend_refs: [{endpoint: 'b:1'}]},
        {name: large, location: local, backend_refs: [{endpoint: 'b:2'}]},
        {name: vectors, location: cloud, backend_refs: [{endpoint: 'b:3'}]}]},
      routing: {modelCards: [{name: vectors, capabilities: [embeddings]}],
        signals: {keywords: [{name: personal, operator: OR, keywords: [patient]}]},
        boundaries: [{name: stays, when: {type: keyword, name: personal}, allow: {locations: [local]}}],
        decisions: [{name: all, priority: 1, modelRefs: [{model: small}, {model: large}]}]}}";

    #[track_caller]
    fn check(path: &str, body: &Value, expected: &[&str]) {
        let query = Query {
            body: body.as_object().unwrap().clone(),
            headers: Vec::new(),
            path: Some(path.to_owned()),
        };
        let models = Scripted::new(Fake::default());
        let got = super::super::explain(POLICY, &query, LogFormat::Text, None, models)
            .unwrap_or_else(|problems| format!("{problems:?}"));
        for expected in expected {
            assert!(got.contains(expected), "{path} {body}\n{got}");
        }
    }

    #[test]
    fn every_endpoint_is_explained_as_it_is_served() {
        let hi = json!({"text": "hi"});
        let held = json!({"text": "a patient"});
        for path in [
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/messages",
            "/v1/completions",
            "/v1/messages/count_tokens",
            "/v1/messages/batches",
            "/v1/responses/compact",
            "/openai/v1/chat/completions",
        ] {
            check(path, &hi, &["decision  all", "model     small"]);
            let parts = ["model     large", "holding   stays", "keyword: personal"];
            check(path, &held, &parts);
        }
        check("/v1/embeddings", &hi, &["model     vectors (declared)"]);
        let refused = ["refused   403", "holding   stays"];
        check("/v1/embeddings", &held, &refused);
        check("/v1/audio/transcriptions", &held, &["refused   400"]);
        check(
            "/v1/embeddings",
            &json!({"model": "large", "input": ["a patient", "x"]}),
            &["model     large (named)", "holding   stays"],
        );
        check("/v1/rerank", &hi, &["refused   400 no model is declared"]);
        let deployment = "/openai/deployments/large/embeddings";
        check(deployment, &held, &["model     large"]);
        let wrong = json!({"model": 5});
        check(
            "/v1/embeddings",
            &wrong,
            &["field model must be string, got number"],
        );
        for (path, expected) in [
            ("/v1/models", "Merit answers itself"),
            ("/v1/batches", "goes where the object lives"),
            ("/v1/files", "a body is refused"),
            ("/grafana", "a body is refused"),
            ("/chat/completions", "must end in /v1, once"),
        ] {
            check(path, &hi, &[expected]);
        }
    }
}

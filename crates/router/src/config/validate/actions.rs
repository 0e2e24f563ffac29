//! Algorithms and plugins of a decision.

use super::Scope;
use super::models::known_model;
use crate::config::algorithms::Algorithm;
use crate::config::decisions::Decision;
use crate::config::plugins::{HeaderMutation, Plugin, RequestParams, ToolSelection};
use crate::escalation::judge::Method;
use crate::generation::RUN_AT_LEAST_MS;
use document::Findings;
use std::collections::BTreeMap;

pub(super) fn check(scope: &Scope<'_>, path: &str, decision: &Decision, findings: &mut Findings) {
    if let Some(algorithm) = &decision.algorithm {
        self::algorithm(scope, &format!("{path}.algorithm"), algorithm, findings);
        choice(path, decision, algorithm, findings);
    }
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, plugin) in decision.plugins.iter().enumerate() {
        let path = format!("{path}.plugins[{index}]");
        self::plugin(scope, &path, plugin, findings);
        if plugin.is_enabled()
            && let Some(other) = first.insert(plugin.name(), index)
        {
            findings.warn(
                path,
                format!(
                    "`{}` is configured twice, first in plugins[{other}]; only the first acts",
                    plugin.name()
                ),
            );
        }
    }
}

/// What the candidates make of an algorithm.
fn choice(path: &str, decision: &Decision, algorithm: &Algorithm, findings: &mut Findings) {
    let single = decision.model_refs.len() == 1;
    if single && !algorithm.is_looper() && algorithm.name() != "static" {
        let message = format!(
            "`{}` has nothing to choose: there is one candidate",
            algorithm.name()
        );
        findings.note(format!("{path}.algorithm"), message);
    }
    let mut names: Vec<&str> = decision
        .model_refs
        .iter()
        .map(|candidate| candidate.model.as_str())
        .collect();
    names.sort_unstable();
    if algorithm.name() == "prompt" && names.windows(2).any(|pair| pair.first() == pair.last()) {
        findings.error(
            format!("{path}.algorithm"),
            "`prompt` needs candidates with different models",
        );
    }
}

fn algorithm(scope: &Scope<'_>, path: &str, algorithm: &Algorithm, findings: &mut Findings) {
    for block in algorithm
        .blocks()
        .into_iter()
        .filter(|block| *block != algorithm.name())
    {
        let message = format!("is not read: the algorithm is `{}`", algorithm.name());
        findings.warn(format!("{path}.{block}"), message);
    }
    if let Some(automix) = &algorithm.automix {
        let message = match automix.cost_quality_tradeoff > 0.0 {
            true => {
                "only `cost_quality_tradeoff` is read here; the other parameters count in `global.router.model_selection.automix`"
            }
            false => {
                "nothing is read here; the parameters count in `global.router.model_selection.automix`"
            }
        };
        findings.warn(format!("{path}.automix"), message);
    }
    if let Some(latency) = &algorithm.latency_aware {
        for (key, percentile) in [
            ("tpot_percentile", latency.tpot_percentile),
            ("ttft_percentile", latency.ttft_percentile),
        ] {
            if percentile > 100 {
                findings.error(
                    format!("{path}.latency_aware.{key}"),
                    "a percentile is a number from 1 to 100",
                );
            }
        }
        if latency.tpot_percentile == 0 && latency.ttft_percentile == 0 {
            findings.warn(
                format!("{path}.latency_aware"),
                "no percentile is given, so the first candidate is taken",
            );
        }
    }
    if let Some(dc) = &algorithm.router_dc
        && dc.use_capabilities.is_none()
    {
        findings.note(
            format!("{path}.router_dc"),
            "`use_capabilities` is omitted here and thereby off",
        );
    }
    if algorithm.is_looper() {
        several(scope, path, algorithm, findings);
    }
    named_models(scope, path, algorithm, findings);
}

/// Algorithms of several models: which are run, and what their numbers mean.
fn several(scope: &Scope<'_>, path: &str, algorithm: &Algorithm, findings: &mut Findings) {
    let written = algorithm.confidence.clone().unwrap_or_default();
    let method = Method::of(&written).filter(|_| algorithm.name() == "confidence");
    let Some(method) = method else {
        let kind = match algorithm.name() {
            "confidence" => &written.confidence_method,
            kind => kind,
        };
        let message = format!(
            "`{kind}` is not run: the first capable candidate serves the request, with `x-merit-degraded: looper={}_not_run`",
            kind.trim()
        );
        return findings.warn(path, message);
    };
    if written.threshold < 0.0 {
        let meant = method.threshold(written.threshold);
        let message = format!(
            "is below 0, where confidence is a number from 0 to 1; it counts as {meant:.2}"
        );
        findings.warn(format!("{path}.confidence.threshold"), message);
    }
    if written.threshold > 1.0 && !matches!(method, Method::Hybrid { .. }) {
        let message = "is above 1, which no confidence reaches: every candidate is asked, and the last one's answer is taken";
        findings.warn(format!("{path}.confidence.threshold"), message);
    }
    if scope.document.global.server.extproc.buffered_deadline_ms < RUN_AT_LEAST_MS {
        let message = format!(
            "is run where the gateway sends bodies in full duplex; under BUFFERED the first candidate serves the request, unless \
             `message_timeout` of the gateway and `global.server.extproc.buffered_deadline_ms` allow {RUN_AT_LEAST_MS} ms"
        );
        findings.note(path, message);
    }
}

fn named_models(scope: &Scope<'_>, path: &str, algorithm: &Algorithm, findings: &mut Findings) {
    let mut names: Vec<(String, &str)> = Vec::new();
    if let Some(prompt) = &algorithm.prompt {
        names.push(("prompt.model".to_owned(), &prompt.model));
        if prompt.model.is_empty() {
            findings.error(format!("{path}.prompt"), "`model` is missing");
        }
    }
    names.extend(algorithm.remom.iter().map(|remom| {
        (
            "remom.synthesis_model".to_owned(),
            remom.synthesis_model.as_str(),
        )
    }));
    if let Some(fusion) = &algorithm.fusion {
        names.push(("fusion.model".to_owned(), &fusion.model));
        let panel = fusion.analysis_models.iter().enumerate();
        names.extend(
            panel.map(|(index, name)| (format!("fusion.analysis_models[{index}]"), name.as_str())),
        );
        let own = fusion.analysis_overrides.iter().enumerate();
        names.extend(own.map(|(index, own)| {
            (
                format!("fusion.analysis_overrides[{index}].model"),
                own.model.as_str(),
            )
        }));
    }
    if let Some(flow) = &algorithm.workflows {
        names.extend(
            flow.planner
                .iter()
                .map(|planner| ("workflows.planner.model".to_owned(), planner.model.as_str())),
        );
        names.extend(
            flow.final_step
                .iter()
                .map(|last| ("workflows.final.model".to_owned(), last.model.as_str())),
        );
    }
    for (key, name) in names {
        known_model(scope.document, &format!("{path}.{key}"), name, findings);
    }
}

fn plugin(scope: &Scope<'_>, path: &str, plugin: &Plugin, findings: &mut Findings) {
    let path = format!("{path}.configuration");
    match plugin {
        Plugin::FastResponse(reply) if reply.message.trim().is_empty() => {
            findings.warn(path, "`message` is empty, so the answer is");
        }
        Plugin::SystemPrompt(prompt) if plugin.is_enabled() && prompt.system_prompt.is_empty() => {
            findings.warn(path, "`system_prompt` is empty, so nothing is done");
        }
        Plugin::HeaderMutation(headers) => header_mutation(scope, &path, headers, findings),
        Plugin::RequestParams(params) => request_params(&path, params, findings),
        Plugin::ToolSelection(selection) => tool_selection(&path, selection, findings),
        Plugin::ResponseJailbreak(check) => {
            share(&path, "threshold", Some(check.threshold), findings)
        }
        Plugin::Rag(rag) => share(
            &path,
            "similarity_threshold",
            rag.similarity_threshold,
            findings,
        ),
        Plugin::ResponseCache(cache) => {
            let threshold = cache
                .semantic
                .as_ref()
                .and_then(|lookup| lookup.similarity_threshold);
            share(&path, "semantic.similarity_threshold", threshold, findings);
        }
        _ => {}
    }
}

fn share(path: &str, key: &str, value: Option<f64>, findings: &mut Findings) {
    if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        findings.error(format!("{path}.{key}"), "a number from 0 to 1 is wanted");
    }
}

fn header_mutation(
    scope: &Scope<'_>,
    path: &str,
    headers: &HeaderMutation,
    findings: &mut Findings,
) {
    let listed = |list: &str, names: Vec<&str>| -> Vec<(String, String)> {
        let place = |index: usize| format!("{path}.{list}[{index}]");
        names
            .into_iter()
            .enumerate()
            .map(|(index, name)| (place(index), name.to_owned()))
            .collect()
    };
    let mut names = listed(
        "add",
        headers
            .add
            .iter()
            .map(|header| header.name.as_str())
            .collect(),
    );
    names.extend(listed(
        "update",
        headers
            .update
            .iter()
            .map(|header| header.name.as_str())
            .collect(),
    ));
    names.extend(listed(
        "delete",
        headers.delete.iter().map(String::as_str).collect(),
    ));
    let routing = &scope.document.global.server.routing_headers;
    for (path, name) in names {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            findings.error(path, format!("`{name}` is no header name"));
        } else if routing.iter().any(|own| own.eq_ignore_ascii_case(&name)) {
            findings.warn(
                path,
                format!(
                    "overrides the routing header `{name}`, so the request may go to another model than the one chosen"
                ),
            );
        }
    }
    for (index, header) in headers.add.iter().chain(&headers.update).enumerate() {
        if http::HeaderValue::from_str(&header.value).is_err() {
            findings.error(
                path,
                format!(
                    "the value of header {} (`{}`) cannot be sent",
                    index + 1,
                    header.name
                ),
            );
        }
    }
}

fn request_params(path: &str, params: &RequestParams, findings: &mut Findings) {
    if params.strip_unknown {
        let message = "also deletes `max_completion_tokens`, `stream_options` and `chat_template_kwargs` of clients; what Merit itself adds stays";
        findings.note(format!("{path}.strip_unknown"), message);
    }
    if params.max_tokens_limit > 0 && !params.strip_unknown {
        findings.note(
            format!("{path}.max_tokens_limit"),
            "caps `max_tokens`, not `max_completion_tokens`",
        );
    }
    for (index, name) in params.blocked_params.iter().enumerate() {
        if ["model", "messages"].contains(&name.as_str()) {
            findings.error(
                format!("{path}.blocked_params[{index}]"),
                format!("no backend takes a request without `{name}`"),
            );
        }
    }
}

fn tool_selection(path: &str, selection: &ToolSelection, findings: &mut Findings) {
    let filtering = selection.mode == "filter";
    let adding = selection.top_k > 0
        || !selection.tools_db_path.is_empty()
        || selection.similarity_threshold.is_some();
    let thinning = selection.relevance_threshold.is_some() || selection.preserve_count.is_some();
    if filtering && adding {
        findings.error(
            path,
            "`tools_db_path`, `top_k` and `similarity_threshold` belong to `mode: add`",
        );
    }
    if !filtering && thinning {
        findings.error(
            path,
            "`relevance_threshold` and `preserve_count` belong to `mode: filter`",
        );
    }
}

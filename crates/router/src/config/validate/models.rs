//! Version, models, prices, endpoints, entrypoints, recipes, the model catalog.

use crate::config::{DEFAULT_RECIPE, Document, NamePattern, Routing, WILDCARD};
use document::Findings;
use document::suggestion;
use selection::card::ModelDescriptions;
use selection::providers::reasoning::{Reasoning, SwitchKind};
use selection::providers::{BackendRef, ProviderModel, ReasoningFamily};
use std::collections::HashMap;

pub(super) fn check(document: &Document, findings: &mut Findings) {
    version(document, findings);
    providers(document, findings);
    cards(document, findings);
    entrypoints(document, findings);
    recipes(document, findings);
    catalog(document, findings);
    process(document, findings);
}

fn version(document: &Document, findings: &mut Findings) {
    match document.version.trim() {
        "v0.3" => {}
        "" => findings
            .error("version", "`version: v0.3` is missing; older layouts are converted by `vllm-sr config migrate`"),
        "v0.4" => findings.error(
            "version",
            "`version: v0.4` is a form of an unreleased branch; Merit reads `v0.3`, which the release v0.4 writes too",
        ),
        other => findings.error(
            "version",
            format!("the version is `v0.3`, not `{other}`; older layouts are converted by `vllm-sr config migrate`"),
        ),
    }
}

fn providers(document: &Document, findings: &mut Findings) {
    let providers = &document.providers;
    findings.names(
        "providers.models",
        providers.models.iter().map(|model| model.name.as_str()),
    );
    known_model(
        document,
        "providers.defaults.default_model",
        &providers.defaults.default_model,
        findings,
    );
    for (index, model) in providers.models.iter().enumerate() {
        let path = format!("providers.models[{index}]");
        provider(document, &path, model, findings);
        for (index, backend) in model.backend_refs.iter().enumerate() {
            endpoint(&format!("{path}.backend_refs[{index}]"), backend, findings);
        }
    }
}

fn provider(document: &Document, path: &str, model: &ProviderModel, findings: &mut Findings) {
    let families = &document.providers.defaults.reasoning_families;
    let family = &model.reasoning_family;
    if !family.is_empty() && !families.contains_key(family) {
        let hint = suggestion(family, families.keys().map(String::as_str));
        findings.error(
            format!("{path}.reasoning_family"),
            format!("no reasoning family is called `{family}`{hint}"),
        );
    }
    if let Some(reasoning) = &model.reasoning {
        let path = format!("{path}.reasoning");
        reasoning.check(&path, findings);
        if !model.catalog.is_empty() {
            findings.error(
                &path,
                "`catalog` tells how the model reasons: keep one of the two",
            );
        }
        if let Some(family) = families.get(family) {
            both_families(&path, reasoning, family, findings);
        }
    }
    if let Some(pricing) = &model.pricing {
        let prices = [
            ("prompt_per_1m", pricing.prompt_per_1m),
            ("cached_input_per_1m", pricing.cached_input_per_1m),
            ("cache_write_per_1m", pricing.cache_write_per_1m),
            ("completion_per_1m", pricing.completion_per_1m),
        ];
        for (key, _) in prices.into_iter().filter(|(_, price)| *price < 0.0) {
            findings.warn(
                format!("{path}.pricing.{key}"),
                "a price below 0 counts as 0",
            );
        }
    }
    if model
        .reliability
        .as_ref()
        .is_some_and(|reliability| reliability.retry_count > 5)
    {
        findings.error(
            format!("{path}.reliability.retry_count"),
            "at most 5 retries",
        );
    }
}

/// Reports a model whose reasoning is written in both spellings.
fn both_families(
    path: &str,
    reasoning: &Reasoning,
    family: &ReasoningFamily,
    findings: &mut Findings,
) {
    let older = path.replace(".reasoning", ".reasoning_family");
    let written = reasoning.written_out().unwrap_or_default();
    let kind = written.kind.map(SwitchKind::as_str).unwrap_or_default();
    if kind == family.kind && written.parameter == family.parameter {
        let message =
            format!("`{older}` and `{path}` say the same thing: keep `{path}`, the newer spelling");
        findings.warn(older, message);
    } else {
        let message = format!(
            "`{older}` and `{path}` say the same thing differently: keep `{path}`, the newer spelling"
        );
        findings.error(older, message);
    }
}

fn endpoint(path: &str, backend: &BackendRef, findings: &mut Findings) {
    match (backend.endpoint.is_empty(), backend.base_url.is_empty()) {
        // The provider's own API.
        (true, true) if backend.provider == "anthropic" => {}
        (true, true) => findings.error(path, "`endpoint` or `base_url` is missing"),
        (false, false) => findings.error(path, "`endpoint` and `base_url` exclude each other"),
        _ => {}
    }
    let url = &backend.base_url;
    if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
        findings.error(
            format!("{path}.base_url"),
            "a URL with `http://` or `https://` is wanted",
        );
    }
    if backend.endpoint.contains("://") {
        findings.error(
            format!("{path}.endpoint"),
            "`host:port` is wanted here; URLs go to `base_url`",
        );
    }
    if !backend.api_key.is_empty() && !backend.api_key_env.is_empty() {
        findings.warn(
            format!("{path}.api_key"),
            "`api_key_env` is written too and not read",
        );
    }
}

fn cards(document: &Document, findings: &mut Findings) {
    for (_, path, routing) in document.policies() {
        let list = format!("{path}.modelCards");
        findings.names(
            &list,
            routing.model_cards.iter().map(|card| card.name.as_str()),
        );
        for (index, card) in routing.model_cards.iter().enumerate() {
            if !(0.0..=1.0).contains(&card.quality_score) {
                findings.warn(
                    format!("{list}[{index}].quality_score"),
                    "quality is a number from 0 to 1",
                );
            }
            let modality = card.modality.as_str();
            if !["", "ar", "diffusion", "omni"].contains(&modality.to_lowercase().as_str()) {
                let hint = suggestion(modality, ["ar", "diffusion", "omni"]);
                findings.warn(
                    format!("{list}[{index}].modality"),
                    format!("`{modality}` is no modality{hint}"),
                );
            }
        }
    }
}

fn entrypoints(document: &Document, findings: &mut Findings) {
    let mut taken: HashMap<String, &str> = HashMap::new();
    taken.extend(
        document
            .model_cards()
            .map(|card| (card.name.clone(), "a model")),
    );
    taken.extend(
        document
            .providers
            .models
            .iter()
            .map(|model| (model.name.clone(), "a model")),
    );
    let adapters = document.model_cards().flat_map(|card| &card.loras);
    taken.extend(adapters.map(|lora| (lora.name.clone(), "an adapter")));
    taken.extend(
        document
            .looper_names()
            .into_iter()
            .map(|(name, _)| (name, "a multi-model run")),
    );
    taken.extend(
        document
            .auto_model_names()
            .into_iter()
            .map(|name| (name, "an auto name")),
    );
    for (index, entrypoint) in document.entrypoints.iter().enumerate() {
        let path = format!("entrypoints[{index}]");
        match entrypoint.recipe.trim() {
            "" => findings.error(&path, "`recipe` is missing"),
            name if document.recipe(name).is_none() => {
                let known = document
                    .recipes
                    .iter()
                    .map(|recipe| recipe.name.as_str())
                    .chain([DEFAULT_RECIPE]);
                let hint = suggestion(name, known);
                findings.error(
                    format!("{path}.recipe"),
                    format!("no recipe is called `{name}`{hint}"),
                );
            }
            _ => {}
        }
        if entrypoint.model_names.is_empty() {
            findings.error(&path, "`model_names` is empty");
        }
        for (index, name) in entrypoint.model_names.iter().enumerate() {
            let path = format!("{path}.model_names[{index}]");
            let name = name.trim();
            if name.is_empty() {
                findings.error(path, "an empty model name");
            } else if let Some(owner) = taken.insert(name.to_owned(), "another entrypoint") {
                findings.error(path, format!("`{name}` is already the name of {owner}"));
            } else if name.contains(WILDCARD) {
                pattern(document, name, path, findings);
            }
        }
    }
}

/// Notes what a pattern of model names does not take although it fits.
fn pattern(document: &Document, written: &str, path: String, findings: &mut Findings) {
    let pattern = NamePattern::new_case_insensitive(written);
    let models = document.providers.models.iter();
    let kept: Vec<String> = models
        .filter(|model| pattern.matches(&model.name.to_lowercase()))
        .map(|model| format!("`{}`", model.name))
        .collect();
    if !kept.is_empty() {
        let kept = kept.join(", ");
        findings.note(
            path,
            format!(
                "fits models of this document, which stay the client's explicit choice: {kept}"
            ),
        );
    }
}

fn recipes(document: &Document, findings: &mut Findings) {
    findings.names(
        "recipes",
        document.recipes.iter().map(|recipe| recipe.name.as_str()),
    );
    let top = has_policy(&document.routing);
    for (index, recipe) in document.recipes.iter().enumerate() {
        if recipe.name == DEFAULT_RECIPE && top {
            let message = "`default` is the top-level `routing`; name this recipe otherwise, or empty the top-level one";
            findings.error(format!("recipes[{index}].name"), message);
        }
        let reached = document
            .entrypoints
            .iter()
            .any(|entrypoint| entrypoint.recipe == recipe.name);
        if !reached && recipe.name != DEFAULT_RECIPE {
            findings.warn(
                format!("recipes[{index}]"),
                format!("no entrypoint leads to the recipe `{}`", recipe.name),
            );
        }
    }
}

fn has_policy(routing: &Routing) -> bool {
    !routing.decisions.is_empty()
}

fn catalog(document: &Document, findings: &mut Findings) {
    let catalog = &document.global.model_catalog;
    let list = "global.model_catalog";
    findings.names(
        &format!("{list}.external"),
        catalog.external.iter().map(|model| model.name.as_str()),
    );
    findings.names(
        &format!("{list}.kbs"),
        catalog.kbs.iter().map(|kb| kb.name.as_str()),
    );
    for (index, kb) in catalog.kbs.iter().enumerate() {
        for (number, metric) in kb.metrics.iter().enumerate() {
            for (key, group) in [
                ("positive_group", &metric.positive_group),
                ("negative_group", &metric.negative_group),
            ] {
                if !kb.groups.contains_key(group) {
                    let hint = suggestion(group, kb.groups.keys().map(String::as_str));
                    let path = format!("{list}.kbs[{index}].metrics[{number}].{key}");
                    findings.error(path, format!("no group is called `{group}`{hint}"));
                }
            }
        }
    }
}

fn process(document: &Document, findings: &mut Findings) {
    let router = &document.global.router;
    let other = router.strategy.trim() != document.routing.strategy.trim();
    if !router.strategy.trim().is_empty() && other {
        findings.warn(
            "global.router.strategy",
            "has no effect: a recipe's own `strategy` counts",
        );
    }
    let calls = document
        .global
        .integrations
        .looper
        .as_ref()
        .map_or("", |looper| looper.endpoint.trim());
    if !calls.is_empty() && !calls.starts_with("http://") && !calls.starts_with("https://") {
        let message = format!("`{calls}` is not a URL that begins with http:// or https://");
        findings.error("global.integrations.looper.endpoint", message);
    }
    let identity = &document.global.services.authz.identity;
    let trusted = &document.global.server.trusted_identity_headers;
    let bound = document
        .policies()
        .any(|(_, _, routing)| !routing.signals.role_bindings.is_empty());
    let user = if identity.user_id_header.is_empty() {
        "x-authz-user-id"
    } else {
        &identity.user_id_header
    };
    if bound
        && !trusted
            .iter()
            .any(|header| header.eq_ignore_ascii_case(user))
    {
        let message = format!(
            "role bindings take the caller from Envoy's authentication metadata; to believe the header `{user}`, list it in `global.server.trusted_identity_headers`"
        );
        findings.note("global.services.authz.identity", message);
    }
}

/// `name`, if written, must be a model.
pub(super) fn known_model(document: &Document, path: &str, name: &str, findings: &mut Findings) {
    if let Some(message) = document.unknown_model(name) {
        findings.error(path, message);
    }
}

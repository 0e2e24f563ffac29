//! Boundaries: which models they allow, and whether what they read can be relied on. A limit that some
//! other setting quietly lifts is refused together with that setting.

use super::models::known_model;
use super::{Scope, binding};
use crate::config::Document;
use crate::config::decisions::{Allowed, Boundary};
use document::Findings;
use document::suggestion;
use signals::catalog::modules::ClassifierModule;
use signals::families::keyword::Method as KeywordMethod;
use signals::families::learned::classifier::ClassifierKind;
use signals::families::learned::embedding::QueryModality;
use signals::families::learned::scan::ScanScope;
use signals::report::Kind;
use signals::rules::{RuleNode, check_tree};
use signals::scope::base;
use signals::used::UsedSet;

pub(super) fn check(scope: &Scope<'_>, findings: &mut Findings) {
    let routing = scope.routing;
    findings.names(
        &scope.at("boundaries"),
        routing
            .boundaries
            .iter()
            .map(|boundary| boundary.name.as_str()),
    );
    for (index, boundary) in routing.boundaries.iter().enumerate() {
        let path = scope.at(&format!("boundaries[{index}]"));
        allowed(
            scope.document,
            &format!("{path}.allow"),
            &boundary.allow,
            findings,
        );
        binding::served(scope, &path, boundary, findings);
        if let Some(when) = &boundary.when {
            let path = format!("{path}.when");
            check_tree(&scope.signals, &path, when, findings);
            if !when.on_unknown.is_empty() {
                let message = "a boundary holds where a signal failed, whatever `on_unknown` says; leave it out";
                findings.error(format!("{path}.on_unknown"), message);
            }
            forgiving(&path, when, findings);
            binding::predicates(&path, when, findings);
            reads(scope, &path, boundary, when, findings);
        }
    }
    let mut bounded = scope
        .document
        .policies()
        .filter(|(_, _, routing)| !routing.boundaries.is_empty());
    if bounded
        .next()
        .is_some_and(|(_, path, _)| path == scope.signals.path)
    {
        detours(scope, findings);
    }
}

/// Somebody must be allowed, and must be there.
fn allowed(document: &Document, path: &str, allow: &Allowed, findings: &mut Findings) {
    for (index, name) in allow.models.iter().enumerate() {
        known_model(document, &format!("{path}.models[{index}]"), name, findings);
    }
    let known: Vec<&str> = document
        .providers
        .models
        .iter()
        .map(|model| model.location.trim())
        .collect();
    for (index, location) in allow.locations.iter().enumerate() {
        if location.trim().is_empty() || !known.contains(&location.trim()) {
            let hint = suggestion(location, known.iter().copied());
            findings.error(
                format!("{path}.locations[{index}]"),
                format!("no model is at `{location}`{hint}"),
            );
        }
    }
    if allow
        .models
        .iter()
        .chain(&allow.locations)
        .all(|word| word.trim().is_empty())
    {
        let message = "allows nobody, so every request within the boundary would be refused: name `models` or `locations`";
        findings.error(path, message);
    }
}

/// `on_error: no_match` says that a failure lifts the limit.
fn forgiving(path: &str, node: &RuleNode, findings: &mut Findings) {
    if node.on_error.trim().eq_ignore_ascii_case("no_match") {
        let message =
            "a boundary holds where a signal failed, so `no_match` contradicts it; leave it out";
        findings.error(format!("{path}.on_error"), message);
    }
    for (index, child) in node.conditions.iter().enumerate() {
        forgiving(&format!("{path}.conditions[{index}]"), child, findings);
    }
}

/// What the tree reads, through projections and composers.
fn reads(
    scope: &Scope<'_>,
    path: &str,
    boundary: &Boundary,
    when: &RuleNode,
    findings: &mut Findings,
) {
    let used = UsedSet::of(&scope.signals, std::iter::once(when));
    let mut kinds = Vec::new();
    for (kind, name) in used.written() {
        if !kinds.contains(&kind) {
            kinds.push(kind);
            fails_open(scope, path, kind, findings);
            is_off(scope, path, kind, findings);
        }
        if let Some(service) =
            remote(scope, kind, name).filter(|service| !service.is_at(&boundary.allow))
        {
            let message = format!(
                "`{}:{name}` is asked of {}, which would see the text before it is known whether the boundary holds; give that service a `location` that the boundary allows, or read another signal",
                kind.as_str(),
                service.shown
            );
            findings.error(path, message);
        }
        sees(scope, path, kind, name, findings);
        spaced(scope, kind, name, findings);
        binding::rule(scope, kind, name, findings);
    }
}

/// Patterns that ask for a blank where a text may have other white space.
fn spaced(scope: &Scope<'_>, kind: Kind, name: &str, findings: &mut Findings) {
    if kind != Kind::Keyword {
        return;
    }
    let rules = scope.routing.signals.keywords.iter().enumerate();
    let rules = rules.filter(|(_, rule)| {
        rule.name.eq_ignore_ascii_case(name) && rule.method == KeywordMethod::Regex
    });
    for (index, rule) in rules {
        let at = scope.signals.rule(kind, index);
        for (index, pattern) in rule.keywords.iter().enumerate() {
            if has_plain_space(pattern) {
                let message = format!(
                    "a boundary relies on `{pattern}`, which asks for a blank where a text may have a line break or a tab, and \
                     so passes; write `\\s+` for it"
                );
                findings.warn(format!("{at}.keywords[{index}]"), message);
            }
        }
    }
}

/// Tells whether a pattern has a blank outside its classes.
fn has_plain_space(pattern: &str) -> bool {
    let mut is_in_class = false;
    let mut scalars = pattern.chars().peekable();
    while let Some(scalar) = scalars.next() {
        match scalar {
            '\\' if scalars.next_if_eq(&' ').is_some() && !is_in_class => return true,
            '\\' => {
                scalars.next();
            }
            '[' if !is_in_class => {
                is_in_class = true;
                // A bracket at the beginning of a class is one of its characters.
                scalars.next_if_eq(&'^');
                scalars.next_if_eq(&']');
            }
            ']' => is_in_class = false,
            ' ' if !is_in_class => return true,
            _ => {}
        }
    }
    false
}

/// Settings by which a failure counts as no match.
fn fails_open(scope: &Scope<'_>, path: &str, kind: Kind, findings: &mut Findings) {
    let modules = &scope.document.global.model_catalog.modules;
    let allows = |module: Option<&ClassifierModule>| {
        module.is_some_and(|module| module.on_error.trim() == "allow")
    };
    let open = match kind {
        Kind::Jailbreak if allows(modules.prompt_guard.as_ref()) => {
            "global.model_catalog.modules.prompt_guard.on_error: allow"
        }
        Kind::Pii if allows(modules.classifier.pii.as_ref()) => {
            "global.model_catalog.modules.classifier.pii.on_error: allow"
        }
        Kind::Authz if scope.document.global.services.authz.fail_open => {
            "global.services.authz.fail_open: true"
        }
        _ => return,
    };
    findings.error(
        path,
        format!(
            "reads `{}`, which `{open}` lets fail open; a boundary must not",
            kind.as_str()
        ),
    );
}

/// Finds families that are switched off, so that nothing is ever known of them.
fn is_off(scope: &Scope<'_>, path: &str, kind: Kind, findings: &mut Findings) {
    let modules = &scope.document.global.model_catalog.modules;
    let off = |module: Option<&ClassifierModule>| {
        module.is_some_and(|module| module.enabled == Some(false))
    };
    let facts = modules
        .hallucination_mitigation
        .as_ref()
        .and_then(|module| module.fact_check.as_ref());
    let is_off = match kind {
        Kind::Jailbreak => off(modules.prompt_guard.as_ref()),
        Kind::Pii => off(modules.classifier.pii.as_ref()),
        Kind::Domain => off(modules.classifier.domain.as_ref()),
        Kind::FactCheck => off(facts),
        Kind::UserFeedback => off(modules.feedback_detector.as_ref()),
        Kind::Modality => !modules
            .modality_detector
            .as_ref()
            .is_some_and(|module| module.enabled),
        _ => false,
    };
    if is_off {
        let message = format!(
            "reads `{}`, whose module is off, so the boundary would always hold",
            kind.as_str()
        );
        findings.error(path, message);
    }
}

/// A service that a signal is asked of.
struct Service<'a> {
    shown: String,
    location: &'a str,
}

impl Service<'_> {
    fn is_at(&self, allow: &Allowed) -> bool {
        let location = self.location.trim();
        !location.is_empty() && allow.locations.iter().any(|word| word.trim() == location)
    }
}

/// The service behind a signal, if it is not evaluated here.
fn remote<'a>(scope: &Scope<'a>, kind: Kind, name: &str) -> Option<Service<'a>> {
    let catalog = &scope.document.global.model_catalog;
    let modules = &catalog.modules;
    let preference = modules.classifier.preference.as_ref();
    let external = |role: &str| {
        catalog
            .external
            .iter()
            .find(|model| model.model_role.trim() == role)
    };
    let model = match kind {
        Kind::Jailbreak if is_guarded_remotely(scope) && !is_contrastive(scope, name) => {
            external("guardrail")
        }
        Kind::Preference
            if preference.is_some_and(|module| module.use_contrastive == Some(false)) =>
        {
            external("preference")
        }
        Kind::Classifier => {
            let rule = scope
                .routing
                .signals
                .classifiers
                .iter()
                .find(|rule| rule.name == name)?;
            catalog
                .external
                .iter()
                .find(|model| rule.kind == Some(ClassifierKind::Llm) && model.name == rule.model)
        }
        _ => None,
    };
    if let Some(model) = model {
        let shown = format!("the external model `{}`", model.name);
        return Some(Service {
            shown,
            location: &model.location,
        });
    }
    let own_encoder = kind == Kind::Preference
        && preference.is_some_and(|module| !module.embedding_model.is_empty());
    let by_vector = matches!(
        kind,
        Kind::Embedding | Kind::Reask | Kind::Preference | Kind::Complexity | Kind::Kb
    ) || (kind == Kind::Jailbreak && is_contrastive(scope, name));
    let semantic = catalog.embeddings.semantic.as_ref()?;
    let config = semantic.embedding_config.as_ref()?;
    let is_service = config.backend == "openai_compatible" || config.model_type == "remote";
    let location = semantic
        .endpoint
        .as_ref()
        .map_or("", |endpoint| &endpoint.location);
    (by_vector && is_service && !own_encoder).then(|| Service {
        shown: "the encoder of `embeddings.semantic.endpoint`".to_owned(),
        location,
    })
}

fn is_guarded_remotely(scope: &Scope<'_>) -> bool {
    let guard = scope
        .document
        .global
        .model_catalog
        .modules
        .prompt_guard
        .as_ref();
    guard.is_some_and(|guard| matches!(guard.protocol.trim(), "http_chat" | "http_classify"))
}

fn is_contrastive(scope: &Scope<'_>, name: &str) -> bool {
    scope
        .routing
        .signals
        .jailbreak
        .iter()
        .any(|rule| rule.name == name && rule.is_contrastive())
}

/// A request carries earlier turns and tool results too; a signal that does not read them lets them
/// pass.
fn sees(scope: &Scope<'_>, path: &str, kind: Kind, name: &str, findings: &mut Findings) {
    let signals = &scope.routing.signals;
    let whole = [
        ScanScope::Current,
        ScanScope::History,
        ScanScope::System,
        ScanScope::ToolResults,
    ];
    let scan = match kind {
        Kind::Pii => signals
            .pii
            .iter()
            .find(|rule| rule.name == name)
            .map(|rule| &rule.scan),
        Kind::Jailbreak => signals
            .jailbreak
            .iter()
            .find(|rule| rule.name == name)
            .map(|rule| &rule.scan),
        Kind::Embedding => {
            let rule = signals
                .embeddings
                .iter()
                .find(|rule| rule.name == base(name));
            if rule.is_some_and(|rule| rule.query_modality != QueryModality::Text) {
                let message = format!(
                    "reads `embedding:{name}`, which never runs, so the boundary would always hold"
                );
                return findings.error(path, message);
            }
            None
        }
        // Who asks, how much, with what metadata: nothing that a text would have to be read for.
        Kind::Authz
        | Kind::Context
        | Kind::Conversation
        | Kind::InputModality
        | Kind::Metadata
        | Kind::Projection => return,
        Kind::Safety => {
            let message = format!(
                "reads `safety:{name}`, which is not run, so the boundary would always hold"
            );
            return findings.error(path, message);
        }
        _ => None,
    };
    if let Some(scan) = scan.filter(|scan| whole.iter().all(|part| scan.contains(part))) {
        return optional_scopes(path, kind, name, scan, findings);
    }
    let remedy = if scan.is_some() {
        "set `scan: [current, history, system, tool_results]` on it"
    } else {
        "a `pii` or `jailbreak` rule with `scan` can read all"
    };
    let message = format!(
        "`{}:{name}` does not read the whole request: what only earlier turns, system texts, tool results, definitions or metadata hold passes the boundary; {remedy}",
        kind.as_str()
    );
    findings.warn(path, message);
}

/// Tool definitions and metadata are read only by rules that ask for them.
fn optional_scopes(
    path: &str,
    kind: Kind,
    name: &str,
    scan: &[ScanScope],
    findings: &mut Findings,
) {
    let optional = [
        (ScanScope::Definitions, "definitions"),
        (ScanScope::Metadata, "metadata"),
    ];
    let missing = optional.iter().filter(|(scope, _)| !scan.contains(scope));
    let missing: Vec<&str> = missing.map(|(_, word)| *word).collect();
    if !missing.is_empty() {
        let message = format!(
            "`{}:{name}` reads all messages, and neither definitions of tools and formats nor metadata, names and identifiers unless `scan` lists them; it lacks: {}",
            kind.as_str(),
            missing.join(", ")
        );
        findings.note(path, message);
    }
}

/// Ways around the choice of a model.
fn detours(scope: &Scope<'_>, findings: &mut Findings) {
    let document = scope.document;
    if document
        .global
        .router
        .skip_processing
        .as_ref()
        .is_some_and(|skip| skip.enabled)
    {
        let message = "would let callers go around the boundaries by a header; with boundaries it must be off";
        findings.error("global.router.skip_processing.enabled", message);
    }
    if !document.global.router.clear_route_cache {
        let message = "would let Envoy keep the route that it chose before Merit had read the body, whatever a boundary forbids; with boundaries it must be on";
        findings.error("global.router.clear_route_cache", message);
    }
    let routing_headers = &document.global.server.routing_headers;
    let routes = |name: &str| {
        routing_headers
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name.trim()))
    };
    for (_, path, routing) in document.policies() {
        for (index, decision) in routing.decisions.iter().enumerate() {
            for (number, plugin) in decision.plugins.iter().enumerate() {
                let changed = plugin.request_headers();
                if let Some(name) = changed.into_iter().find(|name| routes(name)) {
                    let path = format!("{path}.decisions[{index}].plugins[{number}].configuration");
                    findings.error(
                        path,
                        format!(
                            "`{name}` chooses the model; with boundaries no plugin may change it"
                        ),
                    );
                }
            }
        }
    }
    for (index, model) in document.providers.models.iter().enumerate() {
        for (number, backend) in model.backend_refs.iter().enumerate() {
            if let Some(name) = backend.extra_headers.keys().find(|name| routes(name)) {
                let path =
                    format!("providers.models[{index}].backend_refs[{number}].extra_headers");
                findings.error(
                    path,
                    format!("`{name}` chooses the model; with boundaries no backend may change it"),
                );
            }
        }
    }
    let message = "boundaries are asked on every endpoint that Merit reads; a request body on any other path is refused, unless `global.server.passthrough` lists it. What a URL's query or a header holds is not read";
    findings.note(scope.at("boundaries"), message);
}

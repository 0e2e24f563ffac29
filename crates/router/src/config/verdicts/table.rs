//! The rows: every key and value that came with v0.4, and what becomes of it.

use super::{Row, Verdict};
use crate::plugins::NotRun;

const fn row(path: &'static str, verdict: Verdict) -> Row {
    Row { path, verdict }
}

const fn served(how: &'static str) -> Verdict {
    Verdict::NotRun(NotRun::Served(how))
}

const FOR_PEOPLE: Verdict = Verdict::Note("for people, without effect on routing");
const NO_IMAGES: Verdict = Verdict::Reported;
const OWN_MODELS: Verdict = served("signals use the models of `global.model_catalog.modules`");
const OWN_WINDOWS: Verdict = Verdict::Note("long texts are read in windows, to their end");
const OWN_LIMIT: Verdict =
    Verdict::Note("`global.server.inference.remote_response_bytes` is the limit");
const OWN_SERVER: Verdict = served("the model of this process is asked");
const NO_CACHE: Verdict = Verdict::Reported;

/// The keys and values that came with v0.4, in the order of the document's sections.
pub(in crate::config) const VERDICTS: &[Row] = &[
    // Models.
    row("providers.defaults.model", Verdict::Runs),
    row("providers.defaults.reasoning_effort", Verdict::Runs),
    row(
        "providers.models[].catalog",
        Verdict::Note("the model's card and records are found by it, and not how it reasons"),
    ),
    row("providers.models[].reasoning", Verdict::Runs),
    row("providers.models[].api_format=responses", Verdict::Runs),
    // Evidence.
    row("evaluation.benchmarks", Verdict::Runs),
    row("evaluation.indices", Verdict::Runs),
    row("evaluation.records", Verdict::Runs),
    // Routing.
    row("routing.candidate_requirements", Verdict::Runs),
    row("routing.data_policy", Verdict::Runs),
    row("routing.model_bindings", OWN_MODELS),
    row("routing.fallback", Verdict::Runs),
    row("routing.modelCards[].display_name", FOR_PEOPLE),
    row("routing.modelCards[].publisher", FOR_PEOPLE),
    row("routing.modelCards[].family", FOR_PEOPLE),
    row("routing.modelCards[].revision", FOR_PEOPLE),
    row("routing.modelCards[].released_at", FOR_PEOPLE),
    row("routing.modelCards[].knowledge_cutoff", FOR_PEOPLE),
    row("routing.modelCards[].lifecycle", FOR_PEOPLE),
    row("routing.modelCards[].presentation", FOR_PEOPLE),
    row("routing.modelCards[].distribution", FOR_PEOPLE),
    row("routing.modelCards[].max_output_tokens", Verdict::Runs),
    row("routing.modelCards[].modalities", Verdict::Runs),
    // Signals.
    row("routing.signals.embeddings[].image_candidates", NO_IMAGES),
    row(
        "routing.signals.embeddings[].negative_candidates",
        Verdict::Runs,
    ),
    row(
        "routing.signals.embeddings[].negative_image_candidates",
        NO_IMAGES,
    ),
    row(
        "routing.signals.embeddings[].prototype_scoring",
        Verdict::Runs,
    ),
    row(
        "routing.signals.complexity[].prototype_scoring",
        Verdict::Runs,
    ),
    row("routing.signals.complexity[].hard_above", Verdict::Runs),
    row("routing.signals.complexity[].easy_below", Verdict::Runs),
    row(
        "routing.signals.complexity[].hard_below",
        served("examples grade turns, by `threshold`"),
    ),
    row(
        "routing.signals.complexity[].easy_above",
        served("examples grade turns, by `threshold`"),
    ),
    row(
        "routing.signals.complexity[].composer.on_unknown",
        Verdict::Runs,
    ),
    row("routing.signals.jailbreak[].direction", Verdict::Runs),
    row(
        "routing.signals.jailbreak[].direction=response",
        Verdict::Note("answers are not checked; decisions cannot read the rule"),
    ),
    row(
        "routing.signals.safety",
        served(
            "nothing is known of its rules, which shows as `x-merit-degraded: safety=unready`; `on_unknown` of decisions says what that means",
        ),
    ),
    row(
        "routing.signals.hallucination",
        Verdict::Note("answers are not checked; decisions cannot read the rules"),
    ),
    row("routing.signals.input_modality", Verdict::Runs),
    row(
        "routing.signals.classifiers[].disable_rationale",
        Verdict::Note("a model is never asked for its reasons"),
    ),
    row(
        "routing.signals.classifiers[].type=sequence_classifier",
        served("the classifier gives no label, and its `on_error` is not asked"),
    ),
    row(
        "routing.signals.conversation[].feature.source.type=tool_choice_required",
        served("it counts as 0"),
    ),
    row(
        "routing.signals.conversation[].feature.source.type=tool_choice_none",
        served("it counts as 0"),
    ),
    row(
        "routing.signals.conversation[].feature.source.type=flow_tool_state",
        served("it counts as 0"),
    ),
    // Decisions.
    row("routing.decisions[].rules.on_unknown", Verdict::Runs),
    row(
        "routing.decisions[].rules.conditions[].on_unknown",
        Verdict::Reported,
    ),
    row("routing.decisions[].action", Verdict::Runs),
    row(
        "routing.decisions[].modelRefs[].reasoning_mode",
        Verdict::Runs,
    ),
    row(
        "routing.decisions[].candidateIterations[].models[].reasoning_mode",
        Verdict::Note("loops are kept for tools"),
    ),
    row(
        "routing.decisions[].algorithm.minimum_candidates",
        Verdict::Runs,
    ),
    row(
        "routing.decisions[].algorithm.confidence.max_response_bytes",
        Verdict::Note("`global.server.looper.max_bytes` is the limit"),
    ),
    row(
        "routing.decisions[].algorithm.fusion.analysis_mode",
        served("the judge analyses and answers in one call"),
    ),
    row(
        "routing.decisions[].algorithm.fusion.quorum_failure_policy",
        served("too few answers are an error of the run"),
    ),
    row(
        "routing.decisions[].algorithm.fusion.quorum_fallback_target",
        served("too few answers are an error of the run"),
    ),
    row(
        "routing.decisions[].algorithm.workflows.final.prompt",
        served("the last step has Merit's own prompt"),
    ),
    row(
        "routing.decisions[].algorithm.multi_factor.objective",
        Verdict::Runs,
    ),
    row(
        "routing.decisions[].algorithm.multi_factor.quality",
        Verdict::Runs,
    ),
    row(
        "routing.decisions[].algorithm.multi_factor.expected_output_tokens",
        Verdict::Runs,
    ),
    row(
        "routing.decisions[].algorithm.multi_factor.latency_metric",
        Verdict::Runs,
    ),
    row(
        "routing.decisions[].adaptations.adaptation.candidate_set",
        served("`global.router.learning.adaptation.candidate_set` holds"),
    ),
    row(
        "routing.decisions[].output_contract_spec.choice_set",
        Verdict::Reported,
    ),
    row(
        "routing.decisions[].output_contract_spec.json_schema",
        Verdict::Reported,
    ),
    row(
        "routing.decisions[].output_contract_spec.render",
        Verdict::Reported,
    ),
    row(
        "routing.decisions[].output_contract_spec.normalize",
        Verdict::Reported,
    ),
    row("routing.decisions[].plugins[prompt_cache]", Verdict::Runs),
    row(
        "routing.decisions[].plugins[shadow_dispatch]",
        Verdict::Reported,
    ),
    row(
        "routing.decisions[].plugins[rag].configuration.rerank",
        Verdict::Reported,
    ),
    row(
        "routing.decisions[].plugins[tools].configuration.dynamic_retrieval",
        Verdict::Reported,
    ),
    row(
        "routing.decisions[].plugins[request_params].configuration.default_max_tokens",
        Verdict::Runs,
    ),
    row(
        "routing.decisions[].plugins[request_params].configuration.default_max_tokens=auto",
        served("a request without a limit goes on without"),
    ),
    row(
        "routing.decisions[].plugins[context_compression].configuration.targets.current_user",
        Verdict::Reported,
    ),
    row("routing.decisions[].rules.type=safety", Verdict::Reported),
    row(
        "routing.decisions[].rules.type=input_modality",
        Verdict::Runs,
    ),
    row(
        "routing.decisions[].rules.conditions[].type=safety",
        Verdict::Reported,
    ),
    row(
        "routing.decisions[].rules.conditions[].type=input_modality",
        Verdict::Runs,
    ),
    row(
        "routing.signals.complexity[].composer.type=safety",
        Verdict::Reported,
    ),
    row(
        "routing.signals.complexity[].composer.type=input_modality",
        Verdict::Runs,
    ),
    row(
        "routing.signals.complexity[].composer.conditions[].type=safety",
        Verdict::Reported,
    ),
    row(
        "routing.signals.complexity[].composer.conditions[].type=input_modality",
        Verdict::Runs,
    ),
    row(
        "routing.projections.scores[].inputs[].type=safety",
        Verdict::Reported,
    ),
    row(
        "routing.projections.scores[].inputs[].type=input_modality",
        Verdict::Runs,
    ),
    row(
        "routing.signals.complexity[].composer.conditions[].on_unknown",
        Verdict::Reported,
    ),
    // The process.
    row("global.router.fallback", Verdict::Runs),
    row(
        "global.router.learning.protection.tuning.progress_gate",
        Verdict::Reported,
    ),
    row(
        "global.router.learning.protection.tuning.progress_gate.mode=enforce",
        served("outcomes let no conversation switch early"),
    ),
    row(
        "global.router.learning.state_store.backend=local",
        Verdict::Runs,
    ),
    row(
        "global.router.model_selection.ml.model_type",
        Verdict::Note("a decision names its algorithm"),
    ),
    row(
        "global.services.api.embeddings",
        Verdict::Note("`--admin` serves what there is"),
    ),
    row(
        "global.services.api.routing_preview",
        Verdict::Note("the preview has the admin API's own limits"),
    ),
    row(
        "global.services.observability.profiling",
        Verdict::Note("the profiler is the reference's own"),
    ),
    row("global.stores.response_cache.redis", NO_CACHE),
    row("global.stores.response_cache.valkey", NO_CACHE),
    row("global.stores.response_cache.qdrant", NO_CACHE),
    row("global.stores.response_cache.polarity_guard", NO_CACHE),
    row("global.stores.memory.persistence", Verdict::Reported),
    // Models of signals.
    row("global.model_catalog.bindings", OWN_MODELS),
    row("global.model_catalog.deployments", OWN_MODELS),
    row(
        "global.model_catalog.admission",
        served("`global.server.inference` has the one queue of all models"),
    ),
    row(
        "global.model_catalog.embeddings.semantic.embedding_config.full_context",
        Verdict::Note("whole texts are always read"),
    ),
    row(
        "global.model_catalog.embeddings.semantic.endpoint.max_response_bytes",
        OWN_LIMIT,
    ),
    row(
        "global.model_catalog.system.safety",
        Verdict::Note("no rule on safety is run"),
    ),
    row(
        "global.model_catalog.system.hazard",
        Verdict::Note("no rule on safety is run"),
    ),
    row(
        "global.model_catalog.external[].reasoning",
        served("the model reasons as its server wants"),
    ),
    row(
        "global.model_catalog.external[].max_request_bytes",
        served("texts are sent whole"),
    ),
    row(
        "global.model_catalog.external[].max_response_bytes",
        OWN_LIMIT,
    ),
    row(
        "global.model_catalog.modules.safety",
        Verdict::Note("no rule on safety is run"),
    ),
    row(
        "global.model_catalog.modules.prompt_guard.max_sequence_length",
        OWN_WINDOWS,
    ),
    row(
        "global.model_catalog.modules.prompt_guard.backend",
        Verdict::Runs,
    ),
    row(
        "global.model_catalog.modules.prompt_guard.window",
        OWN_WINDOWS,
    ),
    row(
        "global.model_catalog.modules.classifier.domain.max_sequence_length",
        OWN_WINDOWS,
    ),
    row(
        "global.model_catalog.modules.classifier.domain.backend",
        OWN_SERVER,
    ),
    row(
        "global.model_catalog.modules.classifier.mcp.max_response_bytes",
        OWN_LIMIT,
    ),
    row(
        "global.model_catalog.modules.classifier.pii.window",
        OWN_WINDOWS,
    ),
    row(
        "global.model_catalog.modules.classifier.pii.max_sequence_length",
        OWN_WINDOWS,
    ),
    row(
        "global.model_catalog.modules.classifier.pii.backend",
        OWN_SERVER,
    ),
    row(
        "global.model_catalog.modules.complexity.backend",
        served("examples grade turns"),
    ),
    row(
        "global.model_catalog.modules.hallucination_mitigation.fact_check.max_sequence_length",
        OWN_WINDOWS,
    ),
    row(
        "global.model_catalog.modules.feedback_detector.max_sequence_length",
        OWN_WINDOWS,
    ),
    row(
        "global.model_catalog.modules.modality_detector.classifier.max_sequence_length",
        OWN_WINDOWS,
    ),
];

//! What a record says of a request: names of the document, ids that the client chose, and figures.
//! Never text; where a boundary holds, no id that stands in the body either.

use super::event::{Begun, Ended, Kind, Run, Seen};
use super::tariff::Tariff;
use crate::engine::Generation;
use conversation::session::SessionOutcome;
use dialects::Dialect as Wire;
use records::ledger::money::{Joules, add_up, energy};
use records::record::{
    Attempt, Candidate, Decision, DecisionRecord, Degradation, DegradationReason, Dialect, Guards,
    Lifecycle, Moment, Outcome, PluginEffect, PluginRun, Selection, Signal, SignalName,
    SignalState, Timings, Tokens, VERSION, wire_span,
};
use router::config::decisions::Decision as Written;
use router::plan::Trace;
use router::recipe::Recipe;
use selection::card::ModelDescriptions as _;
use serde_json::{Map, Value, json};
use signals::report::{Key, Kind as Family, SignalReport};
use signals::rules::RuleNode;
use std::sync::Arc;

/// Characters of an id or a name that a client wrote.
const ID_MAX: usize = 256;

/// Begins the record of a request whose headers alone were read.
pub(super) fn seen(seen: &Seen) -> DecisionRecord {
    let id = format!("{:032x}", seen.id);
    DecisionRecord {
        request_id: seen.request_id.as_deref().map_or_else(|| id.clone(), cut),
        time: Some(Moment::from(seen.at).into()),
        config_hash: seen.serving.hash.clone(),
        dialect: seen.dialect.map_or(Dialect::Unspecified, wire).into(),
        outcome: Outcome::Refused.into(),
        id,
        version: VERSION,
        lifecycle: Lifecycle::InProgress.into(),
        ..DecisionRecord::default()
    }
}

fn wire(dialect: Wire) -> Dialect {
    match dialect {
        Wire::OpenAiChat => Dialect::OpenaiChat,
        Wire::OpenAiResponses => Dialect::OpenaiResponses,
        Wire::AnthropicMessages => Dialect::AnthropicMessages,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(ID_MAX).collect()
}

/// Begins the record of a request that was decided on.
pub(super) fn begun(begun: &Begun) -> DecisionRecord {
    let (trace, router) = (&*begun.trace, &begun.seen.serving.router);
    let written = written(begun);
    let mut record = DecisionRecord {
        stream: begun.stream,
        outcome: outcome(begun.kind).into(),
        caller: cut(&begun.caller),
        turn_index: u32::try_from(begun.turn).unwrap_or(u32::MAX),
        context_token_count: u32::try_from(trace.context_tokens).unwrap_or(u32::MAX),
        boundaries: trace.verdict.names().map(ToString::to_string).collect(),
        timings: Some(Timings {
            overhead: Some(wire_span(begun.parse + begun.route)),
            parse: Some(wire_span(begun.parse)),
            ..Timings::default()
        }),
        ..seen(&begun.seen)
    };
    names(&mut record, begun);
    if let Some(body) = &begun.body {
        let digest = router.secret.digest("record", &[body.bytes()]);
        record.prompt_hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    let found = begun.report.as_ref().and_then(|(name, report)| {
        let mut recipes = router.recipes.iter();
        Some((recipes.find(|recipe| recipe.name == *name)?, report))
    });
    if let Some((recipe, report)) = found {
        signals(&mut record, recipe, report);
        projections(&mut record, recipe, report);
    }
    decided(&mut record, trace, written, found);
    chosen(&mut record, &begun.seen.serving, trace);
    if matches!(begun.kind, Kind::Answered | Kind::Refused) {
        record.selected_model.clear();
    }
    if let Some(written) = written {
        record.plugins = plugins(written, begun.kind);
    }
    record.diagnostics_json = diagnostics(trace);
    record.learning_json = learning(trace);
    record
}

/// Names and ids that the client wrote. Under a boundary those in the body may be text that must
/// not be kept: only what the document knows stays.
fn names(record: &mut DecisionRecord, begun: &Begun) {
    let router = &begun.seen.serving.router;
    let is_free = begun.trace.verdict.sees_records();
    let is_known = || {
        let named = begun.requested_model.as_str();
        let listed = router.names.listed().iter().chain(router.names.unlisted());
        listed.into_iter().any(|line| line.id == named)
            || begun.trace.model.as_deref() == Some(named)
    };
    // A name that nothing was read of may be any text.
    let has_boundaries = router.recipes.iter().any(|it| !it.boundaries.is_empty());
    let is_read = begun.trace.recipe.is_some();
    if is_known() || !has_boundaries || (is_free && is_read) {
        record.requested_model = cut(&begun.requested_model);
    }
    let id = |text: &Option<String>| text.as_deref().map(cut).unwrap_or_default();
    record.session_id = id(&begun.session);
    if is_free {
        record.previous_response_id = id(&begun.previous_response);
        record.conversation_id = id(&begun.conversation);
    }
}

fn outcome(kind: Kind) -> Outcome {
    match kind {
        Kind::Routed => Outcome::Routed,
        Kind::PassedThrough => Outcome::PassedThrough,
        Kind::Answered => Outcome::Answered,
        Kind::Refused => Outcome::Refused,
        Kind::Ran => Outcome::Ran,
    }
}

/// Returns the decision as the document writes it.
fn written(begun: &Begun) -> Option<&Written> {
    let (recipe, decision) = (begun.trace.recipe.as_ref()?, begun.trace.decision.as_ref()?);
    let document = &begun.seen.serving.router.document;
    let mut policies = document.policies();
    let (_, _, routing) = policies.find(|(name, _, _)| **name == **recipe)?;
    let mut decisions = routing.decisions.iter();
    decisions.find(|written| *written.name == **decision)
}

fn named(recipe: &Recipe, key: Key) -> SignalName {
    SignalName {
        r#type: recipe.keys.kind(key).as_str().to_owned(),
        name: recipe.keys.name(key).to_owned(),
    }
}

fn signals(record: &mut DecisionRecord, recipe: &Recipe, report: &SignalReport) {
    for key in recipe.keys.iter() {
        let kind = recipe.keys.kind(key);
        let family = report.families.get(kind as usize);
        let ran = family.is_some_and(|family| family.ran);
        let is_matched = report.is_matched(key);
        if kind == Family::Projection {
            if is_matched {
                record.projections.push(recipe.keys.name(key).to_owned());
            }
            continue;
        }
        if !ran && !is_matched {
            record.skipped.push(named(recipe, key));
            continue;
        }
        let state = if report.is_failed(key) {
            SignalState::Failed
        } else if is_matched {
            SignalState::Matched
        } else {
            SignalState::NotMatched
        };
        record.signals.push(Signal {
            signal: Some(named(recipe, key)),
            state: state.into(),
            confidence: report.confidence(key),
            value: report.value(key),
        });
    }
}

fn projections(record: &mut DecisionRecord, recipe: &Recipe, report: &SignalReport) {
    let trace = recipe.projected(report);
    if trace.scores.is_empty() && trace.mappings.is_empty() {
        return;
    }
    for score in &trace.scores {
        record
            .projection_scores
            .insert(score.name.to_owned(), score.score);
    }
    let mut value = serde_json::to_value(&trace).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("schema_version".to_owned(), "1".into());
    }
    record.projection_trace_json = value.to_string();
}

fn decided(
    record: &mut DecisionRecord,
    trace: &Trace,
    written: Option<&Written>,
    found: Option<(&Recipe, &SignalReport)>,
) {
    record.recipe = trace.recipe.as_deref().unwrap_or_default().to_owned();
    record.category = trace.category.as_deref().unwrap_or_default().to_owned();
    let mut leaves = Vec::new();
    if let Some(rules) = written.and_then(|written| written.rules.as_ref()) {
        gather(rules, &mut leaves);
    }
    if let Some(name) = &trace.decision {
        let number = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
        let held = leaves.iter().filter_map(|leaf| {
            let (recipe, report) = found?;
            let kind = Family::ALL
                .into_iter()
                .find(|kind| kind.as_str() == leaf.kind)?;
            let key = recipe.keys.get(kind, &leaf.name)?;
            report.is_matched(key).then(|| named(recipe, key))
        });
        record.decision = Some(Decision {
            name: name.to_string(),
            confidence: trace.confidence.unwrap_or_default(),
            priority: written.map_or(0, |written| number(written.priority)),
            tier: number(trace.tier),
            matched: held.collect(),
        });
    }
    let guards = |kind: &str| leaves.iter().any(|leaf| leaf.kind == kind);
    let matched = |kind: &str| -> Vec<String> {
        let signals = record.signals.iter();
        let signals = signals.filter(|signal| signal.state() == SignalState::Matched);
        let names = signals.filter_map(|signal| signal.signal.as_ref());
        let names = names.filter(|name| name.r#type == kind);
        names.map(|name| name.name.clone()).collect()
    };
    let (jailbreak, pii) = (matched("jailbreak"), matched("pii"));
    let guards = Guards {
        enabled: guards("jailbreak") || guards("pii"),
        jailbreak_enabled: guards("jailbreak"),
        pii_enabled: guards("pii"),
        jailbreak_detected: !jailbreak.is_empty(),
        jailbreak_type: jailbreak.first().cloned().unwrap_or_default(),
        pii_detected: !pii.is_empty(),
        pii_entities: pii,
        ..Guards::default()
    };
    record.guards = (guards != Guards::default()).then_some(guards);
}

/// Gathers the leaves of a rule tree.
fn gather<'a>(node: &'a RuleNode, leaves: &mut Vec<&'a RuleNode>) {
    if node.conditions.is_empty() {
        leaves.push(node);
    }
    node.conditions.iter().for_each(|node| gather(node, leaves));
}

/// Says which model was chosen, and how.
fn chosen(record: &mut DecisionRecord, serving: &Generation, trace: &Trace) {
    let model = trace.model.as_deref().unwrap_or_default();
    record.selected_model = model.to_owned();
    record.degraded = trace.degraded.iter().map(|it| degradation(it)).collect();
    let scored = trace.scores.iter().map(|(model, score)| Candidate {
        model: model.to_string(),
        score: Some(*score),
        excluded_by: String::new(),
    });
    let dropped = trace.dropped.iter().map(|dropped| Candidate {
        model: dropped.model.to_string(),
        score: None,
        excluded_by: dropped.by.to_string(),
    });
    let considered: Vec<Candidate> = scored.chain(dropped).collect();
    if trace.algorithm.is_none() && considered.is_empty() {
        record.selection = None;
        return;
    }
    let provider = serving.router.document.provider_model(model);
    let id = provider.map_or("", |provider| provider.provider_model_id.trim());
    record.selection = Some(Selection {
        algorithm: trace.algorithm.unwrap_or_default().to_owned(),
        considered,
        model: model.to_owned(),
        provider_model_id: if id.is_empty() { model } else { id }.to_owned(),
        confidence: 0.0,
        fallback_reason: trace.fallback.unwrap_or_default().to_owned(),
        reasoning: trace.reasoning,
    });
}

fn degradation(degraded: &str) -> Degradation {
    let (component, reason) = degraded.split_once('=').unwrap_or((degraded, ""));
    let reason = match reason {
        "unready" => DegradationReason::Unready,
        "shed" => DegradationReason::Shed,
        "timeout" => DegradationReason::TimedOut,
        "truncated" => DegradationReason::Truncated,
        "error" => DegradationReason::Error,
        _ => DegradationReason::Unspecified,
    };
    Degradation {
        component: component.to_owned(),
        reason: reason.into(),
    }
}

fn plugins(written: &Written, kind: Kind) -> Vec<PluginRun> {
    let enabled = written.plugins.iter().filter(|plugin| plugin.is_enabled());
    let run =
        enabled.filter(|plugin| plugin.not_run().is_none() && plugin.name() != "router_replay");
    run.map(|plugin| {
        let effect = match kind {
            Kind::Answered if plugin.answers() => PluginEffect::Answered,
            Kind::Answered | Kind::Refused => PluginEffect::None,
            Kind::Routed | Kind::PassedThrough | Kind::Ran => PluginEffect::Edited,
        };
        PluginRun {
            plugin: plugin.name().to_owned(),
            effect: effect.into(),
            elapsed: None,
        }
    })
    .collect()
}

/// What operators ask beside, as the reference names it.
fn diagnostics(trace: &Trace) -> String {
    let mut about = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            about.insert(name.to_owned(), value.into());
        }
    };
    put("selection_reasoning", trace.reason.as_deref());
    put("degraded", Some(&trace.degraded.join(",")));
    put("unknown_decisions", Some(&trace.unknown.join(",")));
    let refused_by = trace.refused_by.as_ref().map(ToString::to_string);
    put("refused_by", refused_by.as_deref());
    if let Some(session) = &trace.session {
        put("session_phase", Some(session.phase.as_str()));
        put("session_action", Some(action(session)));
        put(
            "session_reason",
            session.reason.map(|reason| reason.as_str()),
        );
        put("previous_model", session.previous.as_deref());
        put("proposal_model", session.proposed.as_deref());
        about.insert(
            "session_policy_applied".to_owned(),
            (!session.observed).into(),
        );
    }
    Value::Object(about).to_string()
}

/// What a session did, in the reference's words.
fn action(session: &SessionOutcome) -> &'static str {
    use conversation::session::Action;
    match session.action {
        Action::New => "establish_baseline",
        Action::Same | Action::Hold => "stay",
        Action::Switch => "switch",
        Action::Helper => "none",
    }
}

fn learning(trace: &Trace) -> String {
    let Some(learned) = &trace.learned else {
        return String::new();
    };
    let mut parts = Map::new();
    for step in &learned.steps {
        let scores = step.scores.iter();
        let scores: Map<String, Value> = scores
            .map(|(model, score)| (model.to_string(), json!({"score": score})))
            .collect();
        let part = json!({
            "learning": step.part.as_str(),
            "mode": step.mode.as_str(),
            "scope": step.scope.map(conversation::learning::reference::Scope::as_str),
            "action": step.action.as_str(),
            "reason": step.reason.as_str(),
            "scores": scores,
            "final_model": trace.model.as_deref(),
        });
        parts.insert(step.part.as_str().to_owned(), part);
    }
    Value::Object(parts).to_string()
}

/// Adds what is known of the answer.
pub(super) fn answer(record: &mut DecisionRecord, end: &Ended) {
    if end.status != 0 {
        record.response_status = end.status.into();
    }
    record.streamed |= end.streamed;
    let degraded = end.degraded.iter();
    record.degraded.extend(degraded.map(|reason| Degradation {
        component: format!("response:{reason}"),
        reason: DegradationReason::Error.into(),
    }));
    if record.outcome() == Outcome::Refused || end.end == super::End::Refused {
        record.refused_status = (end.status != 0).then_some(end.status.into());
        record.outcome = Outcome::Refused.into();
    }
    if let Some(timings) = &mut record.timings {
        timings.time_to_first_token = end.first_token.map(wire_span);
        timings.completion = end.total.map(wire_span);
    }
    if let Some(model) = &end.model {
        record.selected_model = model.to_string();
    }
    if let Some(usage) = end.usage {
        record.tokens = Some(Tokens {
            input: usage.prompt,
            cached_input: usage.cached.unwrap_or_default(),
            cache_write: usage.cache_write.unwrap_or_default(),
            output: usage.completion,
            reasoning: usage.reasoning.unwrap_or_default(),
            estimated: false,
        });
    }
    if let Some(last) = record.attempts.last_mut() {
        last.status = end.status.into();
        last.tokens = record.tokens;
    }
}

/// What a request is charged by.
pub(super) struct Priced {
    tariff: Arc<Tariff>,
    recipe: Option<Arc<str>>,
    decision: Option<Arc<str>>,
}

impl Priced {
    /// Takes the prices of the document that serves the request.
    pub(super) fn of(begun: &Begun) -> Self {
        Self {
            tariff: Arc::clone(&begun.seen.serving.tariff),
            recipe: begun.trace.recipe.clone(),
            decision: begun.trace.decision.clone(),
        }
    }

    /// Adds money and energy to a record whose tokens are known.
    pub(super) fn price(&self, record: &mut DecisionRecord, end: &Ended, live: &Generation) {
        if let Some(run) = &end.run {
            ran(record, run, live);
        }
        let Some(tokens) = record.tokens else {
            return;
        };
        // Which of several models used which tokens is not known.
        if record.attempts.len() > 1 && end.run.is_some() {
            return;
        }
        record.cost = self.tariff.cost(&record.selected_model, &tokens);
        record.energy = self.joules(record, tokens, live).and_then(|it| energy(&it));
        if record.attempts.len() > 1 && end.run.is_none() {
            let (cost, energy) = (record.cost.clone(), record.energy.clone());
            if let Some(last) = record.attempts.last_mut() {
                (last.cost, last.energy) = (cost, energy);
            }
            add_up(record);
        }
    }

    /// Returns the joules of so many tokens at the model, by the curve of its pool.
    fn joules(&self, record: &DecisionRecord, tokens: Tokens, live: &Generation) -> Option<Joules> {
        let mut recipes = live.router.recipes.iter();
        let recipe = recipes.find(|recipe| Some(&recipe.name) == self.recipe.as_ref())?;
        let mut routes = recipe.routes.iter();
        let route = routes.find(|route| Some(&route.name) == self.decision.as_ref())?;
        let candidates = route.candidates.candidates();
        let all: Vec<usize> = (0..candidates.len()).collect();
        let index = route.forecaster.position(&all, &record.selected_model)?;
        let tokens = selection::card::Tokens {
            prompt: tokens.input,
            cached: tokens.cached_input,
            written: tokens.cache_write,
            completion: tokens.output,
        };
        let forecast = route.forecaster.forecasts(candidates, &[index], tokens);
        let forecast = forecast.into_iter().next()?;
        let share = forecast.joules?;
        Some(Joules {
            attributed: share.expected,
            marginal: forecast.marginal_joules.unwrap_or(share.expected),
            low: share.low,
            high: share.high,
            method: share.method.to_owned(),
            date: share.date.to_string(),
        })
    }
}

/// Says what a run of several models came to.
fn ran(record: &mut DecisionRecord, run: &Run, live: &Generation) {
    chosen(record, live, &run.trace);
    if run.used.is_empty() {
        record.outcome = Outcome::Fallback.into();
    }
    record.diagnostics_json = diagnostics(&run.trace);
    record.attempts = run
        .used
        .iter()
        .map(|model| Attempt {
            model: model.to_string(),
            why: "step:run".to_owned(),
            ..Attempt::default()
        })
        .collect();
}

//! The request's way. Start here.
//!
//! ```text
//! Prompt → names (recipe or concrete model) → signals → projections → decision → selection → plugins → RoutePlan
//! ```
//!
//! Every stage takes values and gives values; a plan carries all that the edge and the response's
//! way need.

mod barriers;
pub mod fallback;
mod learning;
mod runs;
mod staying;
mod ways;

use crate::boundary::{Guarded, Verdict};
use crate::card::Tokens;
use crate::decision::Decided;
use crate::eligible::Eligible;
use crate::generation::Generation;
use crate::learning::context::RequestContext;
use crate::models::{Credential, Model};
use crate::names::Target;
use crate::plan::{BodyEdit, Facts, Forward, Outcome, Refusal, RoutePlan, UNREAD_TURN};
use crate::plugins::Flow;
use crate::recipe::{Extent, Recipe, Route};
use crate::report::{Key, Kind, SignalReport};
use crate::selection::{Selection, SelectionRequest};
use crate::session::{SessionContext, SessionHints};
use crate::signals::{Identity, SignalError, SignalInput, estimate};
use dialects::{Dialect, Prompt};
use inference::ask::{Answer, Ask, Question, What};
use inference::handle::{Cost, Embedder};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request to be routed.
pub struct Call<'a> {
    /// What it says.
    pub prompt: &'a Prompt,
    /// The wire it came by.
    pub dialect: Dialect,
    /// Who asks.
    pub identity: &'a Identity,
    /// What its headers say of its session.
    pub marks: SessionHints<'a>,
    /// The response's body will be seen, so its usage is worth asking for.
    pub observed: bool,
    /// Who answers the questions of learned signals.
    pub models: &'a dyn Ask,
    /// Until when they may be waited for.
    pub deadline: Instant,
    /// What it says beside its body.
    pub sent: RequestContext<'a>,
    /// Evaluate all that a decision can reach, even what cannot change the outcome any more: for
    /// debugging.
    pub full: bool,
}

/// A plan, and what it was made from.
pub struct Routed<'g> {
    /// What is to become of the request.
    pub plan: RoutePlan,
    /// The recipe and its findings; none for concrete model names and empty conversations.
    pub findings: Option<Findings<'g>>,
    /// What the document's boundaries read, where no decision read it with them: for concrete model
    /// names, other recipes, empty conversations.
    pub bounding: Option<Findings<'g>>,
}

/// What a recipe found in a request.
pub struct Findings<'g> {
    /// The recipe.
    pub recipe: &'g Recipe,
    /// Its signals.
    pub report: SignalReport,
    /// The winning decision.
    pub decided: Option<Decided>,
    /// Time that deciding took; `None` where no decision was asked.
    pub decision_time: Option<Duration>,
}

impl Findings<'_> {
    /// Families of which some rules were not evaluated, as they could not change the outcome any
    /// more.
    pub fn skipped(&self) -> impl Iterator<Item = Kind> {
        self.report.skipped()
    }

    /// The encoder was not run, as the outcome was settled without it.
    #[must_use]
    pub fn avoided_encoder(&self) -> bool {
        self.report.stage(Cost::Encoder).is_avoided()
    }
}

impl Generation {
    /// Routes one request.
    pub async fn route(&self, call: &Call<'_>) -> Routed<'_> {
        match self.names.resolve(&call.prompt.model) {
            Target::Concrete => self.pass_through(call).await,
            Target::Recipe { recipe, only } => {
                self.route_by(&self.recipes[recipe], only, call).await
            }
        }
    }

    async fn route_by<'g>(
        &'g self,
        recipe: &'g Recipe,
        only: Option<&str>,
        call: &Call<'_>,
    ) -> Routed<'g> {
        let mut facts = Facts {
            recipe: Some(recipe.name.clone()),
            protocol: Some(protocol(call.dialect)),
            ..Facts::default()
        };
        let input = SignalInput::new(call.prompt, Some(call.identity));
        let bounding = match self.bounding(Some(recipe), &input, &mut facts, call).await {
            Ok(bounding) => bounding,
            Err(error) => return Routed::forbidden(&error, facts),
        };
        if call.prompt.is_silent() {
            return Routed {
                plan: self.to_default(facts, call),
                findings: None,
                bounding,
            };
        }
        let extent = if call.full || self.settings.full {
            Extent::Used
        } else {
            Extent::Lazy { only }
        };
        let outer = facts.verdict.clone();
        let models = Guarded::new(call.models, &outer);
        let report = match recipe.read(&input, extent, &models, call.deadline).await {
            Ok(reading) => {
                facts.verdict = outer.and(reading.verdict);
                reading.report
            }
            Err(error) => return Routed::forbidden(&error, facts),
        };
        facts.degrade(&report);
        let started = Instant::now();
        let decided = recipe.decide(&report, only);
        let decision_time = Some(started.elapsed());
        facts.context_tokens = estimate(call.prompt, &self.token_ratio);
        let plan = match decided {
            Some(decided) => {
                facts.note(recipe, decided, &report);
                self.follow((recipe, &recipe.routes[decided.index]), facts, call)
                    .await
            }
            None => self.without_decision(recipe, facts, call).await,
        };
        Routed {
            plan,
            findings: Some(Findings {
                recipe,
                report,
                decided,
                decision_time,
            }),
            bounding,
        }
    }

    /// What a winning decision leads to: who may serve it, selection, staying, then plugins.
    async fn follow(
        &self,
        (recipe, route): (&Recipe, &Route),
        mut facts: Facts,
        call: &Call<'_>,
    ) -> RoutePlan {
        let eligible = match self.eligible(route, &mut facts, call) {
            Ok(eligible) => eligible,
            Err(refusal) => {
                return RoutePlan {
                    outcome: Outcome::Refuse(refusal),
                    facts,
                };
            }
        };
        // Whoever asks several models stays with none.
        let (standing, selection) = match &route.looper {
            Some(_) => (None, self.first_capable(route, &eligible, call)),
            None => {
                let standing = self.standing(recipe, call).await;
                let selection = self
                    .select((route, &eligible), standing.as_ref(), &mut facts, call)
                    .await;
                let selection = self
                    .learn((recipe, route), selection, (&eligible, &mut facts), call)
                    .await;
                let selection = self.stay(
                    (route, &eligible),
                    selection,
                    (standing.as_ref(), call),
                    &mut facts,
                );
                (standing, selection)
            }
        };
        let tokens = tokens(&facts, call);
        facts.forecasts =
            route
                .forecaster
                .forecasts(route.candidates.candidates(), eligible.kept(), tokens);
        let kept = self.in_turn(route, &eligible, &selection);
        facts.selected(route, &selection, eligible);
        let planned =
            match (selection.held.as_deref(), selection.candidate) {
                (Some(held), _) => self.to_held(held, &mut facts, call),
                (None, Some(index)) => self.to_candidate(route, index, &mut facts, call),
                (None, None) => self.to_named_default(&mut facts, call).map(|mut forward| {
                    // A decision matched, so the reasoning step runs: off, as nobody asked for it.
                    let model = facts
                        .model
                        .as_deref()
                        .and_then(|name| self.models.get(name));
                    let callers = call.prompt.reasoning_effort.as_deref();
                    forward.body.extend(model.map(|model| {
                        BodyEdit::Reasoning(model.reasoning.edit(false, "", callers))
                    }));
                    facts.reasoning = Some(false);
                    forward
                }),
            };
        // A fixed answer needs no model, so one that cannot be reached does not matter.
        let (mut forward, unreachable) = match planned {
            Ok(forward) => (forward, None),
            Err(refusal) => (Forward::default(), Some(refusal)),
        };
        for plugin in &route.plugins {
            if let Flow::Answer(message) = plugin.on_request(&mut forward) {
                return RoutePlan {
                    outcome: Outcome::Answer { message },
                    facts,
                };
            }
        }
        if let (false, Some(model)) = (facts.verdict.is_free(), &facts.model) {
            // No plugin's header takes the request past a boundary.
            forward.headers.extend(self.routing_headers(model));
        }
        facts.injected_system_prompt = forward
            .body
            .iter()
            .any(|edit| matches!(edit, BodyEdit::SystemPrompt { .. }));
        let next = if route.looper.is_none() {
            kept.as_slice()
        } else {
            &[]
        };
        self.name_next((&recipe.name, route), next, &mut forward, call);
        let outcome = match unreachable {
            Some(refusal) => Outcome::Refuse(refusal),
            None => self.set_out((route, &kept), forward, &mut facts, call),
        };
        self.noted(RoutePlan { outcome, facts }, standing.as_ref(), call)
    }

    /// One of those that are left.
    async fn select(
        &self,
        (route, eligible): (&Route, &Eligible),
        standing: Option<&SessionContext>,
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Selection {
        let vector = match route.candidates.embedder() {
            Some(embedder) => vector(embedder, &facts.verdict, call).await,
            None => None,
        };
        if vector.is_none() && route.candidates.embedder().is_some() {
            facts.degraded.push(UNREAD_TURN.into());
        }
        let asked = SelectionRequest {
            vector: vector.as_deref(),
            category: facts.category.as_deref().unwrap_or_default(),
            tokens: tokens(facts, call),
            continuation: standing
                .map(|standing| standing.continuation(call.prompt))
                .unwrap_or_default(),
            draw: standing.map(SessionContext::draw),
            ..SelectionRequest::default()
        };
        route.candidates.select(&asked, eligible.kept())
    }
}

impl Routed<'_> {
    /// A signal refuses the request.
    fn forbidden(error: &SignalError, facts: Facts) -> Self {
        let refusal = Refusal {
            status: 403,
            message: error.to_string(),
        };
        Self {
            plan: RoutePlan {
                outcome: Outcome::Refuse(refusal),
                facts,
            },
            findings: None,
            bounding: None,
        }
    }
}

impl Recipe {
    /// The winning decision, among those of one algorithm if a name asked for it.
    #[must_use]
    pub fn decide(&self, report: &SignalReport, only: Option<&str>) -> Option<Decided> {
        match only {
            None => self.decisions.decide(report),
            Some(algorithm) => self
                .decisions
                .decide_among(report, |index| self.routes[index].algorithm == algorithm),
        }
    }
}

/// What is known of the request's tokens: the estimate counts what is reserved for the answer,
/// which is no prompt.
fn tokens(facts: &Facts, call: &Call<'_>) -> Tokens {
    let prompt = facts
        .context_tokens
        .saturating_sub(call.prompt.tokens.output_reserve);
    Tokens {
        prompt,
        ..Tokens::default()
    }
}

/// The vector of the user's turn; `None` if it cannot be had in time.
async fn vector(embedder: &Embedder, verdict: &Verdict, call: &Call<'_>) -> Option<Arc<[f32]>> {
    let models = Guarded::new(call.models, verdict);
    let questions = [Question::new(
        call.prompt.texts.current.as_str().into(),
        What::Vector(embedder.clone()),
    )];
    match models
        .ask(&questions, call.deadline)
        .await
        .pop()?
        .ok()?
        .answer
    {
        Answer::Vector(vector) => Some(vector),
        _ => None,
    }
}

impl Facts {
    /// Notes how the model was chosen.
    fn selected(&mut self, route: &Route, selection: &Selection, eligible: Eligible) {
        let candidate = selection
            .candidate
            .and_then(|index| route.candidates.model_refs().get(index));
        let model = selection
            .held
            .as_deref()
            .or_else(|| candidate.map(|candidate| candidate.model.trim()));
        if let (Some(lesson), Some(policy), Some(model)) =
            (&mut self.lesson, &route.learning, model)
        {
            lesson.settle(model, policy);
        }
        self.algorithm = Some(selection.method);
        self.fallback = selection.fallback.map(|fallback| fallback.as_str());
        self.degraded.extend(
            self.fallback
                .map(|reason| format!("selection={reason}").into()),
        );
        let named = |&(index, score): &(usize, f64)| {
            Some((
                route.candidates.candidates().get(index)?.card.name.clone(),
                score,
            ))
        };
        self.scores = selection.scores.iter().filter_map(named).collect();
        self.reason = Some(Arc::clone(&selection.reason)).filter(|reason| !reason.is_empty());
        self.dropped = eligible.into_dropped();
    }

    fn note(&mut self, recipe: &Recipe, decided: Decided, report: &SignalReport) {
        self.decision = Some(recipe.routes[decided.index].name.clone());
        self.confidence = Some(decided.confidence);
        self.category = recipe
            .decisions
            .category(decided.index, report)
            .map(Arc::from);
    }

    fn degrade(&mut self, report: &SignalReport) {
        for (kind, reason) in report.degraded() {
            let degraded: Arc<str> = format!("{}={reason}", kind.as_str()).into();
            if !self.degraded.contains(&degraded) {
                self.degraded.push(degraded);
            }
        }
    }

    /// Fills in the match lists of the debug headers.
    pub fn detail(&mut self, findings: &Findings<'_>) {
        let keys = &findings.recipe.keys;
        let named = |key: Key| (keys.kind(key), Arc::from(keys.name(key)));
        self.matched = findings.report.matches().map(named).collect();
    }
}

impl Model {
    /// Whether the model can take a request of this dialect now.
    fn accepts(&self, dialect: Dialect, fail_open: bool) -> Result<(), Refusal> {
        use crate::models::ApiFormat::{Anthropic, Any, OpenAi};
        let wanted = if dialect == Dialect::AnthropicMessages {
            Anthropic
        } else {
            OpenAi
        };
        if self.format != Any && self.format != wanted {
            let (name, speaks, asked) = (&self.name, self.format.as_str(), wanted.as_str());
            let message = format!(
                "model \"{name}\" speaks the {speaks} API and this request the {asked} API; translation is not available"
            );
            return Err(Refusal {
                status: 400,
                message,
            });
        }
        match self.credential {
            Credential::Missing { .. } if !fail_open => {
                let message = "Authentication failed. Check your API key configuration.".to_owned();
                Err(Refusal {
                    status: 401,
                    message,
                })
            }
            _ => Ok(()),
        }
    }
}

/// The API of a wire, as headers name it.
fn protocol(dialect: Dialect) -> &'static str {
    if dialect == Dialect::AnthropicMessages {
        "anthropic"
    } else {
        "openai"
    }
}

fn unavailable(model: &str) -> Refusal {
    Refusal {
        status: 400,
        message: format!("model \"{model}\" is not available"),
    }
}

#[cfg(test)]
mod tests;

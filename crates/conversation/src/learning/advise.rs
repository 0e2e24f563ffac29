//! Learning for one request: what is known of its conversation, then adaptation, then protection.

use super::adaptation::{self, Arm};
use super::beta::Sampler;
use super::field::{Change, Contenders, Field, Proposal};
use super::input::LearningInput;
use super::outcome::{LearningOutcome, LearningStep, Part, StepAction, StepReason};
use super::policy::{Mode, ModelProfile};
use super::reference::{self, ConversationState, ModelEvidence, Reference};
use super::requests::RequestKey;
use super::{Experience, LearningRecord};
use crate::{Conversation, Offers, StayPolicy as _};
use dialects::{Dialect, Prompt};
use selection::algorithms::Selection;
use std::sync::Arc;
use std::time::Instant;

/// What protection leaves of a proposal.
enum Protected {
    /// The proposal stands.
    Proposal,
    /// Another model is taken; `None` goes back to the algorithm's choice.
    Instead(Option<Change>),
}

impl Experience {
    /// Looks the conversation up where other replicas keep it, then advises.
    pub async fn advise_shared(
        &self,
        input: &LearningInput<'_>,
        selection: Selection,
        deadline: Instant,
    ) -> (Selection, LearningOutcome) {
        let recalled = match input.key() {
            Some(key) => self.recall(key, input.policy, input.now, deadline).await,
            None => Ok(()),
        };
        let (selection, mut outcome) = self.advise(input, selection, &mut Sampler::random());
        outcome.degraded = recalled.err().map(|error| error.as_str());
        (selection, outcome)
    }

    /// Returns the selection as learning would have it, and what learning did. A decision without
    /// candidates and one that answers by itself are left alone. The winner is always allowed.
    pub fn advise(
        &self,
        input: &LearningInput<'_>,
        selection: Selection,
        sampler: &mut Sampler,
    ) -> (Selection, LearningOutcome) {
        let chosen = selection
            .candidate
            .and_then(|index| input.candidates.model_refs().get(index))
            .filter(|_| !input.candidates.answers_itself());
        let Some(base) = chosen else {
            return (selection, LearningOutcome::default());
        };
        let field = Field {
            input,
            base: base.model.trim(),
            selection: &selection,
        };
        let conversation = input
            .key()
            .map(|key| self.find(key, input.policy.ttl, input.now));

        let mut steps = Vec::with_capacity(2);
        let sampler = may_sample(input, conversation.as_ref()).then_some(sampler);
        let proposal = self.adapt(&field, sampler, &mut steps);
        let change =
            match self.protect(&field, proposal.as_ref(), conversation.as_ref(), &mut steps) {
                Protected::Proposal => proposal.as_ref().map(Proposal::as_change),
                Protected::Instead(change) => change,
            };

        let request_id = input.request.headers.value("x-request-id");
        let request = request_id.and_then(|id| RequestKey::of(id, input.caller));
        let model = change.as_ref().map_or(field.base, |change| &*change.model);
        let record = LearningRecord {
            place: field.place(model),
            prices: None,
            conversation: conversation.map(|conversation| conversation.key),
            request,
        };
        let outcome = LearningOutcome {
            steps,
            record: Some(Arc::new(record)),
            request_id: request.and(request_id).map(Arc::from),
            degraded: None,
        };
        let selection = match &change {
            Some(change) => input.changed(&selection, change),
            None => selection,
        };
        (selection, outcome)
    }

    /// Runs adaptation: a model that outcomes prefer to the algorithm's choice.
    fn adapt(
        &self,
        field: &Field<'_>,
        sampler: Option<&mut Sampler>,
        steps: &mut Vec<LearningStep>,
    ) -> Option<Proposal> {
        let policy = field.input.policy;
        let step = |action, reason| LearningStep {
            part: Part::Adaptation,
            mode: policy.adaptation,
            action,
            scope: None,
            reason,
            scores: Vec::new(),
        };
        match policy.adaptation {
            Mode::Off => return None,
            Mode::Bypass => {
                steps.push(step(StepAction::Bypass, StepReason::DecisionBypass));
                return None;
            }
            Mode::Observe | Mode::Apply => {}
        }

        let profiles: Vec<&Arc<ModelProfile>> = policy
            .among
            .iter()
            .filter(|profile| (field.input.allows)(&profile.name))
            .collect();
        let Some(choice) = self.choose(field, &profiles, sampler) else {
            steps.push(step(StepAction::KeepBase, StepReason::CandidateSetEmpty));
            return None;
        };

        let scores: Vec<(Arc<ModelProfile>, f64)> = profiles
            .iter()
            .zip(&choice.scores)
            .map(|(&profile, &score)| (Arc::clone(profile), score))
            .collect();
        let winner = profiles
            .get(choice.winner)
            .filter(|profile| *profile.name != *field.base);
        let reason = StepReason::Adaptation(choice.reason);
        let (action, shown) = match (policy.adaptation, winner) {
            (Mode::Observe, _) => (StepAction::Observe, StepReason::ObserveOnly),
            (_, None) => (StepAction::KeepBase, reason),
            (_, Some(_)) => (StepAction::ProposeSwitch, reason),
        };
        steps.push(LearningStep {
            scores: scores
                .iter()
                .map(|(profile, score)| (Arc::clone(&profile.name), *score))
                .collect(),
            ..step(action, shown)
        });

        let model = Arc::clone(winner.filter(|_| policy.adaptation == Mode::Apply)?);
        let score = choice.scores.get(choice.winner).copied();
        Some(Proposal {
            model,
            score: score.unwrap_or_default(),
            mean: choice.mean,
            reason,
            scores,
        })
    }

    /// Chooses among models by what outcomes have said of them; with a sampler, by chance.
    fn choose(
        &self,
        field: &Field<'_>,
        profiles: &[&Arc<ModelProfile>],
        sampler: Option<&mut Sampler>,
    ) -> Option<adaptation::Choice> {
        let mut rows = self.rows();
        let arms: Vec<Arm<'_>> = profiles
            .iter()
            .map(|profile| profile.arm(rows.find(&field.place(&profile.name))))
            .collect();
        drop(rows);
        let base = arms.iter().position(|arm| arm.name == field.base);
        adaptation::choose(&arms, base, field.input.policy.set, sampler)
    }

    /// Runs protection: the model that the conversation keeps or gets.
    fn protect(
        &self,
        field: &Field<'_>,
        proposal: Option<&Proposal>,
        conversation: Option<&Conversation>,
        steps: &mut Vec<LearningStep>,
    ) -> Protected {
        let policy = field.input.policy;
        let step = |action, reason| LearningStep {
            part: Part::Protection,
            mode: policy.protection,
            action,
            scope: Some(policy.scope),
            reason,
            scores: Vec::new(),
        };
        let conversation = match (policy.protection, conversation) {
            (Mode::Off, _) => return Protected::Proposal,
            (Mode::Bypass, _) => {
                steps.push(step(StepAction::Bypass, StepReason::DecisionBypass));
                return Protected::Proposal;
            }
            // The reference calls this `suppress_sampling`, and samples.
            (Mode::Observe | Mode::Apply, None) => {
                steps.push(step(StepAction::AllowSampling, StepReason::MissingIdentity));
                return Protected::Proposal;
            }
            (Mode::Observe | Mode::Apply, Some(conversation)) => conversation,
        };

        let Some(contenders) = field.contenders(proposal, conversation) else {
            return Protected::Proposal;
        };
        let evidence = self.evidence(field, &contenders, proposal);
        let reference = Reference {
            state: field.input.state,
            base: contenders.base,
            tuning: &policy.tuning,
            scope: policy.scope,
        };
        let offers = Offers {
            models: &evidence,
            proposed: contenders.proposed,
            current: contenders.current,
        };
        let stay = reference.decide(conversation, &offers);

        let scores = contenders
            .profiles
            .iter()
            .zip(&stay.scores)
            .map(|(profile, &score)| (Arc::clone(&profile.name), score))
            .collect();
        let (action, reason) = if policy.protection == Mode::Observe {
            (StepAction::Observe, StepReason::ObserveOnly)
        } else {
            (
                StepAction::Protection(stay.action),
                StepReason::Protection(stay.reason),
            )
        };
        steps.push(LearningStep {
            scores,
            ..step(action, reason)
        });
        if policy.protection == Mode::Observe || stay.winner == contenders.proposed {
            return Protected::Proposal;
        }
        protected(field, &contenders, &evidence, &stay)
    }

    /// Returns the contenders' scores and what outcomes say of them.
    fn evidence(
        &self,
        field: &Field<'_>,
        contenders: &Contenders,
        proposal: Option<&Proposal>,
    ) -> Vec<ModelEvidence> {
        let mut rows = self.rows();
        let evidence = |profile: &Arc<ModelProfile>| {
            let row = rows.find(&field.place(&profile.name));
            ModelEvidence {
                base: field.score(profile, proposal),
                pressure: profile.pressure,
                quality_gap: 0.0,
                counts: row.unwrap_or_default().counts,
            }
        };
        contenders.profiles.iter().map(evidence).collect()
    }
}

/// Returns what is taken instead of the proposal.
fn protected(
    field: &Field<'_>,
    contenders: &Contenders,
    evidence: &[ModelEvidence],
    stay: &reference::Stay,
) -> Protected {
    let Some(winner) = contenders.profiles.get(stay.winner) else {
        return Protected::Proposal;
    };
    let score = stay
        .scores
        .get(stay.winner)
        .copied()
        .or_else(|| evidence.get(stay.winner)?.base);
    let change = Change {
        model: Arc::clone(&winner.name),
        score: score.unwrap_or_default(),
        confidence: stay.confidence,
        part: Part::Protection,
        reason: StepReason::Protection(stay.reason),
    };
    Protected::Instead((*winner.name != *field.base).then_some(change))
}

/// Returns whether adaptation may try a model by chance.
fn may_sample(input: &LearningInput<'_>, conversation: Option<&Conversation>) -> bool {
    let policy = input.policy;
    let Some(conversation) = conversation.filter(|_| policy.protection == Mode::Apply) else {
        return policy.adaptation == Mode::Apply;
    };
    let state = input.state.with(conversation);
    policy.adaptation == Mode::Apply && state.may_sample(conversation.record.is_some()).is_ok()
}

impl LearningInput<'_> {
    /// Returns the selection with another model: a candidate, or one from elsewhere.
    fn changed(&self, selection: &Selection, change: &Change) -> Selection {
        let refs = self.candidates.model_refs();
        let own = self.eligible.iter().copied().find(|&index| {
            refs.get(index)
                .is_some_and(|candidate| *candidate.model.trim() == *change.model)
        });
        let reason = format!(
            "learning: {}={}",
            change.part.as_str(),
            change.reason.as_str()
        );
        Selection {
            candidate: own.or(selection.candidate),
            held: if own.is_some() {
                None
            } else {
                Some(Arc::clone(&change.model))
            },
            score: change.score,
            confidence: change.confidence,
            reason: reason.into(),
            ..selection.clone()
        }
    }
}

/// Returns what a body shows of its conversation. As in the reference, chat and Messages requests
/// show neither turns nor history when their model is chosen, so that the numbers are the same; a
/// Responses request does.
#[must_use]
pub fn state_of(
    prompt: &Prompt,
    dialect: Dialect,
    context_tokens: u64,
    previous_response: bool,
) -> ConversationState {
    let facts = &prompt.conversation;
    let responses = dialect == Dialect::OpenAiResponses;
    let newest = prompt.texts.current.len() as u64 / 4;
    ConversationState {
        turns: if responses { facts.assistant } else { 0 },
        history_tokens: if responses && facts.assistant > 0 {
            context_tokens.saturating_sub(newest)
        } else {
            0
        },
        context_tokens,
        tool_loop: facts.last_is_tool_result
            || facts.last_user_follows_tool
            || facts.tool_calls > facts.tool,
        previous_response,
        ..ConversationState::default()
    }
}

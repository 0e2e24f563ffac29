//! The run for one request: what is known of its conversation, then adaptation, then protection.

use super::adaptation::{self, Arm};
use super::beta::Sampler;
use super::conversations::Record;
use super::field::{Change, Field, Proposal};
use super::input::LearningInput;
use super::lesson::{Lesson, Note};
use super::policy::{Mode, Player};
use super::protection::{self, Contender, Question, Standing};
use super::requests::RequestKey;
use super::{Experience, Trail};
use crate::selection::Selection;
use dialects::{Dialect, Prompt};
use std::sync::Arc;
use std::time::Instant;

impl Experience {
    /// Looks the conversation up where other replicas keep it, then advises.
    pub async fn advise_shared(
        &self,
        asked: &LearningInput<'_>,
        selection: Selection,
        deadline: Instant,
    ) -> (Selection, Lesson) {
        let recalled = match asked.key() {
            Some(key) => self.recall(key, asked.policy, deadline).await,
            None => Ok(()),
        };
        let (selection, mut lesson) = self.advise(asked, selection, &mut Sampler::random());
        lesson.degraded = recalled.err().map(super::store::StoreError::as_str);
        (selection, lesson)
    }

    /// The selection as learning would have it, and what it did. A decision without candidates and
    /// one that answers by itself are left alone. The winner is always allowed.
    pub fn advise(
        &self,
        asked: &LearningInput<'_>,
        selection: Selection,
        sampler: &mut Sampler,
    ) -> (Selection, Lesson) {
        let chosen = selection
            .candidate
            .and_then(|index| asked.candidates.model_refs().get(index));
        let (Some(base), false) = (chosen, selection.method == "fast_response") else {
            return (selection, Lesson::default());
        };
        let base = base.model.trim();
        let key = asked.key();
        let record = key.and_then(|key| self.conversations().get(key, asked.policy.ttl, asked.now));
        let standing = standing(asked.standing, record.as_ref());
        let field = Field {
            asked,
            base,
            selection: &selection,
        };
        let sampling = asked.policy.adaptation == Mode::Apply
            && (key.is_none()
                || asked.policy.protection != Mode::Apply
                || standing.may_sample(record.is_some()).is_ok());
        let mut notes = Vec::with_capacity(2);
        let proposal = self.adapt(&field, sampling.then_some(sampler), &mut notes);
        let current = record.as_ref().map(|record| &record.model);
        let change = self.protect(
            &field,
            (proposal.as_ref(), current),
            (&standing, key.is_some()),
            &mut notes,
        );
        let change = change.unwrap_or_else(|| proposal.as_ref().map(Proposal::as_change));
        let request_id = asked.sent.headers.value("x-request-id");
        let request = request_id.and_then(|id| RequestKey::of(id, asked.caller));
        let place = field.place(change.as_ref().map_or(base, |change| &*change.model));
        let trail = Trail {
            place,
            prices: None,
            conversation: key,
            request,
        };
        let lesson = Lesson {
            notes,
            trail: Some(Arc::new(trail)),
            request_id: request.and(request_id).map(Arc::from),
            degraded: None,
        };
        (
            change.map_or_else(
                || selection.clone(),
                |change| asked.changed(&selection, &change),
            ),
            lesson,
        )
    }

    /// Adaptation: a model that outcomes prefer to the algorithm's choice.
    fn adapt(
        &self,
        field: &Field<'_>,
        sampler: Option<&mut Sampler>,
        notes: &mut Vec<Note>,
    ) -> Option<Proposal> {
        let policy = field.asked.policy;
        let note = |action, reason| Note {
            part: "adaptation",
            mode: policy.adaptation,
            action,
            scope: None,
            reason,
            scores: Vec::new(),
        };
        match policy.adaptation {
            Mode::Off => return None,
            Mode::Bypass => {
                notes.push(note("bypass", "decision_bypass"));
                return None;
            }
            Mode::Observe | Mode::Apply => {}
        }
        let players: Vec<&Arc<Player>> = policy
            .among
            .iter()
            .filter(|player| (field.asked.allows)(&player.name))
            .collect();
        let choice = {
            let mut rows = self.rows();
            let arm = |player: &&'_ Arc<Player>| rows.find(&field.place(&player.name));
            let found: Vec<_> = players.iter().map(arm).collect();
            let arms: Vec<Arm<'_>> = players
                .iter()
                .zip(found)
                .map(|(player, row)| player.arm(row))
                .collect();
            let base = arms.iter().position(|arm| arm.name == field.base);
            adaptation::choose(&arms, base, policy.set, sampler)
        };
        let Some(choice) = choice else {
            notes.push(note("keep_base", "candidate_set_empty"));
            return None;
        };
        let scores: Vec<_> = players
            .iter()
            .zip(&choice.scores)
            .map(|(&player, &score)| (player.clone(), score))
            .collect();
        let shown = scores
            .iter()
            .map(|(player, score)| (player.name.clone(), *score))
            .collect();
        let winner = players
            .get(choice.winner)
            .filter(|player| *player.name != *field.base);
        let reason = choice.reason.as_str();
        let (action, shown_reason) = match (policy.adaptation, winner) {
            (Mode::Observe, _) => ("observe", "observe_only"),
            (_, None) => ("keep_base", reason),
            (_, Some(_)) => ("propose_switch", reason),
        };
        notes.push(Note {
            scores: shown,
            ..note(action, shown_reason)
        });
        let model = Arc::clone(winner.filter(|_| policy.adaptation == Mode::Apply)?);
        let score = choice
            .scores
            .get(choice.winner)
            .copied()
            .unwrap_or_default();
        Some(Proposal {
            model,
            score,
            mean: choice.mean,
            reason,
            scores,
        })
    }

    /// Protection: the model that the conversation keeps or gets. The outer `None` leaves the
    /// proposal as it is; the inner one goes back to the algorithm's choice.
    fn protect(
        &self,
        field: &Field<'_>,
        (proposal, current): (Option<&Proposal>, Option<&Arc<str>>),
        (standing, identified): (&Standing, bool),
        notes: &mut Vec<Note>,
    ) -> Option<Option<Change>> {
        let policy = field.asked.policy;
        let note = |action, reason| Note {
            part: "protection",
            mode: policy.protection,
            action,
            scope: Some(policy.scope),
            reason,
            scores: Vec::new(),
        };
        match policy.protection {
            Mode::Off => return None,
            Mode::Bypass => {
                notes.push(note("bypass", "decision_bypass"));
                return None;
            }
            // The reference calls this `suppress_sampling`, and samples.
            Mode::Observe | Mode::Apply if !identified => {
                notes.push(note("allow_sampling", "missing_identity"));
                return None;
            }
            Mode::Observe | Mode::Apply => {}
        }
        let (players, indices) = field.contenders(proposal, current)?;
        let contenders = self.weigh(field, &players, proposal);
        let (tuning, scope) = (&policy.tuning, policy.scope);
        let (base, proposed, current_index) = indices;
        let question = Question {
            contenders: &contenders,
            base,
            proposal: proposed,
            current: current_index,
            standing,
            tuning,
            scope,
        };
        let verdict = protection::decide(&question);
        let lost = current.is_some() && current_index.is_none();
        let reason = if lost {
            "current_model_not_allowed"
        } else {
            verdict.reason.as_str()
        };
        let named = |(player, &score): (&Arc<Player>, &f64)| (player.name.clone(), score);
        let scores = players.iter().zip(&verdict.scores).map(named).collect();
        if policy.protection == Mode::Observe {
            notes.push(Note {
                scores,
                ..note("observe", "observe_only")
            });
            return None;
        }
        notes.push(Note {
            scores,
            ..note(verdict.action.as_str(), reason)
        });
        let winner = players.get(verdict.winner)?;
        if verdict.winner == proposed {
            return None;
        }
        let score = verdict
            .scores
            .get(verdict.winner)
            .copied()
            .or_else(|| contenders.get(verdict.winner)?.base);
        let (model, confidence) = (Arc::clone(&winner.name), verdict.confidence);
        let change = Change {
            model,
            score: score.unwrap_or_default(),
            confidence,
            part: "protection",
            reason,
        };
        Some((*winner.name != *field.base).then_some(change))
    }

    /// The contenders with their scores and what outcomes say of them.
    fn weigh(
        &self,
        field: &Field<'_>,
        players: &[Arc<Player>],
        proposal: Option<&Proposal>,
    ) -> Vec<Contender> {
        let mut rows = self.rows();
        let contender = |player: &Arc<Player>| Contender {
            base: field.score(player, proposal),
            pressure: player.pressure,
            quality_gap: 0.0,
            counts: rows
                .find(&field.place(&player.name))
                .unwrap_or_default()
                .counts,
        };
        players.iter().map(contender).collect()
    }
}

impl LearningInput<'_> {
    /// The selection with another model: a candidate, or one from elsewhere.
    fn changed(&self, selection: &Selection, change: &Change) -> Selection {
        let refs = self.candidates.model_refs();
        let named = |&index: &usize| {
            refs.get(index)
                .is_some_and(|candidate| *candidate.model.trim() == *change.model)
        };
        let own = self.eligible.iter().copied().find(named);
        Selection {
            candidate: own.or(selection.candidate),
            held: if own.is_some() {
                None
            } else {
                Some(Arc::clone(&change.model))
            },
            score: change.score,
            confidence: change.confidence,
            reason: format!("learning: {}={}", change.part, change.reason).into(),
            ..selection.clone()
        }
    }
}

/// What a body says of its conversation. As in the reference, chat and Messages requests show
/// neither turns nor history when their model is chosen, so that the numbers are the same; a
/// Responses request does.
#[must_use]
pub fn standing_of(
    prompt: &Prompt,
    dialect: Dialect,
    context_tokens: u64,
    previous_response: bool,
) -> Standing {
    let facts = &prompt.conversation;
    let responses = dialect == Dialect::OpenAiResponses;
    let newest = prompt.texts.current.len() as u64 / 4;
    Standing {
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
        ..Standing::default()
    }
}

/// What the body says, with what is remembered.
fn standing(body: Standing, record: Option<&Record>) -> Standing {
    let Some(record) = record else { return body };
    Standing {
        turns: body.turns.max(record.turns),
        switches: record.switches,
        warmth: record.warmth,
        idle_for: Some(record.age),
        ..body
    }
}

//! What a model can serve: its context window, tools, attachments, reasoning. A request never goes to a
//! model that cannot serve it.
//!
//! A context window is known where the model's card says one. The words of `capabilities` are free
//! text in most documents, so an ability counts only where some card of the document names it
//! (`tools`, `vision`, `audio`, `video`, `documents`, `reasoning`, or a word that means the same):
//! then a card that lists capabilities and not this one lacks it. A card that lists none says
//! nothing. Where no card names `video` or `documents`, `vision` stands for them.
//!
//! ```yaml
//! routing:
//!   modelCards:
//!     - {name: small, context_window_size: 32768, capabilities: [chat]}
//!     - {name: large, context_window_size: 262144, capabilities: [chat, tools, vision, reasoning]}
//!     - {name: vectors, capabilities: [embeddings]}
//! ```
//!
//! What other endpoints need (`embeddings`, `rerank`, `moderation`, `image_generation`,
//! `text_to_speech`, `transcription`) must be declared: where a request leaves the choice to Merit,
//! it goes only to a model whose card has the word.

mod media;

use crate::candidate::Candidate;
use crate::card::{Card, ModelDescriptions};
use crate::eligible::{Barrier, Eligible};
use crate::providers::wires::Carriage;
use crate::requirements::{Requirements, together};
use dialects::{Prompt, Service};
use signals::families::{TokenRatio, estimate, prompt_estimate};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// An ability that requests ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// The request defines tools.
    Tools,
    /// The request shows images.
    Vision,
    /// The request has sounds.
    Audio,
    /// The request shows films.
    Video,
    /// The request has documents that are no plain text.
    Documents,
    /// The caller asks for reasoning effort.
    Reasoning,
    /// Texts become vectors.
    Embeddings,
    /// Documents are put in order.
    Rerank,
    /// Texts and pictures are judged.
    Moderation,
    /// Pictures are made.
    ImageGeneration,
    /// Texts are spoken.
    TextToSpeech,
    /// Speech is written down.
    Transcription,
}

impl Ability {
    const ALL: [Self; 12] = [
        Self::Tools,
        Self::Vision,
        Self::Audio,
        Self::Video,
        Self::Documents,
        Self::Reasoning,
        Self::Embeddings,
        Self::Rerank,
        Self::Moderation,
        Self::ImageGeneration,
        Self::TextToSpeech,
        Self::Transcription,
    ];

    /// Returns what a model must declare to be chosen for an endpoint; `None` where a model of
    /// conversations serves it.
    #[must_use]
    pub fn of(service: Service) -> Option<Self> {
        match service {
            Service::Completions
            | Service::CountTokens
            | Service::InputTokens
            | Service::Compact
            | Service::MessageBatches => None,
            Service::Embeddings => Some(Self::Embeddings),
            Service::Rerank => Some(Self::Rerank),
            Service::Moderations => Some(Self::Moderation),
            Service::Images => Some(Self::ImageGeneration),
            Service::Speech => Some(Self::TextToSpeech),
            Service::Transcriptions => Some(Self::Transcription),
        }
    }

    /// The word in documents, traces and refusals.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Vision => "vision",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Documents => "documents",
            Self::Reasoning => "reasoning",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Moderation => "moderation",
            Self::ImageGeneration => "image_generation",
            Self::TextToSpeech => "text_to_speech",
            Self::Transcription => "transcription",
        }
    }

    /// Words of `capabilities` that mean it, `-` and blanks written as `_`.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Tools => &[
                "tools",
                "tool_use",
                "tool_calling",
                "function_calling",
                "functions",
            ],
            Self::Vision => &["vision", "image_input", "multimodal"],
            Self::Audio => &["audio", "audio_input", "speech"],
            Self::Video => &["video", "video_input"],
            Self::Documents => &["documents", "document_input", "pdf", "pdf_input", "files"],
            Self::Reasoning => &["reasoning", "thinking"],
            Self::Embeddings => &["embeddings", "embedding"],
            Self::Rerank => &["rerank", "reranking"],
            Self::Moderation => &["moderation", "moderations"],
            Self::ImageGeneration => &["image_generation", "image_output"],
            Self::TextToSpeech => &["text_to_speech", "tts"],
            Self::Transcription => &["transcription", "speech_to_text", "stt"],
        }
    }

    fn is_in(self, capabilities: &[String]) -> bool {
        let means = |word: &String| {
            self.words()
                .contains(&word.trim().replace(['-', ' '], "_").to_lowercase().as_str())
        };
        capabilities.iter().any(means)
    }
}

/// What one request needs of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// Tokens of prompt and answer by the cautious estimate, which counts every byte of a tool's
    /// schema as a token.
    pub tokens: u64,
    /// Tokens by the least that they can be taken for.
    pub least_tokens: u64,
    /// Tokens of the prompt alone, by the cautious estimate.
    pub prompt_tokens: u64,
    /// Limit of the answer as the caller sets it, tokens; 0 without one.
    pub output: u64,
    /// It defines tools.
    pub tools: bool,
    /// It shows images.
    pub images: bool,
    /// It has sounds.
    pub audio: bool,
    /// It shows films.
    pub video: bool,
    /// It has documents that are no plain text.
    pub documents: bool,
    /// The caller asks for reasoning.
    pub reasoning: bool,
    /// How it can reach a backend; `None` where it is not sent.
    pub carriage: Option<Carriage>,
}

impl Demand {
    /// What a request needs.
    #[must_use]
    pub fn of(prompt: &Prompt, ratio: &TokenRatio) -> Self {
        let facts = &prompt.tokens;
        let bytes = facts.text_bytes.saturating_add(facts.structured_bytes);
        Self {
            tokens: estimate(prompt, ratio),
            least_tokens: (bytes / LOOSE_TEXT).saturating_add(facts.output_reserve),
            prompt_tokens: prompt_estimate(prompt, ratio),
            output: facts.output_reserve,
            tools: prompt.conversation.tool_definitions > 0,
            images: prompt.attached.images > 0,
            audio: prompt.attached.audio > 0,
            video: prompt.attached.video > 0,
            documents: prompt.attached.documents > 0,
            reasoning: prompt.asks_reasoning() == Some(true),
            carriage: None,
        }
    }
}

impl Demand {
    /// Returns what a model needs that is to serve both requests, one after the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.max(other.tokens),
            least_tokens: self.least_tokens.max(other.least_tokens),
            prompt_tokens: self.prompt_tokens.max(other.prompt_tokens),
            output: self.output.max(other.output),
            tools: self.tools || other.tools,
            images: self.images || other.images,
            audio: self.audio || other.audio,
            video: self.video || other.video,
            documents: self.documents || other.documents,
            reasoning: self.reasoning || other.reasoning,
            carriage: self.carriage.or(other.carriage),
        }
    }

    /// Returns the same with another limit of the answer.
    fn with_output(self, output: u64) -> Self {
        let least = self.least_tokens.saturating_sub(self.output);
        Self {
            tokens: self.prompt_tokens.saturating_add(output),
            least_tokens: least.saturating_add(output),
            output,
            ..self
        }
    }
}

/// Bytes of text per token at most: languages and code written in few, long words.
const LOOSE_TEXT: u64 = 6;

/// What the models of a document can serve.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Abilities that some card names, by [`Ability`].
    spoken: [bool; Ability::ALL.len()],
    cards: HashMap<Arc<str>, Arc<Card>>,
    /// Cards are read by the rules of v0.4.
    is_v04: bool,
}

impl Guard {
    /// Reads the cards of a document.
    #[must_use]
    pub fn of(models: &dyn ModelDescriptions) -> Self {
        let spoken = Ability::ALL.map(|ability| {
            models
                .model_cards()
                .any(|card| ability.is_in(&card.capabilities))
        });
        let card = |name: &str| (Arc::from(name), Arc::new(Card::of(name, models)));
        Self {
            spoken,
            cards: models
                .provider_models()
                .iter()
                .map(|model| card(&model.name))
                .collect(),
            is_v04: false,
        }
    }

    /// Reads what cards say of media by the rules of v0.4: a card that names one known word names
    /// all media that its model takes, whatever other cards say.
    #[must_use]
    pub fn by_v04(self, is_v04: bool) -> Self {
        Self { is_v04, ..self }
    }

    /// Drops candidates that cannot serve a request, then those that are rested, unless all are. A
    /// context window is judged by the cautious estimate while that leaves somebody, else by the
    /// least one; reasoning is dispensed with where nobody that is left has it. `requirements` are
    /// the decision's own.
    ///
    /// # Errors
    /// What keeps the request from the last that were left.
    pub fn narrow(
        &self,
        eligible: &mut Eligible,
        candidates: &[Candidate],
        demand: &Demand,
        requirements: &Requirements,
        now: Instant,
    ) -> Result<(), Barrier> {
        let name = |index: usize| shown(candidates, index);
        let card = |index: usize| candidates.get(index).map(|candidate| &*candidate.card);
        let before = eligible.kept().first().copied();
        let earlier = eligible.dropped().len();
        eligible.drop_where(name, |index| {
            card(index).and_then(|card| self.lacks(card, demand, requirements.declared))
        });

        let output = requirements.output(demand);
        let demand = &output.map_or(*demand, |output| demand.with_output(output));
        if let Some(output) = output {
            eligible.drop_where(name, |index| {
                card(index).and_then(|card| beyond_limits(card, output))
            });
        }
        let fits =
            |index: usize, tokens| card(index).is_none_or(|card| overflow(card, tokens).is_none());
        let tokens = if eligible
            .kept()
            .iter()
            .any(|&index| fits(index, demand.tokens))
        {
            demand.tokens
        } else {
            demand.least_tokens
        };
        eligible.drop_where(name, |index| {
            card(index).and_then(|card| overflow(card, tokens))
        });
        if let (true, Some(_)) = (eligible.kept().is_empty(), before) {
            let own = eligible.dropped().get(earlier..).unwrap_or_default();
            return Err(match requirements.ask_cards() {
                true => together(own),
                false => least(eligible),
            });
        }
        let reasons = |index: usize| card(index).is_none_or(|card| self.reasons(card));
        if demand.reasoning && eligible.kept().iter().any(|&index| reasons(index)) {
            let barrier = Barrier::Ability(Ability::Reasoning.as_str());
            eligible.drop_where(name, |index| (!reasons(index)).then(|| barrier.clone()));
        }
        let rests = |index: usize| {
            candidates
                .get(index)
                .is_some_and(|candidate| candidate.pool.is_resting(now))
        };
        if !eligible.kept().iter().all(|&index| rests(index)) {
            eligible.drop_where(name, |index| rests(index).then_some(Barrier::Resting));
        }
        Ok(())
    }

    /// Returns the card of a configured model.
    #[must_use]
    pub fn card(&self, model: &str) -> Option<&Card> {
        self.cards.get(model).map(|card| &**card)
    }

    /// Returns whether a model's card says that it has an ability.
    #[must_use]
    pub fn declares(&self, model: &str, ability: Ability) -> bool {
        let has = |card: &Arc<Card>| {
            let draws = ability == Ability::ImageGeneration
                && ["diffusion", "omni"]
                    .iter()
                    .any(|kind| card.modality.eq_ignore_ascii_case(kind));
            draws || ability.is_in(&card.capabilities)
        };
        self.cards.get(model).is_some_and(has)
    }

    /// What keeps a request from a model outside any list of candidates: the default, or one that a
    /// conversation stays with.
    #[must_use]
    pub fn barrier(&self, model: &str, demand: &Demand) -> Option<Barrier> {
        let card = self.cards.get(model)?;
        self.lacks(card, demand, false)
            .or_else(|| overflow(card, demand.least_tokens))
    }

    /// A wire or an ability that the request cannot do without.
    fn lacks(&self, card: &Card, demand: &Demand, declared: bool) -> Option<Barrier> {
        let carriage = demand.carriage;
        if let Some(why) = carriage.and_then(|it| it.refused_by(card.wires)) {
            return Some(Barrier::Wire(why));
        }
        if self.is_v04 || declared {
            let lacks_tools = demand.tools && !self.has(card, Ability::Tools);
            let tools = lacks_tools.then_some(Barrier::Ability(Ability::Tools.as_str()));
            return tools.or_else(|| media::missing(card, demand, declared));
        }
        let asked = [
            (Ability::Tools, demand.tools),
            (Ability::Vision, demand.images),
            (Ability::Audio, demand.audio),
            (Ability::Video, demand.video),
            (Ability::Documents, demand.documents),
        ];
        let missing = asked
            .into_iter()
            .find(|&(ability, asked)| asked && !self.has(card, ability));
        missing.map(|(ability, _)| Barrier::Ability(ability.as_str()))
    }

    fn has(&self, card: &Card, ability: Ability) -> bool {
        // Where no card names films or documents, who sees pictures is taken to see these.
        let seen = matches!(ability, Ability::Video | Ability::Documents);
        if seen && !self.spoken[ability as usize] {
            return self.has(card, Ability::Vision);
        }

        let says = self.spoken[ability as usize] && !card.capabilities.is_empty();
        let sensed = matches!(ability, Ability::Vision | Ability::Audio | Ability::Video);
        let omni = sensed && card.modality.eq_ignore_ascii_case("omni");
        !says || omni || ability.is_in(&card.capabilities)
    }

    /// Returns whether a configured model can reason, as far as its card tells.
    #[must_use]
    pub fn can_reason(&self, model: &str) -> bool {
        self.card(model).is_none_or(|card| self.reasons(card))
    }

    fn reasons(&self, card: &Card) -> bool {
        self.has(card, Ability::Reasoning) || card.reasons
    }
}

/// What the client is told where nobody is left: what dropped the last one, and of windows the
/// widest.
fn least(eligible: &Eligible) -> Barrier {
    let last = eligible
        .dropped()
        .last()
        .map_or(Barrier::Ability(""), |dropped| dropped.by.clone());
    let window = |barrier: &Barrier| match barrier {
        Barrier::ContextWindow { window, .. } => Some(*window),
        _ => None,
    };
    if window(&last).is_none() {
        return last;
    }
    let windows = eligible
        .dropped()
        .iter()
        .map(|dropped| &dropped.by)
        .filter(|by| window(by).is_some());
    windows.max_by_key(|by| window(by)).cloned().unwrap_or(last)
}

fn overflow(card: &Card, needed: u64) -> Option<Barrier> {
    let window = card.context_window.filter(|&window| needed > window)?;
    Some(Barrier::ContextWindow { needed, window })
}

/// Returns what keeps an answer of so many tokens from a model whose limits must be known.
fn beyond_limits(card: &Card, needed: u64) -> Option<Barrier> {
    match (card.context_window, card.max_output) {
        (None, _) | (_, None) => Some(Barrier::UnknownLimits),
        (_, Some(limit)) if needed > limit => Some(Barrier::OutputLimit { needed, limit }),
        _ => None,
    }
}

/// What traces call a candidate: its adapter if it has one.
pub fn shown(candidates: &[Candidate], index: usize) -> Arc<str> {
    let model_ref = candidates.get(index).map(|candidate| &candidate.model_ref);
    model_ref
        .map_or("", |model_ref| {
            let adapter = model_ref.lora_name.trim();
            if adapter.is_empty() {
                model_ref.model.trim()
            } else {
                adapter
            }
        })
        .into()
}

#[cfg(test)]
mod tests;

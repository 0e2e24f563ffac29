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

use crate::candidate::Candidate;
use crate::card::{Card, ModelDescriptions};
use crate::eligible::{Barrier, Eligible};
use dialects::{Prompt, Service};
use signals::families::{TokenRatio, estimate};
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
            tools: prompt.conversation.tool_definitions > 0,
            images: prompt.attached.images > 0,
            audio: prompt.attached.audio > 0,
            video: prompt.attached.video > 0,
            documents: prompt.attached.documents > 0,
            reasoning: prompt.asks_reasoning() == Some(true),
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
            tools: self.tools || other.tools,
            images: self.images || other.images,
            audio: self.audio || other.audio,
            video: self.video || other.video,
            documents: self.documents || other.documents,
            reasoning: self.reasoning || other.reasoning,
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
        }
    }

    /// Drops candidates that cannot serve a request, then those that are rested, unless all are. A
    /// context window is judged by the cautious estimate while that leaves somebody, else by the
    /// least one; reasoning is dispensed with where nobody that is left has it.
    ///
    /// # Errors
    /// What keeps the request from the last that were left.
    pub fn narrow(
        &self,
        eligible: &mut Eligible,
        candidates: &[Candidate],
        demand: &Demand,
        now: Instant,
    ) -> Result<(), Barrier> {
        let name = |index: usize| shown(candidates, index);
        let card = |index: usize| candidates.get(index).map(|candidate| &*candidate.card);
        let before = eligible.kept().first().copied();
        eligible.drop_where(name, |index| {
            card(index).and_then(|card| self.lacks(card, demand))
        });
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
            return Err(least(eligible));
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
        self.lacks(card, demand)
            .or_else(|| overflow(card, demand.least_tokens))
    }

    /// An ability that the request cannot do without.
    fn lacks(&self, card: &Card, demand: &Demand) -> Option<Barrier> {
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
mod tests {
    use super::*;
    use crate::candidate::ModelRef;
    use crate::pool::Pool;
    use crate::testing::Models;

    const CARDS: &str = "providers:
  models: [{name: plain}, {name: silent}, {name: tools}, {name: all, reasoning_family: x}, {name: tiny}]
  defaults: {reasoning_families: {x: {type: reasoning_effort, parameter: y}}}
routing:
  modelCards:
    - {name: plain, context_window_size: 1000, capabilities: [chat]}
    - {name: silent, context_window_size: 4000}
    - {name: tools, capabilities: [chat, Tool-Calling]}
    - {name: all, context_window_size: 2000, capabilities: [tools, VISION, reasoning]}
    - {name: tiny, context_window_size: 100, capabilities: [tools]}
";

    fn narrowed(document: &str, names: &[&str], demand: &Demand) -> String {
        let document = Models::read(document);
        let guard = Guard::of(&document);
        let pool = Pool::default();
        let model_ref = |name: &&str| ModelRef {
            model: (*name).into(),
            ..ModelRef::default()
        };
        let candidates = names
            .iter()
            .map(|name| Candidate::new(model_ref(name), &document, &pool));
        let candidates: Vec<Candidate> = candidates.collect();
        let mut eligible = Eligible::all(candidates.len());
        let outcome = guard.narrow(&mut eligible, &candidates, demand, Instant::now());
        let kept: Vec<&str> = eligible.kept().iter().map(|&index| names[index]).collect();
        let dropped = eligible
            .dropped()
            .iter()
            .map(|dropped| format!(" -{}={}", dropped.model, dropped.by));
        let refused = outcome
            .err()
            .map_or_else(String::new, |barrier| format!(" ! {barrier}"));
        format!("{}{}{refused}", kept.join(" "), dropped.collect::<String>())
    }

    #[track_caller]
    fn check(names: &[&str], demand: &Demand, expected: &str) {
        assert_eq!(narrowed(CARDS, names, demand), expected);
    }

    const EVERYONE: [&str; 4] = ["plain", "silent", "tools", "all"];

    #[test]
    fn abilities_count_where_the_document_names_them() {
        let nothing = Demand::default();
        check(&EVERYONE, &nothing, "plain silent tools all");
        check(
            &EVERYONE,
            &Demand {
                tools: true,
                ..nothing
            },
            "silent tools all -plain=ability:tools",
        );
        let images = Demand {
            images: true,
            ..nothing
        };
        check(
            &EVERYONE,
            &images,
            "silent all -plain=ability:vision -tools=ability:vision",
        );
        check(
            &["plain"],
            &images,
            " -plain=ability:vision ! ability:vision",
        );
        let mute = CARDS.replace("VISION", "wit");
        assert_eq!(
            narrowed(&mute, &EVERYONE, &images),
            "plain silent tools all"
        );
    }

    #[test]
    fn attachments_ask_for_their_abilities() {
        let cards = CARDS.replace("[chat]", "[chat, audio]");
        let demand = |audio, video, documents| Demand {
            audio,
            video,
            documents,
            ..Demand::default()
        };
        #[track_caller]
        fn check(cards: &str, demand: &Demand, expected: &str) {
            assert_eq!(narrowed(cards, &["plain", "all"], demand), expected);
        }
        check(
            &cards,
            &demand(true, false, false),
            "plain -all=ability:audio",
        );
        check(
            &cards,
            &demand(false, true, false),
            "all -plain=ability:video",
        );
        check(
            &cards,
            &demand(false, false, true),
            "all -plain=ability:documents",
        );
        let reads = CARDS.replace("[chat]", "[chat, pdf]");
        check(
            &reads,
            &demand(false, false, true),
            "plain -all=ability:documents",
        );
        check(CARDS, &demand(true, false, false), "plain all");
    }

    #[test]
    fn reasoning_is_preferred_not_demanded() {
        let reasoning = Demand {
            reasoning: true,
            ..Demand::default()
        };
        check(
            &["plain", "all", "tools"],
            &reasoning,
            "all -plain=ability:reasoning -tools=ability:reasoning",
        );
        check(&["plain", "tools"], &reasoning, "plain tools");
    }

    #[test]
    fn a_window_is_judged_by_the_cautious_estimate_while_somebody_is_left() {
        let tokens = |tokens, least_tokens| Demand {
            tokens,
            least_tokens,
            ..Demand::default()
        };
        check(&["plain", "all"], &tokens(1000, 10), "plain all");
        check(
            &["plain", "all"],
            &tokens(1001, 10),
            "all -plain=context_window:1001>1000",
        );
        check(&["plain", "all"], &tokens(9000, 900), "plain all");
        check(
            &["plain", "all"],
            &tokens(9000, 1500),
            "all -plain=context_window:1500>1000",
        );
        check(
            &["plain", "all"],
            &tokens(9000, 2001),
            " -plain=context_window:2001>1000 -all=context_window:2001>2000 ! context_window:2001>2000",
        );
        // Of unknown size: it may fit.
        check(
            &["plain", "tools"],
            &tokens(9000, 2001),
            "tools -plain=context_window:9000>1000",
        );
        let both = Demand {
            tools: true,
            ..tokens(500, 500)
        };
        check(
            &["plain", "tiny"],
            &both,
            " -plain=ability:tools -tiny=context_window:500>100 ! context_window:500>100",
        );
    }

    #[test]
    fn the_least_estimate_is_below_the_cautious_one() {
        let mut prompt = Prompt::default();
        (
            prompt.tokens.text_bytes,
            prompt.tokens.structured_bytes,
            prompt.tokens.output_reserve,
        ) = (6000, 60_000, 500);
        (prompt.tokens.images, prompt.attached.images) = (1, 1);
        prompt.reasoning_effort = Some("high".into());
        let demand = Demand::of(&prompt, &TokenRatio::default());
        assert_eq!(
            (demand.tokens, demand.least_tokens),
            (1500 + 60_000 + 8192 + 500, 11_500)
        );
        assert!(demand.images && demand.reasoning && !demand.tools);
        prompt.reasoning_effort = Some("none".into());
        assert!(!Demand::of(&prompt, &TokenRatio::default()).reasoning);
    }
}

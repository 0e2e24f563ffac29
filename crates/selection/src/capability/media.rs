//! What v0.4 makes of the words of cards: a card that names one known word names all media that its
//! model takes, whatever other cards say. A card without such a word says nothing.

use super::{Ability, Demand};
use crate::card::Card;
use crate::eligible::Barrier;
use crate::providers::Modality;

/// Words that v0.4 knows, older ones for the same things included.
const KNOWN: [&str; 20] = [
    "text",
    "image_input",
    "image_output",
    "image_generation",
    "audio_input",
    "audio_output",
    "video_input",
    "video_output",
    "file_input",
    "file_output",
    "tools",
    "reasoning",
    "streaming",
    "structured_json",
    "vision",
    "audio",
    "video",
    "structured_output",
    "tool_use",
    "audio_generation",
];

/// Returns the medium of a request that a model does not take, as far as its card tells.
/// `declared` takes silence for a no.
pub(super) fn missing(card: &Card, demand: &Demand, declared: bool) -> Option<Barrier> {
    if !declared && !is_annotated(card) {
        return None;
    }
    let asked = [
        (Ability::Vision, demand.images, "image_input"),
        (Ability::Audio, demand.audio, "audio_input"),
        (Ability::Video, demand.video, "video_input"),
        (Ability::Documents, demand.documents, "file_input"),
    ];
    let mut asked = asked.into_iter().filter(|(_, is_asked, _)| *is_asked);
    let (_, _, word) = asked.find(|(ability, _, _)| !takes(card, *ability))?;
    Some(Barrier::Capability(word))
}

fn is_annotated(card: &Card) -> bool {
    let is_known = |word: &String| KNOWN.contains(&word.replace(['-', ' '], "_").as_str());
    !card.inputs.is_empty() || card.capabilities.iter().any(is_known)
}

fn takes(card: &Card, ability: Ability) -> bool {
    let kinds: &[Modality] = match ability {
        Ability::Vision => &[Modality::Image],
        Ability::Audio => &[Modality::Audio],
        Ability::Video => &[Modality::Video],
        Ability::Documents => &[Modality::Pdf, Modality::Document],
        _ => &[],
    };
    let is_file = |word: &String| word.replace('-', "_") == "file_input";
    let names_files = ability == Ability::Documents && card.capabilities.iter().any(is_file);
    names_files
        || card.inputs.iter().any(|kind| kinds.contains(kind))
        || ability.is_in(&card.capabilities)
}

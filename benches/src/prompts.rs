//! Prompts of a length, each different from all others, so that no cache answers for the encoder.

use serde_json::{Value, json};

/// Words that are one token each to the usual tokenizers of English.
const SUBJECTS: [&str; 16] = [
    "river", "garden", "bridge", "teacher", "market", "window", "engine", "letter", "forest",
    "kitchen", "village", "station", "harbor", "doctor", "painter", "machine",
];
const ADJECTIVES: [&str; 16] = [
    "old", "green", "quiet", "small", "heavy", "bright", "narrow", "strange", "modern", "cold",
    "simple", "broken", "empty", "famous", "local", "gentle",
];
const VERBS: [&str; 8] = [
    "follows", "needs", "changes", "carries", "watches", "reaches", "supports", "replaces",
];

/// Ordinary prose of about `tokens` tokens; another `number` gives another text, in every window.
#[must_use]
pub fn text(number: u64, tokens: usize) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut pick = |list: &[&'static str]| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        list.get(usize::try_from(state >> 40).unwrap_or_default() % list.len())
            .copied()
            .unwrap_or_default()
    };
    let mut words = Vec::with_capacity(tokens);
    while words.len() < tokens {
        let sentence = [
            "the",
            pick(&ADJECTIVES),
            pick(&SUBJECTS),
            pick(&VERBS),
            "a",
            pick(&ADJECTIVES),
        ];
        words.extend(sentence);
        words.extend([
            pick(&SUBJECTS),
            "near",
            "the",
            pick(&ADJECTIVES),
            pick(&SUBJECTS),
            ".",
        ]);
    }
    words.truncate(tokens);
    words.join(" ")
}

/// A chat request of one user message.
#[must_use]
pub fn chat(text: &str) -> Value {
    json!({"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 64})
}

/// What an agent sends at turn `turns`, counted from 1: all turns so far, each with a call of a
/// tool and its result.
#[must_use]
pub fn agent(number: u64, turns: u64) -> Value {
    let mut messages =
        vec![json!({"role": "system", "content": "You are a careful assistant that uses tools."})];
    for turn in 1..=turns {
        messages.push(json!({"role": "user", "content": turn_text(number, turn)}));
        if turn < turns {
            let call = json!({"id": format!("call{turn}"), "type": "function",
                              "function": {"name": "read_file", "arguments": "{\"path\": \"notes\"}"}});
            messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
            let result = text((number << 16) + 512 + turn, 400);
            messages.push(
                json!({"role": "tool", "tool_call_id": format!("call{turn}"), "content": result}),
            );
            messages.push(
                json!({"role": "assistant", "content": text((number << 16) + 1024 + turn, 80)}),
            );
        }
    }
    json!({"model": "auto", "messages": messages, "max_tokens": 64})
}

/// What the user of an agent says at a turn.
fn turn_text(number: u64, turn: u64) -> String {
    text((number << 16) + turn, 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn texts_have_their_length_and_differ() {
        let texts: BTreeSet<String> = (0..2000).map(|number| text(number, 60)).collect();
        assert_eq!(texts.len(), 2000);
        assert!(texts.iter().all(|text| text.split(' ').count() == 60));
    }

    #[test]
    fn a_turn_repeats_all_turns_before_it() {
        let messages = |turns| agent(7, turns)["messages"].as_array().cloned().unwrap();
        let (before, after) = (messages(3), messages(4));
        assert_eq!(before[..], after[..before.len()]);
        let users = after
            .iter()
            .filter(|message| message["role"] == "user")
            .count();
        assert_eq!(
            (users, after.last().unwrap()["content"].as_str().unwrap()),
            (4, turn_text(7, 4).as_str())
        );
    }
}

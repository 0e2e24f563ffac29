//! Reads requests of the endpoints beside those of conversations: what they say is the user's turn.

use std::borrow::Cow;
use std::ops::Range;

use crate::endpoint::Service;
use crate::gather::{self, Gathered};
use crate::json::{self, Kind};
use crate::meter::{Meter, Pricing};
use crate::request::{Fields, ReadOptions, Reading, Refused};
use crate::turns::{Role, Said, Turns};
use crate::{anthropic_messages, openai_chat, openai_responses};

/// Members that hold the text of a request: a text, or several.
pub(crate) const WORDS: &[&str] = &[
    "prompt",
    "suffix",
    "input",
    "query",
    "documents",
    "instructions",
    "negative_prompt",
];

/// Members that hold text which only a model can read.
const CODED: &[&str] = &["prompt_token_ids", "prompt_embeds"];

/// Members that say how a request is to be served.
const PARAMETERS: &[&str] = &[
    "background",
    "best_of",
    "dimensions",
    "echo",
    "encoding_format",
    "input_type",
    "language",
    "max_tokens_per_doc",
    "n",
    "output_compression",
    "output_format",
    "partial_images",
    "quality",
    "response_format",
    "return_documents",
    "size",
    "style",
    "timestamp_granularities",
    "top_n",
    "truncate",
    "truncate_prompt_tokens",
    "voice",
];

/// Reads the fields of a request.
pub(crate) fn read(
    service: Service,
    fields: &Fields<'_>,
    options: &ReadOptions,
) -> Result<Reading, Refused> {
    match service {
        Service::CountTokens => anthropic_messages::read(fields, options),
        Service::InputTokens | Service::Compact => openai_responses::read(fields, options),
        // Model servers embed conversations, too.
        Service::Embeddings if json::present(fields.get("messages")).is_some() => {
            openai_chat::read(fields, options)
        }
        _ => Ok(texts(fields, options)),
    }
}

fn texts(fields: &Fields<'_>, options: &ReadOptions) -> Reading {
    let mut reader = Reader::new(options);
    for raw in WORDS.iter().filter_map(|name| fields.get(name)) {
        reader.value(raw);
    }
    let coded = |name: &&str| json::present(fields.get(name)).is_some();
    reader.unread |= CODED.iter().any(coded);
    let mut reading = reader.finish();

    for raw in PARAMETERS.iter().filter_map(|name| fields.get(name)) {
        match Kind::of(raw) {
            Kind::Number => reading.turns.describe(raw),
            // What is no plain word is text that would go unread otherwise.
            _ => reading.turns.name(Role::User, Some(raw)),
        }
    }
    let read = [WORDS, CODED, PARAMETERS].concat();
    // Servers have further names for their texts (`texts`, `inputs`): they are the user's, too.
    fields.note_beside_of(Role::User, &mut reading.turns, &read);
    reading.meter.reserve(&[fields.get("max_tokens")]);
    reading
}

/// Reads texts that together are the user's turn.
pub(crate) struct Reader<'w> {
    options: &'w ReadOptions,
    turns: Turns,
    meter: Meter,
    said: Said,
    /// Where each text stands in what is said.
    list: Vec<Range<usize>>,
    /// Some of it is written in tokens.
    unread: bool,
    /// Bytes of the longest text: each of several is a prompt of its own.
    longest: usize,
    tokens: u64,
}

impl<'w> Reader<'w> {
    pub(crate) fn new(options: &'w ReadOptions) -> Self {
        let mut turns = Turns::new(options);
        turns.count(Role::User);
        Self {
            options,
            turns,
            meter: Meter::new(Pricing::Tiles),
            said: Said::default(),
            list: Vec::new(),
            unread: false,
            longest: 0,
            tokens: 0,
        }
    }

    /// Reads a text, a list of texts or of parts, or tokens.
    fn value(&mut self, raw: &str) {
        match Kind::of(raw) {
            Kind::String => self.text(json::string(raw).unwrap_or_default()),
            Kind::Array => json::elements(raw, |element| self.value(element)),
            Kind::Object => {
                let found = gather::text(raw);
                self.meter.attachments(&found);
                self.turns.note(Role::User, found);
            }
            Kind::Number => {
                self.unread = true;
                self.tokens += 1;
            }
            Kind::Null | Kind::Boolean => {}
        }
    }

    /// Reads a text.
    pub(crate) fn text(&mut self, text: Cow<'_, str>) {
        let bytes = text.len();
        let start = self.said.text.len();
        let found = self
            .turns
            .keep(Role::User, &mut self.said, text, self.options);
        self.list.push(start..self.said.text.len());
        self.longest = self.longest.max(bytes - found.opaque);
        self.meter.attachments(&found);
    }

    /// Keeps what stands beside the texts.
    pub(crate) fn note(&mut self, found: Gathered) {
        self.meter.attachments(&found);
        self.turns.note(Role::User, found);
    }

    pub(crate) fn finish(self) -> Reading {
        let Self {
            mut turns,
            mut meter,
            said,
            ..
        } = self;
        let coded = Gathered {
            unread: self.unread,
            ..Gathered::default()
        };
        turns.note(Role::User, coded);
        turns.list = Some(self.list);
        turns.say(Role::User, said.text);
        meter.text_bytes(self.longest);
        meter.framing(self.tokens);
        Reading {
            turns,
            meter,
            no_messages: false,
            reasoning_effort: None,
        }
    }
}

#[cfg(test)]
mod tests;

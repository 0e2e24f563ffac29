//! Reads Anthropic Messages requests.

use std::borrow::Cow;

use crate::gather::{self, Gathered};
use crate::json::{self, Kind};
use crate::kinds::{self, folded};
use crate::members::Members;
use crate::meter::{MESSAGE, Meter, Pricing, TOOL};
use crate::request::{Fields, ReadOptions, Reading, Refused};
use crate::turns::{Role, Said, Turns, inline_image};

/// Reads a Messages request's fields.
pub(crate) fn read(fields: &Fields<'_>, options: &ReadOptions) -> Result<Reading, Refused> {
    match json::present(fields.get("model")).map(|raw| (raw, json::string(raw))) {
        Some((_, Some(model))) if !model.is_empty() => {}
        Some((raw, None)) => return Err(Refused::wrong_type("model", "string", raw)),
        _ => return Err(Refused::missing("model field is required")),
    }
    let messages = fields.messages()?;
    let mut reader = Reader {
        options,
        turns: Turns::new(options),
        meter: Meter::new(Pricing::Area),
    };
    if let Some(system) = json::present(fields.get("system")) {
        reader.meter.framing(MESSAGE);
        reader.meter.text_bytes("system".len());
        reader.turns.count(Role::System);
        reader.content(Role::System, system);
    }
    json::elements(messages, |message| reader.message(message));
    let Reader {
        mut turns,
        mut meter,
        ..
    } = reader;
    fields.note_beside(&mut turns, &["messages", "system"]);
    turns.conversation.tool_definitions = meter.definitions(fields.get("tools"));
    meter.structured(fields.get("tool_choice"));
    meter.reserve(&[fields.get("max_tokens")]);
    let mut reasoning_effort = None;
    if let Some(output) = fields.get("output_config") {
        json::members(output, |key, value| {
            if key == "effort" {
                reasoning_effort = json::string(value).map(Cow::into_owned);
            }
        });
    }
    Ok(Reading {
        turns,
        meter,
        no_messages: json::is_empty_array(messages),
        reasoning_effort,
    })
}

struct Reader<'w> {
    options: &'w ReadOptions,
    turns: Turns,
    meter: Meter,
}

type Block<'a> = Members<'a, BLOCK_COUNT>;

const BLOCK_COUNT: usize = 10;

/// Members of a content block that are read one by one.
const BLOCK_MEMBERS: &[&str; BLOCK_COUNT] = &[
    "type",
    "text",
    "source",
    "id",
    "name",
    "input",
    "tool_call_id",
    "tool_use_id",
    "content",
    "signature",
];

impl Reader<'_> {
    fn message(&mut self, raw: &str) {
        self.meter.framing(MESSAGE);
        if Kind::of(raw) != Kind::Object {
            let found = gather::text(raw);
            self.meter.gathered(Some(raw), &found);
            self.turns.count(Role::Other);
            return self.turns.note(Role::Other, found);
        }
        let mut message = Members::read(raw, &["role", "content"]);
        self.turns.ambiguous(message.ambiguity.take());
        self.meter.text(message.get("role"));
        let role = Role::named(&message.text("role"));
        self.turns.count(role);
        self.turns.name(role, message.get("role"));
        self.turns.note(role, gather::members(&message.others));
        if let Some(content) = message.get("content") {
            self.content(role, content);
        }
    }

    fn content(&mut self, role: Role, raw: &str) {
        let mut said = Said::default();
        let mut has_results = false;
        match Kind::of(raw) {
            Kind::String => {
                let text = json::string(raw).unwrap_or_default();
                self.words(role, &mut said, text);
            }
            Kind::Array => json::elements(raw, |block| {
                has_results |= self.block(role, &mut said, block)
            }),
            Kind::Object => has_results = self.block(role, &mut said, raw),
            Kind::Null => {}
            Kind::Boolean | Kind::Number => {
                self.meter.structured(Some(raw));
                self.turns.note(role, gather::text(raw));
            }
        }
        if has_results && role == Role::User {
            self.turns.carries_tool_results();
        }
        self.turns.image = self.turns.image.take().or(said.image);
        self.turns.say(role, said.text);
    }

    /// Reads one content block; says whether it is a tool result.
    fn block(&mut self, role: Role, said: &mut Said, raw: &str) -> bool {
        if Kind::of(raw) != Kind::Object {
            let found = gather::text(raw);
            self.meter.gathered(Some(raw), &found);
            self.turns.note(role, found);
            return false;
        }
        let mut block = Block::read(raw, BLOCK_MEMBERS);
        self.turns.ambiguous(block.ambiguity.take());
        let kind = block.text("type");
        match (kinds::Part::named(&kind), folded(&kind).as_ref()) {
            (kinds::Part::Text, _) if block.get("text").and_then(json::string).is_some() => {
                self.words(role, said, block.text("text"));
                self.rest(role, &block, &["source", "input", "content"]);
            }
            // The message's own words, but never a client's wrapper.
            (kinds::Part::Document, _) => {
                let mut found = gather::text(raw);
                self.meter.gathered(Some(raw), &found);
                if !matches!(role, Role::Tool | Role::Other) {
                    said.add(std::mem::take(&mut found.text).into());
                }
                self.turns.note(role, found);
            }
            (kinds::Part::Image, _) => {
                let found = gather::text(raw);
                self.meter.attachments(&found);
                self.turns.note(role, found);
                if role == Role::User {
                    self.turns.conversation.images += 1;
                    said.image = said
                        .image
                        .take()
                        .or_else(|| block.get("source").and_then(image_source));
                }
            }
            (_, "tool_use") => {
                self.meter.framing(TOOL);
                for field in ["id", "type", "tool_call_id", "name"] {
                    self.meter.text(block.get(field));
                }
                self.input(&block, Measured::Yes);
                self.rest(role, &block, &["text", "source", "content"]);
                self.turns.conversation.tool_calls += u64::from(role == Role::Assistant);
            }
            (_, "tool_result") => {
                self.meter.framing(TOOL);
                self.meter.text(block.get("tool_use_id"));
                let found = self.result(block.get("content"));
                self.turns.result(found);
                self.rest(Role::Tool, &block, &["text", "source", "input"]);
                return true;
            }
            (_, kind) => self.other(role, kind, &block, raw),
        }
        false
    }

    /// Reads a block of another type.
    fn other(&mut self, role: Role, kind: &str, block: &Block<'_>, raw: &str) {
        let found = gather::text(raw);
        self.meter.gathered(Some(raw), &found);
        if kind.ends_with("_tool_result") {
            let content = block.get("content").map(gather::result);
            self.turns.output(content.unwrap_or_default());
            self.rest(Role::Tool, block, &["text", "source", "input"]);
        } else if kind.ends_with("tool_use") {
            self.input(block, Measured::No);
            self.rest(Role::Assistant, block, &["text", "source", "content"]);
        } else if kind == "thinking" && role != Role::Assistant {
            // Nobody but a model thinks; no provider sealed this.
            let thinking = block.others.iter().filter(|(key, _)| key == "thinking");
            for (_, value) in thinking {
                self.turns.note(role, gather::text(value));
            }
            self.turns.note(role, found);
        } else {
            self.turns.note(role, found);
        }
        let is_signed = !block.text("signature").is_empty();
        let is_sealed = kind == "redacted_thinking" || (kind == "thinking" && is_signed);
        let continuity = &mut self.turns.continuity;
        continuity.sealed_state |= is_sealed && role == Role::Assistant;
        continuity.unsigned_thinking |= kind == "thinking" && !is_signed && role == Role::Assistant;
    }

    /// Keeps the names and identifiers of a block, members that its type has no place for, and
    /// those of other names.
    fn rest(&mut self, role: Role, block: &Block<'_>, fields: &[&str]) {
        for field in [
            "type",
            "id",
            "name",
            "tool_call_id",
            "tool_use_id",
            "signature",
        ] {
            self.turns.name(role, block.get(field));
        }
        let mut found = gather::members(&block.others);
        for value in fields.iter().filter_map(|field| block.get(field)) {
            found.join(gather::text(value));
        }
        self.meter.attachments(&found);
        match role {
            Role::Tool => self.turns.output(found),
            _ => self.turns.note(role, found),
        }
    }

    /// Keeps the input of a call.
    fn input(&mut self, block: &Block<'_>, measured: Measured) {
        if let Some(input) = block.get("input") {
            let found = gather::arguments(input);
            if measured == Measured::Yes {
                self.meter.gathered(Some(input), &found);
            }
            self.turns.note(Role::Assistant, found);
        }
    }

    /// Words of a message.
    fn words(&mut self, role: Role, said: &mut Said, text: Cow<'_, str>) {
        let bytes = text.len();
        let found = self.turns.keep(role, said, text, self.options);
        self.meter.text_bytes(bytes - found.opaque);
        self.meter.attachments(&found);
    }

    /// Measures and gathers a tool result. It counts as structure; its images count as images.
    fn result(&mut self, content: Option<&str>) -> Gathered {
        let Some(content) = json::present(content) else {
            return Gathered::default();
        };
        if Kind::of(content) != Kind::Array {
            let found = gather::result(content);
            self.meter.gathered(Some(content), &found);
            return found;
        }
        let mut all = Gathered::default();
        json::elements(content, |block| {
            let found = gather::text(block);
            let kind = Members::read(block, &["type"]).text("type");
            match kinds::Part::named(&kind) {
                kinds::Part::Image => self.meter.attachments(&found),
                _ => self.meter.gathered(Some(block), &found),
            }
            all.join(found);
        });
        all
    }
}

/// Whether a value is to be measured, or was with what it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    Yes,
    No,
}

/// A base64 image source as the `data:` URI it stands for, if it is an acceptable one.
fn image_source(raw: &str) -> Option<String> {
    let (mut media_type, mut data) = (None, None);
    json::members(raw, |key, value| match key.as_ref() {
        "media_type" => media_type = json::string(value),
        "data" => data = json::string(value),
        _ => {}
    });
    let uri = format!("data:{};base64,{}", media_type?, data?);
    inline_image(&uri).is_some().then_some(uri)
}

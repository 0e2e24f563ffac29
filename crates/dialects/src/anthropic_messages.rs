//! Reads Anthropic Messages requests.

use std::borrow::Cow;

use crate::gather::{self, Gathered};
use crate::json::{self, Kind};
use crate::meter::{MESSAGE, Measure, Meter, TOOL};
use crate::request::{Fields, Reading, Refused};
use crate::turns::{Role, Said, Turns, inline_image};
use crate::wrappers::Wrappers;

/// Reads a Messages request's fields.
pub(crate) fn read(fields: &Fields<'_>, wrappers: &Wrappers) -> Result<Reading, Refused> {
    if fields.text("model").is_none_or(|model| model.is_empty()) {
        return Err(Refused::missing("model field is required"));
    }
    let messages = fields.messages()?;
    let mut reader = Reader {
        wrappers,
        turns: Turns::default(),
        meter: Meter::new(Measure::AsWritten),
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
    fields.note_unknown(&mut turns, &["messages", "system"]);
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
    wrappers: &'w Wrappers,
    turns: Turns,
    meter: Meter,
}

impl Reader<'_> {
    fn message(&mut self, raw: &str) {
        self.meter.framing(MESSAGE);
        if Kind::of(raw) != Kind::Object {
            self.meter.structured(Some(raw));
            self.turns.count(Role::Other);
            self.turns.note(Role::Other, gather::text(raw));
            return;
        }
        let (mut role, mut content, mut others) = (None, None, Vec::new());
        json::members(raw, |key, value| match key.as_ref() {
            "role" => role = Some(value),
            "content" => content = Some(value),
            "id" | "type" | "cache_control" => {}
            _ => others.push(value),
        });
        self.meter.text(role);
        let role = Role::named(&role.and_then(json::string).unwrap_or_default());
        self.turns.count(role);
        for value in others {
            self.turns.note(role, gather::text(value));
        }
        if let Some(content) = content {
            self.content(role, content);
        }
    }

    fn content(&mut self, role: Role, raw: &str) {
        let mut said = Said::default();
        let mut has_results = false;
        match Kind::of(raw) {
            Kind::String => {
                let text = json::string(raw).unwrap_or_default();
                self.meter.text_bytes(text.len());
                self.keep_text(role, &mut said, text);
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
        let mut block = Block::read(raw);
        match block
            .kind
            .and_then(json::string)
            .unwrap_or_default()
            .as_ref()
        {
            "text" if block.text.is_some() => {
                match block.text.and_then(json::string) {
                    Some(text) => {
                        self.meter.text_bytes(text.len());
                        self.keep_text(role, said, text);
                    }
                    None => {
                        self.meter.structured(block.text);
                        block.others.extend(block.text);
                    }
                }
                for value in &block.others {
                    self.turns.note(role, gather::text(value));
                }
            }
            // The message's own words, but never a client's wrapper.
            "document" | "search_result" => {
                self.meter.structured(Some(raw));
                let mut found = gather::text(raw);
                if !matches!(role, Role::Tool | Role::Other) {
                    said.add(std::mem::take(&mut found.text).into());
                }
                self.turns.note(role, found);
            }
            "image" => {
                self.meter.image();
                if role == Role::User {
                    self.turns.conversation.images += 1;
                    said.image = said
                        .image
                        .take()
                        .or_else(|| block.source.and_then(image_source));
                }
            }
            "tool_use" => {
                self.meter.framing(TOOL);
                for text in [block.id, block.kind, block.tool_call_id, block.name] {
                    self.meter.text(text);
                }
                self.meter.structured(block.input);
                self.input(&block);
                self.turns.conversation.tool_calls += u64::from(role == Role::Assistant);
            }
            "tool_result" => {
                self.meter.framing(TOOL);
                self.meter.text(block.tool_use_id);
                self.result(block.content);
                self.turns.result(block.content);
                return true;
            }
            kind => {
                self.meter.structured(Some(raw));
                if kind.ends_with("_tool_result") {
                    self.turns.output(block.content);
                } else if kind.ends_with("tool_use") {
                    self.input(&block);
                } else {
                    self.turns.note(role, gather::text(raw));
                }
                let signed = |seal: Option<&str>| {
                    seal.and_then(json::string)
                        .is_some_and(|seal| !seal.is_empty())
                };
                let sealed =
                    kind == "redacted_thinking" || (kind == "thinking" && signed(block.signature));
                self.turns.continuity.sealed_state |= sealed && role == Role::Assistant;
            }
        }
        false
    }

    /// Keeps the input of a call.
    fn input(&mut self, block: &Block<'_>) {
        if let Some(input) = block.input {
            self.turns.note(Role::Assistant, gather::arguments(input));
        }
    }

    fn keep_text(&mut self, role: Role, said: &mut Said, text: Cow<'_, str>) {
        if role == Role::User && self.wrappers.cover(&text) {
            self.turns.pass_over(text);
        } else if matches!(role, Role::Tool | Role::Other) {
            self.turns.note(role, Gathered::of(text));
        } else {
            said.add(text);
        }
    }

    /// A tool result counts as structure; its images count as images.
    fn result(&mut self, content: Option<&str>) {
        let Some(content) = json::present(content) else {
            return;
        };
        if Kind::of(content) != Kind::Array {
            self.meter.structured(Some(content));
            return;
        }
        json::elements(content, |block| {
            let kind = Block::read(block).kind.and_then(json::string);
            if kind.as_deref() == Some("image") {
                self.meter.image()
            } else {
                self.meter.structured(Some(block))
            }
        });
    }
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

/// A content block's fields as raw JSON.
#[derive(Default)]
struct Block<'a> {
    kind: Option<&'a str>,
    text: Option<&'a str>,
    source: Option<&'a str>,
    id: Option<&'a str>,
    name: Option<&'a str>,
    input: Option<&'a str>,
    tool_call_id: Option<&'a str>,
    tool_use_id: Option<&'a str>,
    content: Option<&'a str>,
    signature: Option<&'a str>,
    /// Values of members of other names.
    others: Vec<&'a str>,
}

impl<'a> Block<'a> {
    fn read(raw: &'a str) -> Self {
        let mut block = Self::default();
        json::members(raw, |key, value| {
            let field = match key.as_ref() {
                "type" => &mut block.kind,
                "text" => &mut block.text,
                "source" => &mut block.source,
                "id" => &mut block.id,
                "name" => &mut block.name,
                "input" => &mut block.input,
                "tool_call_id" => &mut block.tool_call_id,
                "tool_use_id" => &mut block.tool_use_id,
                "content" => &mut block.content,
                "signature" => &mut block.signature,
                "cache_control" => return,
                _ => return block.others.push(value),
            };
            *field = Some(value);
        });
        block
    }
}

//! Reads OpenAI Responses requests, as the chat request they amount to: `instructions` are the
//! system message, function calls the assistant's tool calls, their outputs tool messages.

use std::borrow::Cow;

use crate::json::{self, Kind};
use crate::meter::{MESSAGE, Measure, Meter, TOOL};
use crate::request::{Fields, Reading, Refused};
use crate::turns::{Role, Said, Turns, inline_image};
use crate::wrappers::Wrappers;

/// Reads a Responses request's fields. `input` may be absent (a stored prompt or conversation
/// supplies it).
pub(crate) fn read(fields: &Fields<'_>, wrappers: &Wrappers) -> Result<Reading, Refused> {
    let mut reader = Reader {
        wrappers,
        turns: Turns::default(),
        meter: Meter::new(Measure::AsWritten),
        calling: false,
    };
    if let Some(instructions) = json::present(fields.get("instructions")) {
        reader.message(Some(r#""system""#), Some(instructions));
    }
    let input = json::present(fields.get("input"));
    match input.map_or(Kind::Null, Kind::of) {
        Kind::String => reader.message(Some(r#""user""#), input),
        Kind::Array => json::elements(input.unwrap_or_default(), |item| reader.item(item)),
        Kind::Null => {}
        Kind::Boolean | Kind::Number | Kind::Object => {
            return Err(Refused::wrong("input field must be a string or an array"));
        }
    }
    let Reader {
        mut turns,
        mut meter,
        ..
    } = reader;
    turns.conversation.tool_definitions = meter.definitions(fields.get("tools"));
    meter.structured(fields.get("tool_choice"));
    meter.structured(fields.get("text"));
    meter.reserve(&[fields.get("max_output_tokens")]);
    let mut reasoning_effort = None;
    if let Some(reasoning) = fields.get("reasoning") {
        json::members(reasoning, |key, value| {
            if key == "effort" {
                reasoning_effort = json::string(value).map(Cow::into_owned);
            }
        });
    }
    turns.continuity.conversation =
        json::present(fields.get("conversation")).and_then(conversation);
    turns.continuity.previous_response = fields
        .text("previous_response_id")
        .filter(|id| !id.is_empty());
    let no_messages = input.is_none_or(json::is_empty_array) && turns.conversation.system == 0;
    Ok(Reading {
        turns,
        meter,
        no_messages,
        reasoning_effort,
    })
}

/// A conversation is named by its id, or by an object that has one.
fn conversation(raw: &str) -> Option<String> {
    let mut id = json::string(raw);
    json::members(raw, |key, value| {
        if key == "id" {
            id = json::string(value);
        }
    });
    id.filter(|id| !id.is_empty()).map(Cow::into_owned)
}

struct Reader<'w> {
    wrappers: &'w Wrappers,
    turns: Turns,
    meter: Meter,
    /// The last item was a call: calls in a row are one assistant message, as parallel calls are in
    /// chat.
    calling: bool,
}

impl Reader<'_> {
    fn item(&mut self, raw: &str) {
        let item = Item::read(raw);
        let kind = item.kind.and_then(json::string).unwrap_or_default();
        let was_calling = std::mem::replace(&mut self.calling, kind.ends_with("_call"));
        match kind.as_ref() {
            "message" => self.message(item.role, item.content),
            // The SDKs leave `type` out of plain messages.
            "" if item.role.is_some() => self.message(item.role, item.content),
            "function_call" => {
                self.call(was_calling);
                self.meter.text(item.call_id);
                self.meter.text_bytes("function".len());
                self.meter.text(item.name);
                self.meter.structured(item.arguments);
            }
            call if call.ends_with("_call") => {
                self.call(was_calling);
                self.meter.structured(Some(raw));
            }
            result if result.ends_with("_call_output") => {
                self.turns.count(Role::Tool);
                self.meter.framing(MESSAGE + TOOL);
                self.meter.text_bytes("tool".len());
                self.meter.text(item.call_id);
                self.meter.structured(item.output);
                self.turns.result(item.output);
            }
            // Reasoning, references and what is still to come: weight, but nobody's words and no
            // turn of their own.
            _ => {
                self.calling = was_calling;
                let sealed = item.encrypted_content.and_then(json::string);
                self.turns.continuity.sealed_state |=
                    sealed.is_some_and(|sealed| !sealed.is_empty());
                self.meter.structured(Some(raw));
            }
        }
    }

    fn call(&mut self, continues: bool) {
        if !continues {
            self.turns.count(Role::Assistant);
            self.meter.framing(MESSAGE);
            self.meter.text_bytes("assistant".len());
        }
        self.turns.conversation.tool_calls += 1;
        self.meter.framing(TOOL);
    }

    fn message(&mut self, role: Option<&str>, content: Option<&str>) {
        self.meter.framing(MESSAGE);
        self.meter.text(role);
        let role = Role::named(&role.and_then(json::string).unwrap_or_default());
        self.turns.count(role);
        let Some(content) = content else { return };
        let mut said = Said::default();
        match Kind::of(content) {
            Kind::String => {
                let text = json::string(content).unwrap_or_default();
                self.meter.text_bytes(text.len());
                self.keep_text(role, &mut said, &text);
            }
            Kind::Array => json::elements(content, |part| self.part(role, &mut said, part)),
            Kind::Object => self.part(role, &mut said, content),
            Kind::Null => {}
            Kind::Boolean | Kind::Number => self.meter.structured(Some(content)),
        }
        self.turns.image = self.turns.image.take().or(said.image);
        self.turns.say(role, said.text);
    }

    fn part(&mut self, role: Role, said: &mut Said, raw: &str) {
        let part = Item::read(raw);
        match part
            .kind
            .and_then(json::string)
            .unwrap_or_default()
            .as_ref()
        {
            "input_text" | "output_text" | "text" if part.text.is_some() => {
                self.meter.text(part.text);
                let text = part.text.and_then(json::string).unwrap_or_default();
                self.keep_text(role, said, &text);
            }
            "refusal" => self.meter.text(part.refusal),
            "input_image" => {
                self.meter.image();
                if role == Role::User {
                    self.turns.conversation.images += 1;
                    let url = part
                        .image_url
                        .and_then(json::string)
                        .filter(|url| inline_image(url).is_some());
                    said.image = said.image.take().or(url.map(Cow::into_owned));
                }
            }
            _ => self.meter.structured(Some(raw)),
        }
    }

    fn keep_text(&mut self, role: Role, said: &mut Said, text: &str) {
        if role == Role::User && self.wrappers.cover(text) {
            self.turns.pass_over(text);
        } else {
            said.add(text);
        }
    }
}

/// The fields of an input item or of a content part, as raw JSON.
#[derive(Default)]
struct Item<'a> {
    kind: Option<&'a str>,
    role: Option<&'a str>,
    content: Option<&'a str>,
    text: Option<&'a str>,
    refusal: Option<&'a str>,
    image_url: Option<&'a str>,
    call_id: Option<&'a str>,
    name: Option<&'a str>,
    arguments: Option<&'a str>,
    output: Option<&'a str>,
    encrypted_content: Option<&'a str>,
}

impl<'a> Item<'a> {
    fn read(raw: &'a str) -> Self {
        let mut item = Self::default();
        json::members(raw, |key, value| {
            let field = match key.as_ref() {
                "type" => &mut item.kind,
                "role" => &mut item.role,
                "content" => &mut item.content,
                "text" => &mut item.text,
                "refusal" => &mut item.refusal,
                "image_url" => &mut item.image_url,
                "call_id" => &mut item.call_id,
                "name" => &mut item.name,
                "arguments" => &mut item.arguments,
                "output" => &mut item.output,
                "encrypted_content" => &mut item.encrypted_content,
                _ => return,
            };
            *field = Some(value);
        });
        item
    }
}

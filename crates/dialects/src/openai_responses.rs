//! Reads OpenAI Responses requests, as the chat request they amount to: `instructions` are the
//! system message, function calls the assistant's tool calls, their outputs tool messages.

use std::borrow::Cow;

use crate::gather::{self, Gathered};
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
    if let Some(prompt) = fields.get("prompt") {
        json::members(prompt, |key, value| {
            if key == "variables" {
                turns.note(Role::User, gather::text(value));
            }
        });
    }
    fields.note_unknown(&mut turns, &["instructions", "input", "prompt", "text"]);
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
            // The SDKs leave `type` out of plain messages.
            "message" | "" if kind == "message" || item.role.is_some() => {
                self.message(item.role, item.content);
                self.beside(item.role, &item);
            }
            "function_call" => {
                self.call(was_calling);
                self.meter.text(item.call_id);
                self.meter.text_bytes("function".len());
                self.meter.text(item.name);
                self.meter.structured(item.arguments);
                self.arguments(&item);
                self.beside(Some(r#""assistant""#), &item);
            }
            call if call.ends_with("_call") => {
                self.call(was_calling);
                self.meter.structured(Some(raw));
                self.hosted(call, &item, raw);
            }
            result if result.ends_with("_call_output") => {
                self.turns.count(Role::Tool);
                self.meter.framing(MESSAGE + TOOL);
                self.meter.text_bytes("tool".len());
                self.meter.text(item.call_id);
                self.meter.structured(item.output);
                self.turns.result(item.output);
                for value in &item.others {
                    self.turns.output(Some(value));
                }
            }
            // Reasoning, references and what is still to come: weight, but nobody's words and no
            // turn of their own.
            _ => {
                self.calling = was_calling;
                let sealed = item.encrypted_content.and_then(json::string);
                self.turns.continuity.sealed_state |=
                    sealed.is_some_and(|sealed| !sealed.is_empty());
                self.meter.structured(Some(raw));
                self.other(&kind, &item, raw);
            }
        }
    }

    /// Keeps what a call of a hosted tool says: its arguments, and what came of it.
    fn hosted(&mut self, kind: &str, item: &Item<'_>, raw: &str) {
        self.turns.output(item.output);
        self.arguments(item);
        if kind == "image_generation_call" {
            return self.turns.note(Role::Assistant, gather::text(raw));
        }
        json::members(raw, |key, value| match key.as_ref() {
            "outputs" | "results" | "result" | "error" => self.turns.output(Some(value)),
            "action" | "input" | "operation" | "code" | "queries" => {
                self.turns.note(Role::Assistant, gather::arguments(value));
            }
            "id"
            | "type"
            | "status"
            | "call_id"
            | "name"
            | "namespace"
            | "server_label"
            | "output"
            | "arguments"
            | "caller"
            | "pending_safety_checks" => {}
            _ => self.turns.note(Role::Assistant, gather::text(value)),
        });
    }

    /// Keeps members that an item of this role should not have.
    fn beside(&mut self, role: Option<&str>, item: &Item<'_>) {
        let role = Role::named(&role.and_then(json::string).unwrap_or_default());
        for value in item.others.iter().copied().chain(item.text) {
            self.turns.note(role, gather::text(value));
        }
    }

    fn arguments(&mut self, item: &Item<'_>) {
        if let Some(arguments) = item.arguments {
            self.turns
                .note(Role::Assistant, gather::arguments(arguments));
        }
    }

    /// Keeps the words of an item that is no turn.
    fn other(&mut self, kind: &str, item: &Item<'_>, raw: &str) {
        match kind {
            // They hold definitions of tools.
            "mcp_list_tools" | "tool_search_output" | "additional_tools" => {}
            "item_reference" => {}
            "mcp_approval_request" => self.arguments(item),
            "reasoning" | "compaction" | "compaction_summary" | "context_compaction" => {
                self.turns.note(Role::Assistant, gather::text(raw));
            }
            _ => self.turns.note(Role::Other, gather::text(raw)),
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
                self.keep_text(role, &mut said, text);
            }
            Kind::Array => json::elements(content, |part| self.part(role, &mut said, part)),
            Kind::Object => self.part(role, &mut said, content),
            Kind::Null => {}
            Kind::Boolean | Kind::Number => {
                self.meter.structured(Some(content));
                self.turns.note(role, gather::text(content));
            }
        }
        self.turns.image = self.turns.image.take().or(said.image);
        self.turns.say(role, said.text);
    }

    fn part(&mut self, role: Role, said: &mut Said, raw: &str) {
        let mut part = Item::read(raw);
        match part
            .kind
            .and_then(json::string)
            .unwrap_or_default()
            .as_ref()
        {
            "input_text" | "output_text" | "text" if part.text.is_some() => {
                match part.text.and_then(json::string) {
                    Some(text) => {
                        self.meter.text_bytes(text.len());
                        self.keep_text(role, said, text);
                    }
                    None => {
                        self.meter.structured(part.text);
                        part.others.extend(part.text);
                    }
                }
                for value in &part.others {
                    self.turns.note(role, gather::text(value));
                }
            }
            "refusal" => {
                self.meter.text(part.refusal);
                self.turns.note(role, gather::text(raw));
            }
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
            _ => {
                self.meter.structured(Some(raw));
                self.turns.note(role, gather::text(raw));
            }
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
    /// Values of members of other names.
    others: Vec<&'a str>,
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
                "id" | "status" | "phase" | "namespace" | "caller" => return,
                _ => return item.others.push(value),
            };
            *field = Some(value);
        });
        item
    }
}

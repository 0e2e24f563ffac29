//! Reads OpenAI Responses requests, as the chat request they amount to: `instructions` are the
//! system message, function calls the assistant's tool calls, their outputs tool messages.

use std::borrow::Cow;

use crate::gather::{self, Gathered};
use crate::json::{self, Kind};
use crate::kinds::{self, folded};
use crate::members::Members;
use crate::meter::{MESSAGE, Meter, Pricing, TOOL};
use crate::request::{Fields, ReadOptions, Reading, Refused};
use crate::turns::{Role, Said, Turns, inline_image};

/// Reads a Responses request's fields. `input` may be absent (a stored prompt or conversation
/// supplies it).
pub(crate) fn read(fields: &Fields<'_>, options: &ReadOptions) -> Result<Reading, Refused> {
    let mut reader = Reader {
        options,
        turns: Turns::new(options),
        meter: Meter::new(Pricing::Tiles),
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
    if let Some(prompt) = json::present(fields.get("prompt")) {
        stored_prompt(&mut turns, &mut meter, prompt);
    }
    fields.note_beside(&mut turns, &["instructions", "input", "prompt", "text"]);
    turns.define(fields.get("text"));
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

/// Keeps the variables of a stored prompt: they become words of the user's turn.
fn stored_prompt(turns: &mut Turns, meter: &mut Meter, raw: &str) {
    if Kind::of(raw) != Kind::Object {
        return turns.note(Role::User, gather::text(raw));
    }
    let mut prompt = Members::read(raw, &["id", "version", "variables"]);
    turns.ambiguous(prompt.ambiguity.take());
    turns.name(Role::User, prompt.get("id"));
    turns.name(Role::User, prompt.get("version"));
    if let Some(variables) = prompt.get("variables") {
        let found = gather::text(variables);
        meter.attachments(&found);
        turns.note(Role::User, found);
    }
    turns.note(Role::User, gather::members(&prompt.others));
}

struct Reader<'w> {
    options: &'w ReadOptions,
    turns: Turns,
    meter: Meter,
    /// The last item was a call: calls in a row are one assistant message, as parallel calls are in
    /// chat.
    calling: bool,
}

type Item<'a> = Members<'a, ITEM_COUNT>;

const ITEM_COUNT: usize = 11;

/// Members of an input item or of a content part that are read one by one.
const ITEM_MEMBERS: &[&str; ITEM_COUNT] = &[
    "type",
    "role",
    "content",
    "text",
    "refusal",
    "image_url",
    "call_id",
    "name",
    "arguments",
    "output",
    "encrypted_content",
];

impl Reader<'_> {
    fn item(&mut self, raw: &str) {
        if Kind::of(raw) != Kind::Object {
            let found = gather::text(raw);
            self.meter.gathered(Some(raw), &found);
            return self.turns.note(Role::Other, found);
        }
        let mut item = Item::read(raw, ITEM_MEMBERS);
        self.turns.ambiguous(item.ambiguity.take());
        let kind = item.text("type");
        let kind = folded(&kind);
        let was_calling = std::mem::replace(&mut self.calling, kind.ends_with("_call"));
        match kind.as_ref() {
            // The SDKs leave `type` out of plain messages.
            "message" | "" if kind == "message" || item.get("role").is_some() => {
                self.message(item.get("role"), item.get("content"));
                self.beside_message(&item);
            }
            "function_call" => {
                self.call(was_calling);
                self.meter.text(item.get("call_id"));
                self.meter.text_bytes("function".len());
                self.meter.text(item.get("name"));
                self.arguments(&item, Measured::Yes);
                self.names(Role::Assistant, &item);
                self.rest(
                    Role::Assistant,
                    &item,
                    &["text", "content", "output", "refusal"],
                );
            }
            call if call.ends_with("_call") => {
                self.call(was_calling);
                self.meter.gathered(Some(raw), &gather::text(raw));
                self.hosted(call, &item, raw);
            }
            result if result.ends_with("_call_output") => {
                self.turns.count(Role::Tool);
                self.meter.framing(MESSAGE + TOOL);
                self.meter.text_bytes("tool".len());
                self.meter.text(item.get("call_id"));
                let found = self.output(item.get("output"));
                self.turns.result(found);
                self.names(Role::Tool, &item);
                self.rest(
                    Role::Tool,
                    &item,
                    &["text", "content", "arguments", "refusal"],
                );
            }
            // Reasoning, references and what is still to come: weight, but nobody's words and no
            // turn of their own.
            _ => {
                self.calling = was_calling;
                let sealed = item.text("encrypted_content");
                self.turns.continuity.sealed_state |= !sealed.is_empty();
                self.other(&kind, &item, raw);
            }
        }
    }

    /// Measures and gathers what a tool gave. Its pictures count as pictures.
    fn output(&mut self, raw: Option<&str>) -> Gathered {
        let Some(raw) = json::present(raw) else {
            return Gathered::default();
        };
        if Kind::of(raw) != Kind::Array {
            let found = gather::result(raw);
            self.meter.gathered(Some(raw), &found);
            return found;
        }
        let mut all = Gathered::default();
        json::elements(raw, |part| {
            let found = gather::text(part);
            let kind = Members::read(part, &["type"]).text("type");
            match kinds::Part::named(&kind) {
                kinds::Part::Image => self.meter.attachments(&found),
                _ => self.meter.gathered(Some(part), &found),
            }
            all.join(found);
        });
        all
    }

    /// Keeps what a call of a hosted tool says: its arguments, and what came of it.
    fn hosted(&mut self, kind: &str, item: &Item<'_>, raw: &str) {
        if let Some(output) = item.get("output") {
            self.turns.output(gather::result(output));
        }
        self.arguments(item, Measured::No);
        self.names(Role::Assistant, item);
        if kind == "image_generation_call" {
            return self.turns.note(Role::Assistant, gather::text(raw));
        }
        self.rest(
            Role::Assistant,
            item,
            &["text", "content", "refusal", "image_url"],
        );
    }

    /// Keeps the name and the identifiers of an item.
    fn names(&mut self, role: Role, item: &Item<'_>) {
        for field in ["type", "name", "call_id"] {
            self.turns.name(role, item.get(field));
        }
    }

    /// Keeps members of an item that its type has no place for, and those of other names.
    fn rest(&mut self, role: Role, item: &Item<'_>, fields: &[&str]) {
        for value in fields.iter().filter_map(|field| item.get(field)) {
            self.turns.note(role, gather::text(value));
        }
        for (key, value) in &item.others {
            match key.as_ref() {
                "outputs" | "results" | "result" | "error" => {
                    self.turns.output(gather::result(value));
                }
                "action" | "actions" | "input" | "operation" | "code" | "queries" => {
                    self.turns.note(role, gather::arguments(value));
                }
                _ => {
                    let found = gather::members(&[(key.as_ref().into(), *value)]);
                    match role {
                        Role::Tool => self.turns.output(found),
                        _ => self.turns.note(role, found),
                    }
                }
            }
        }
    }

    /// Keeps members that a message should not have.
    fn beside_message(&mut self, item: &Item<'_>) {
        let role = Role::named(&item.text("role"));
        for field in ["role", "type", "name", "call_id"] {
            self.turns.name(role, item.get(field));
        }
        let fields = ["text", "refusal", "image_url", "arguments", "output"];
        for value in fields.iter().filter_map(|field| item.get(field)) {
            self.turns.note(role, gather::text(value));
        }
        self.turns.note(role, gather::members(&item.others));
    }

    fn arguments(&mut self, item: &Item<'_>, measured: Measured) {
        if let Some(arguments) = item.get("arguments") {
            let found = gather::arguments(arguments);
            if measured == Measured::Yes {
                self.meter.gathered(Some(arguments), &found);
            }
            self.turns.note(Role::Assistant, found);
        }
    }

    /// Keeps the words of an item that is no turn.
    fn other(&mut self, kind: &str, item: &Item<'_>, raw: &str) {
        let found = gather::text(raw);
        self.meter.gathered(Some(raw), &found);
        match kind {
            "mcp_list_tools" | "tool_search_output" | "additional_tools" => {
                self.names(Role::System, item);
                self.turns.define(Some(raw));
            }
            "mcp_approval_request" => {
                self.arguments(item, Measured::No);
                self.names(Role::Assistant, item);
                self.rest(Role::Assistant, item, &["text", "content", "output"]);
            }
            "reasoning" | "compaction" | "compaction_summary" | "context_compaction"
            | "program" => {
                self.turns.note(Role::Assistant, found);
            }
            "program_output" => self.turns.output(found),
            _ => self.turns.note(Role::Other, found),
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
                self.words(role, &mut said, text);
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
        if Kind::of(raw) != Kind::Object {
            let found = gather::text(raw);
            self.meter.gathered(Some(raw), &found);
            return self.turns.note(role, found);
        }
        let mut part = Item::read(raw, ITEM_MEMBERS);
        self.turns.ambiguous(part.ambiguity.take());
        let kind = part.text("type");
        match kinds::Part::named(&kind) {
            kinds::Part::Text if part.get("text").and_then(json::string).is_some() => {
                self.words(role, said, part.text("text"));
                let mut found = gather::members(&part.others);
                for field in ["content", "refusal", "image_url", "arguments", "output"] {
                    let value = part.get(field).map(gather::text);
                    found.join(value.unwrap_or_default());
                }
                for field in ["type", "role", "call_id", "name"] {
                    self.turns.name(role, part.get(field));
                }
                self.meter.attachments(&found);
                self.turns.note(role, found);
            }
            kinds::Part::Image => {
                let found = gather::text(raw);
                self.meter.attachments(&found);
                self.turns.note(role, found);
                if role == Role::User {
                    self.turns.conversation.images += 1;
                    let url = part
                        .get("image_url")
                        .and_then(json::string)
                        .filter(|url| inline_image(url).is_some());
                    said.image = said.image.take().or(url.map(Cow::into_owned));
                }
            }
            _ if folded(&kind) == "refusal" => {
                self.meter.text(part.get("refusal"));
                self.turns.note(role, gather::text(raw));
            }
            _ => {
                let found = gather::text(raw);
                self.meter.gathered(Some(raw), &found);
                self.turns.note(role, found);
            }
        }
    }

    /// Words of a message.
    fn words(&mut self, role: Role, said: &mut Said, text: Cow<'_, str>) {
        let bytes = text.len();
        let found = self.turns.keep(role, said, text, self.options);
        self.meter.text_bytes(bytes - found.opaque);
        self.meter.attachments(&found);
    }
}

/// Whether a value is to be measured, or was with what it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    Yes,
    No,
}

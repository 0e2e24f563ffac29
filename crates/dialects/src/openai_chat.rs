//! Reads OpenAI chat messages, for the wire and, in its own flavour, for the eval endpoint.

use std::borrow::Cow;

use crate::gather::{self, Gathered};
use crate::json::{self, Kind};
use crate::kinds::{self, folded};
use crate::members::Members;
use crate::meter::{MESSAGE, Meter, Pricing, TOOL};
use crate::request::{Fields, ReadOptions, Reading, Refused};
use crate::turns::{Role, Said, Turns, inline_image};

/// The two ways in which the reference reads the same messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Texts verbatim.
    Wire,
    /// Names of members in any case, texts trimmed.
    Eval,
}

/// Reads a chat request's fields.
pub(crate) fn read(fields: &Fields<'_>, options: &ReadOptions) -> Result<Reading, Refused> {
    let messages = fields.messages()?;
    let mut reader = ChatReader::new(Flavor::Wire, options);
    json::elements(messages, |message| reader.message(message));
    let no_messages = !reader.has_messages;
    let (mut turns, mut meter) = (reader.turns, reader.meter);
    envelope(&mut turns, &mut meter, |name| fields.get(name));
    fields.note_beside(&mut turns, &["messages"]);
    let reasoning_effort = fields.text("reasoning_effort");
    Ok(Reading {
        turns,
        meter,
        no_messages,
        reasoning_effort,
    })
}

/// Counts and measures what stands beside the messages: tools, schemas, the output limit.
pub(crate) fn envelope<'a>(
    turns: &mut Turns,
    meter: &mut Meter,
    get: impl Fn(&str) -> Option<&'a str>,
) {
    for list in ["tools", "functions"] {
        turns.conversation.tool_definitions += meter.definitions(get(list));
    }
    for value in ["tool_choice", "function_call", "response_format"] {
        meter.structured(get(value));
    }
    meter.reserve(&[get("max_completion_tokens"), get("max_tokens")]);
}

/// Reads messages one by one.
pub(crate) struct ChatReader<'w> {
    flavor: Flavor,
    options: &'w ReadOptions,
    pub(crate) turns: Turns,
    pub(crate) meter: Meter,
    /// Eval's `R`: the last user text before trimming.
    pub(crate) untrimmed: String,
    /// At least one message was read.
    pub(crate) has_messages: bool,
}

impl<'w> ChatReader<'w> {
    pub(crate) fn new(flavor: Flavor, options: &'w ReadOptions) -> Self {
        Self {
            flavor,
            options,
            turns: Turns::new(options),
            meter: Meter::new(Pricing::Tiles),
            untrimmed: String::new(),
            has_messages: false,
        }
    }

    /// Reads one element of `messages`.
    pub(crate) fn message(&mut self, raw: &str) {
        self.has_messages = true;
        self.meter.framing(MESSAGE);
        if Kind::of(raw) != Kind::Object {
            let found = gather::text(raw);
            self.meter.gathered(Some(raw), &found);
            self.turns.count(Role::Other);
            self.turns.note(Role::Other, found);
            return;
        }

        let mut message = match self.flavor {
            Flavor::Wire => Members::read(raw, MESSAGE_MEMBERS),
            Flavor::Eval => Members::read_folded(raw, MESSAGE_MEMBERS),
        };
        self.turns.ambiguous(message.ambiguity.take());
        let name = message.text("role");
        let role = Role::named(&name);
        let is_result = matches!(folded(&name).as_ref(), "tool" | "function");
        for field in ["role", "name", "tool_call_id"] {
            self.meter.text(message.get(field));
        }
        self.turns.count(role);
        for field in ["role", "name", "tool_call_id"] {
            self.turns.name(role, message.get(field));
        }

        self.calls(role, &message);
        for field in ["refusal", "reasoning_content"] {
            self.meter.text(message.get(field));
            if let Some(value) = message.get(field) {
                self.turns.note(role, gather::text(value));
            }
        }
        self.turns.note(role, gather::members(&message.others));

        let content = message.get("content");
        if is_result {
            self.meter.framing(TOOL);
            let found = content.map(gather::result).unwrap_or_default();
            self.turns.result(found);
        }
        let state = Content {
            role,
            is_result,
            said: Said::default(),
        };
        self.content(state, content);
    }

    /// Reads the message's tool calls in any role; only an assistant's are counted.
    fn calls(&mut self, role: Role, message: &Members<'_, MESSAGE_COUNT>) {
        if let Some(calls) = json::present(message.get("tool_calls")) {
            if Kind::of(calls) == Kind::Array {
                json::elements(calls, |call| {
                    self.call(call);
                    self.turns.conversation.tool_calls += u64::from(role == Role::Assistant);
                });
            } else {
                self.structured_call(calls, gather::arguments(calls));
            }
        }
        if let Some(call) = json::present(message.get("function_call")) {
            if Kind::of(call) == Kind::Object {
                self.function(call);
                self.meter.framing(TOOL);
            } else {
                self.structured_call(call, gather::arguments(call));
            }
        }
    }

    /// A call that counts by its JSON text.
    fn structured_call(&mut self, raw: &str, found: Gathered) {
        self.meter.gathered(Some(raw), &found);
        self.turns.note(Role::Assistant, found);
    }

    fn call(&mut self, raw: &str) {
        self.meter.framing(TOOL);
        let mut call = Members::read(raw, &["id", "type", "tool_call_id", "function"]);
        self.turns.ambiguous(call.ambiguity.take());
        let function = call.get("function");
        let Some(function) = function.filter(|function| Kind::of(function) == Kind::Object) else {
            return self.structured_call(raw, gather::text(raw));
        };
        for field in ["id", "type", "tool_call_id"] {
            self.meter.text(call.get(field));
            self.turns.name(Role::Assistant, call.get(field));
        }
        let found = gather::members(&call.others);
        self.turns.note(Role::Assistant, found);
        self.function(function);
    }

    /// A called function: its name is text, its arguments count by their JSON text.
    fn function(&mut self, raw: &str) {
        let mut function = Members::read(raw, &["name", "arguments"]);
        self.turns.ambiguous(function.ambiguity.take());
        self.meter.text(function.get("name"));
        self.turns.name(Role::Assistant, function.get("name"));
        if let Some(arguments) = function.get("arguments") {
            self.structured_call(arguments, gather::arguments(arguments));
        }
        let found = gather::members(&function.others);
        self.turns.note(Role::Assistant, found);
    }

    fn content(&mut self, mut content: Content, raw: Option<&str>) {
        let Some(raw) = raw else { return };
        match Kind::of(raw) {
            // Its text was kept as that of a result.
            Kind::String if content.is_result => {
                self.meter.gathered(Some(raw), &gather::result(raw));
                self.close(content, true);
            }
            Kind::String => {
                let text = json::string(raw).unwrap_or_default();
                self.words(&mut content, text);
                self.close(content, true);
            }
            Kind::Array => {
                json::elements(raw, |part| self.part(&mut content, part));
                self.close(content, false);
            }
            // A list of one.
            Kind::Object => {
                self.part(&mut content, raw);
                self.close(content, false);
            }
            Kind::Null => {}
            Kind::Boolean | Kind::Number => {
                self.meter.structured(Some(raw));
                self.beside(&content, gather::text(raw));
            }
        }
    }

    /// Keeps what stands beside the message's words. A result is read as a whole.
    fn beside(&mut self, content: &Content, found: Gathered) {
        if !content.is_result {
            self.turns.note(content.role, found);
        }
    }

    fn part(&mut self, content: &mut Content, raw: &str) {
        if Kind::of(raw) != Kind::Object {
            let found = gather::text(raw);
            self.meter.gathered(Some(raw), &found);
            self.beside(content, found);
            return;
        }

        let mut part = Members::read(raw, PART_MEMBERS);
        self.turns.ambiguous(part.ambiguity.take());
        let is_typed =
            json::present(part.get("type")).is_none_or(|raw| Kind::of(raw) == Kind::String);
        let name = part.text("type");
        let kind = if is_typed {
            kinds::Part::named(&name)
        } else {
            kinds::Part::Other
        };
        self.images(content, &folded(&name), &part);

        let text = part.get("text");
        match kind {
            kinds::Part::Text if !content.is_result && text.is_some() => {
                self.text_part(content, &part, raw);
            }
            kinds::Part::Image => {
                let found = gather::text(raw);
                self.meter.attachments(&found);
                self.beside(content, found);
            }
            _ => {
                let found = gather::text(raw);
                self.meter.gathered(Some(raw), &found);
                self.beside(content, found);
            }
        }
    }

    /// A part that is text. What is no string, or has no type, counts by its JSON text.
    fn text_part(&mut self, content: &mut Content, part: &Members<'_, PART_COUNT>, raw: &str) {
        let text = part.get("text");
        match text.and_then(json::string) {
            Some(text) if part.text("type").is_empty() => {
                let found = self
                    .turns
                    .keep(content.role, &mut content.said, text, self.options);
                self.meter.gathered(Some(raw), &found);
            }
            Some(text) => self.words(content, text),
            None => {
                self.meter.structured(text);
                let text = json::present(text).unwrap_or_default();
                let found =
                    self.turns
                        .keep(content.role, &mut content.said, text.into(), self.options);
                self.meter.attachments(&found);
            }
        }
        self.turns.name(content.role, part.get("type"));
        let mut found = gather::members(&part.others);
        if let Some(image) = part.get("image_url") {
            found.join(gather::text(image));
        }
        self.meter.attachments(&found);
        self.beside(content, found);
    }

    /// Words of a message.
    fn words(&mut self, content: &mut Content, text: Cow<'_, str>) {
        let bytes = text.len();
        let found = self
            .turns
            .keep(content.role, &mut content.said, text, self.options);
        self.meter.text_bytes(bytes - found.opaque);
        self.meter.attachments(&found);
    }

    fn images(&mut self, content: &mut Content, kind: &str, part: &Members<'_, PART_COUNT>) {
        if content.role != Role::User {
            return;
        }
        self.turns.conversation.images += u64::from(matches!(kind, "image_url" | "input_image"));
        if content.said.image.is_some() || (self.flavor == Flavor::Wire && kind != "image_url") {
            return;
        }
        let Some(image) = part.get("image_url") else {
            return;
        };
        let mut url = (self.flavor == Flavor::Eval)
            .then(|| json::string(image))
            .flatten();
        json::members(image, |key, value| {
            if key == "url" {
                url = json::string(value);
            }
        });
        let Some(url) = url else { return };
        content.said.image = inline_image(&url).map(|(prefix, payload)| match self.flavor {
            Flavor::Wire => format!("{prefix}{payload}"),
            Flavor::Eval => format!("{}{payload}", prefix.to_ascii_lowercase()),
        });
    }

    /// Hands a finished message over to the turns.
    fn close(&mut self, content: Content, verbatim: bool) {
        let Content { role, said, .. } = content;
        if self.flavor == Flavor::Wire {
            self.turns.image = self.turns.image.take().or(said.image);
            self.turns.say(role, said.text);
            return;
        }
        let trimmed = said.text.trim();
        if role == Role::User {
            if !trimmed.is_empty() || said.image.is_some() {
                self.turns.image = said.image;
            }
            let untrimmed = if verbatim {
                said.text.as_str()
            } else {
                trimmed
            };
            if !untrimmed.is_empty() {
                untrimmed.clone_into(&mut self.untrimmed);
            }
        }
        self.turns.say(role, trimmed.to_owned());
    }
}

/// What one message's content has said so far.
struct Content {
    role: Role,
    /// Content of role `tool` or `function` counts as structure, never as text.
    is_result: bool,
    said: Said,
}

const MESSAGE_COUNT: usize = 8;

/// Members of a message that are read one by one.
const MESSAGE_MEMBERS: &[&str; MESSAGE_COUNT] = &[
    "role",
    "name",
    "content",
    "tool_call_id",
    "tool_calls",
    "function_call",
    "refusal",
    "reasoning_content",
];

const PART_COUNT: usize = 3;

/// Members of a content part that are read one by one.
const PART_MEMBERS: &[&str; PART_COUNT] = &["type", "text", "image_url"];

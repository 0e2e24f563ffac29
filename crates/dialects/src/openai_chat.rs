//! Reads OpenAI chat messages, for the wire and, in its own flavour, for the eval endpoint.

use std::borrow::Cow;

use crate::gather::{self, Gathered};
use crate::json::{self, Kind};
use crate::meter::{MESSAGE, Measure, Meter, TOOL};
use crate::request::{Fields, Reading, Refused};
use crate::turns::{Role, Said, Turns, inline_image};
use crate::wrappers::Wrappers;

/// The two ways in which the reference reads the same messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Roles and part types exact, texts verbatim. What is spelled otherwise is no turn's words,
    /// but safety scans read it.
    Wire,
    /// Roles and part types trimmed and lowercased, texts trimmed.
    Eval,
}

/// Reads a chat request's fields.
pub(crate) fn read(fields: &Fields<'_>, wrappers: &Wrappers) -> Result<Reading, Refused> {
    let messages = fields.messages()?;
    let mut reader = ChatReader::new(Flavor::Wire, wrappers);
    json::elements(messages, |message| reader.message(message));
    let no_messages = !reader.has_messages;
    let (mut turns, mut meter) = (reader.turns, reader.meter);
    envelope(&mut turns, &mut meter, |name| fields.get(name));
    fields.note_unknown(&mut turns, &["messages"]);
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
    wrappers: &'w Wrappers,
    pub(crate) turns: Turns,
    pub(crate) meter: Meter,
    /// Eval's `R`: the last user text before trimming.
    pub(crate) untrimmed: String,
    /// At least one message was read.
    pub(crate) has_messages: bool,
}

impl<'w> ChatReader<'w> {
    pub(crate) fn new(flavor: Flavor, wrappers: &'w Wrappers) -> Self {
        let measure = if flavor == Flavor::Eval {
            Measure::Compacted
        } else {
            Measure::AsWritten
        };
        let (turns, meter) = (Turns::default(), Meter::new(measure));
        Self {
            flavor,
            wrappers,
            turns,
            meter,
            untrimmed: String::new(),
            has_messages: false,
        }
    }

    /// Reads one element of `messages`.
    pub(crate) fn message(&mut self, raw: &str) {
        self.has_messages = true;
        self.meter.framing(MESSAGE);
        if Kind::of(raw) != Kind::Object {
            self.meter.structured(Some(raw));
            self.turns.count(Role::Other);
            self.turns.note(Role::Other, gather::text(raw));
            return;
        }
        let message = Message::read(raw, self.flavor);
        let name = message.role.and_then(json::string).unwrap_or_default();
        let role = match self.flavor {
            Flavor::Wire => Role::named(&name),
            Flavor::Eval => Role::named(&folded(&name)),
        };
        let is_result = matches!(folded(&name).as_ref(), "tool" | "function");
        for field in [
            message.role,
            message.name,
            message.tool_call_id,
            message.refusal,
            message.reasoning_content,
        ] {
            self.meter.text(field);
        }
        self.turns.count(role);
        self.calls(role, &message);
        for value in [message.refusal, message.reasoning_content]
            .into_iter()
            .flatten()
            .chain(message.others)
        {
            self.turns.note(role, gather::text(value));
        }
        if is_result {
            self.meter.framing(TOOL);
            self.turns.result(message.content);
        }
        let content = Content {
            role,
            is_result,
            said: Said::default(),
            broken: false,
        };
        self.content(content, message.content);
    }

    /// The message's tool calls, whoever makes them; only an assistant's are counted.
    fn calls(&mut self, role: Role, message: &Message<'_>) {
        if let Some(calls) = json::present(message.tool_calls) {
            if Kind::of(calls) == Kind::Array {
                json::elements(calls, |call| {
                    self.call(call);
                    self.turns.conversation.tool_calls += u64::from(role == Role::Assistant);
                });
            } else {
                self.meter.structured(Some(calls));
                self.turns.note(Role::Assistant, gather::arguments(calls));
            }
        }
        if let Some(call) = json::present(message.function_call) {
            if Kind::of(call) == Kind::Object {
                self.function(call);
                self.meter.framing(TOOL);
            } else {
                self.meter.structured(Some(call));
                self.turns.note(Role::Assistant, gather::arguments(call));
            }
        }
    }

    fn call(&mut self, raw: &str) {
        self.meter.framing(TOOL);
        let (mut texts, mut function) = ([None; 3], None);
        json::members(raw, |key, value| match key.as_ref() {
            "id" => texts[0] = Some(value),
            "type" => texts[1] = Some(value),
            "tool_call_id" => texts[2] = Some(value),
            "function" => function = Some(value),
            _ => {}
        });
        match function.filter(|function| Kind::of(function) == Kind::Object) {
            Some(function) => {
                texts.into_iter().for_each(|text| self.meter.text(text));
                self.function(function);
            }
            None => {
                self.meter.structured(Some(raw));
                self.turns.note(Role::Assistant, gather::text(raw));
            }
        }
    }

    /// A called function: its name is text, its arguments count as written, escapes included.
    fn function(&mut self, raw: &str) {
        let (mut name, mut arguments) = (None, None);
        json::members(raw, |key, value| match key.as_ref() {
            "name" => name = Some(value),
            "arguments" => arguments = Some(value),
            _ => {}
        });
        self.meter.text(name);
        self.meter.structured(arguments);
        if let Some(arguments) = arguments {
            self.turns
                .note(Role::Assistant, gather::arguments(arguments));
        }
    }

    fn content(&mut self, mut content: Content, raw: Option<&str>) {
        let Some(raw) = raw else { return };
        match Kind::of(raw) {
            // Its text was kept as that of a result.
            Kind::String if content.is_result => {
                self.meter.structured(Some(raw));
                self.close(content, true);
            }
            Kind::String => {
                let text = json::string(raw).unwrap_or_default();
                self.meter.text_bytes(text.len());
                self.keep_text(&mut content, text);
                self.close(content, true);
            }
            Kind::Array => {
                json::elements(raw, |part| self.part(&mut content, part));
                self.close(content, false);
            }
            Kind::Object => {
                // The wire measures a lone object but reads nothing from it; eval takes it for a
                // list of one.
                if self.flavor == Flavor::Wire {
                    content.role = Role::Other;
                }
                self.part(&mut content, raw);
                self.close(content, false);
            }
            Kind::Null => {}
            Kind::Boolean | Kind::Number => {
                self.meter.structured(Some(raw));
                self.beside(&content, raw);
            }
        }
    }

    /// Keeps what is none of the message's words. A result is read as a whole.
    fn beside(&mut self, content: &Content, raw: &str) {
        if !content.is_result {
            self.turns.note(content.role, gather::text(raw));
        }
    }

    fn part(&mut self, content: &mut Content, raw: &str) {
        if Kind::of(raw) != Kind::Object {
            self.meter.structured(Some(raw));
            self.beside(content, raw);
            content.broken = true;
            return;
        }
        let part = Part::read(raw);
        let name = part.kind.and_then(json::string).unwrap_or_default();
        let folded_name = folded(&name);
        let text = part.text.and_then(json::string);
        match folded_name.as_ref() {
            "image" | "image_url" | "input_image" => self.meter.image(),
            "text" | "input_text" | "output_text" if !content.is_result && part.text.is_some() => {
                match &text {
                    Some(text) => self.meter.text_bytes(text.len()),
                    None => self.meter.structured(part.text),
                }
            }
            _ => self.meter.structured(Some(raw)),
        }
        let kind = if self.flavor == Flavor::Wire {
            &name
        } else {
            &folded_name
        };
        self.images(content, kind, &part);
        let untyped = json::present(part.kind).is_none_or(|raw| Kind::of(raw) == Kind::String);
        content.broken |= !untyped || (text.is_none() && json::present(part.text).is_some());
        let kept = match self.flavor {
            Flavor::Wire => untyped && matches!(kind.as_ref(), "" | "text" | "input_text"),
            Flavor::Eval => matches!(kind.as_ref(), "" | "text" | "input_text"),
        };
        if kept {
            let text = text
                .or_else(|| json::present(part.text).map(Cow::Borrowed))
                .unwrap_or_default();
            self.keep_text(content, text);
            for value in &part.others {
                self.beside(content, value);
            }
        } else {
            self.beside(content, raw);
        }
    }

    fn images(&mut self, content: &mut Content, kind: &str, part: &Part<'_>) {
        if content.role != Role::User {
            return;
        }
        self.turns.conversation.images += u64::from(matches!(kind, "image_url" | "input_image"));
        if content.said.image.is_some() || (self.flavor == Flavor::Wire && kind != "image_url") {
            return;
        }
        let Some(image) = part.image_url else { return };
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

    fn keep_text(&mut self, content: &mut Content, text: Cow<'_, str>) {
        if content.role == Role::User && self.wrappers.cover(&text) {
            self.turns.pass_over(text);
        } else if !matches!(content.role, Role::Tool | Role::Other) {
            content.said.add(text);
        } else if !content.is_result {
            self.turns.note(content.role, Gathered::of(text));
        }
    }

    /// Hands a finished message over to the turns.
    fn close(&mut self, content: Content, verbatim: bool) {
        let Content {
            role, said, broken, ..
        } = content;
        if self.flavor == Flavor::Wire {
            self.turns.image = self.turns.image.take().or(said.image);
            self.turns.say(role, said.text);
            return;
        }
        if broken {
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
    /// Something in the parts that the reference's typed decoder for eval rejects.
    broken: bool,
}

/// A message's fields as raw JSON.
#[derive(Default)]
struct Message<'a> {
    role: Option<&'a str>,
    name: Option<&'a str>,
    content: Option<&'a str>,
    tool_call_id: Option<&'a str>,
    tool_calls: Option<&'a str>,
    function_call: Option<&'a str>,
    refusal: Option<&'a str>,
    reasoning_content: Option<&'a str>,
    /// Values of members of other names.
    others: Vec<&'a str>,
}

impl<'a> Message<'a> {
    fn read(raw: &'a str, flavor: Flavor) -> Self {
        let mut message = Self::default();
        json::members(raw, |key, value| {
            let key = if flavor == Flavor::Eval {
                crate::eval::folded_key(&key)
            } else {
                key
            };
            let field = match key.as_ref() {
                "role" => &mut message.role,
                "name" => &mut message.name,
                "content" => &mut message.content,
                "tool_call_id" => &mut message.tool_call_id,
                "tool_calls" => &mut message.tool_calls,
                "function_call" => &mut message.function_call,
                "refusal" => &mut message.refusal,
                "reasoning_content" => &mut message.reasoning_content,
                "id" | "type" | "status" | "cache_control" => return,
                _ => return message.others.push(value),
            };
            *field = Some(value);
        });
        message
    }
}

/// A content part's fields as raw JSON.
#[derive(Default)]
struct Part<'a> {
    kind: Option<&'a str>,
    text: Option<&'a str>,
    image_url: Option<&'a str>,
    /// Values of members of other names.
    others: Vec<&'a str>,
}

impl<'a> Part<'a> {
    fn read(raw: &'a str) -> Self {
        let mut part = Self::default();
        json::members(raw, |key, value| match key.as_ref() {
            "type" => part.kind = Some(value),
            "text" => part.text = Some(value),
            "image_url" => part.image_url = Some(value),
            "cache_control" => {}
            _ => part.others.push(value),
        });
        part
    }
}

/// Trimmed and lowercased, borrowed where it is so already.
pub(crate) fn folded(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.chars().any(|c| c.is_uppercase()) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

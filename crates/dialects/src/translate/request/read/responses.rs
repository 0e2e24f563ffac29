//! Reads requests of OpenAI Responses. Items that one answer of a model made are one turn again.

use super::{Known, Reading, effort, format, lose, schema_format, settings};
use crate::gather;
use crate::json::{self, Kind};
use crate::kinds::{self, folded};
use crate::translate::loss::{Ledger, Lost};
use crate::translate::request::Unfit;
use crate::translate::request::media;
use crate::translate::request::neutral::{
    Body, Call, Choice, Conversation, Document, Image, Input, Mode, Output, Parameter, Part, Role,
    Setting, Shape, Takes, Thinking, Tool, Turn,
};
use crate::translate::request::object::{Object, elements, wrong};
use crate::translate::request::place::Place;
use crate::translate::request::text::Text;

const SETTINGS: &[Known] = &[
    ("max_output_tokens", Parameter::MaxTokens, Kind::Number),
    ("temperature", Parameter::Temperature, Kind::Number),
    ("top_p", Parameter::TopP, Kind::Number),
    ("top_logprobs", Parameter::TopLogprobs, Kind::Number),
    ("user", Parameter::User, Kind::String),
    (
        "safety_identifier",
        Parameter::SafetyIdentifier,
        Kind::String,
    ),
    ("prompt_cache_key", Parameter::PromptCacheKey, Kind::String),
    (
        "prompt_cache_retention",
        Parameter::PromptCacheRetention,
        Kind::String,
    ),
    ("metadata", Parameter::Metadata, Kind::Object),
    ("service_tier", Parameter::ServiceTier, Kind::String),
    ("store", Parameter::Store, Kind::Boolean),
];

/// Members that name what only the server has that made it.
const STORED: &[&str] = &["previous_response_id", "conversation", "prompt"];

const OWN: &[&str] = &["max_tool_calls", "context_management", "moderation"];

const HINTS: &[&str] = &["client_metadata", "stream_options", "prompt_cache_options"];

/// Ends of the types of items that a provider's own tools leave behind.
const SERVER_ITEMS: &[&str] = &[
    "_call",
    "_call_output",
    "_list_tools",
    "_request",
    "_response",
];

/// Reads what stands in the body.
pub(super) fn read<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    for name in STORED {
        if object.take(name).is_some() {
            return Err(Unfit::at(
                object.at(name),
                "names what another provider keeps: send the whole conversation instead",
            ));
        }
    }
    if object.flag("background")? == Some(true) {
        let place = object.at("background");
        return Err(Unfit::at(place, "is not possible with this backend"));
    }
    let mut reading = Reading::new(ledger);
    if let Some(text) = object.text("instructions")? {
        let place = object.at("instructions");
        conversation.turns.push(turn(Role::System, place, text));
    }
    reading.input(object, conversation)?;
    let place = object.at("tools");
    for (at, raw) in object.list("tools")?.into_iter().enumerate() {
        let tool = Object::read(raw, place.element(at))?;
        conversation.tools.extend(self::tool(tool, ledger)?);
    }
    conversation.choice = choice(object, ledger)?;
    conversation.parallel_calls = super::parallel(object)?;
    settings(object, SETTINGS, conversation, ledger)?;
    include(object, conversation, ledger)?;
    if let Some(mut reasoning) = object.object("reasoning")? {
        conversation.reasoning.effort = effort(&mut reasoning, "effort")?;
        let hints = &["summary", "generate_summary"];
        lose(&mut reasoning, hints, Lost::Hint, ledger);
        reasoning.rest(ledger);
    }
    text_options(object, conversation, ledger)?;
    if object.word("truncation")? == "auto" {
        ledger.lose(Lost::Parameter, object.at("truncation"));
    }
    lose(object, OWN, Lost::Parameter, ledger);
    lose(object, HINTS, Lost::Hint, ledger);
    Ok(())
}

fn turn<'a>(role: Role, place: Place, text: Text<'a>) -> Turn<'a> {
    Turn {
        role,
        place,
        parts: vec![Part::new(place, Body::Text(text))],
    }
}

impl<'l> Reading<'l> {
    fn input<'a>(
        &mut self,
        object: &mut Object<'a>,
        conversation: &mut Conversation<'a>,
    ) -> Result<(), Unfit> {
        let place = object.at("input");
        let input = object.need("input")?;
        if let Some(text) = Text::of(input) {
            conversation.turns.push(turn(Role::User, place, text));
            return Ok(());
        }
        for (at, raw) in elements(input, place)?.into_iter().enumerate() {
            let place = place.element(at);
            self.count(place)?;
            let item = Object::read(raw, place)?;
            self.item(item, raw, &mut conversation.turns)?;
        }
        Ok(())
    }

    fn item<'a>(
        &mut self,
        mut item: Object<'a>,
        raw: &'a str,
        turns: &mut Vec<Turn<'a>>,
    ) -> Result<(), Unfit> {
        let kind = item.word("type")?;
        let place = item.place;
        // The server that made an item gave it an id and a status; another has no use for them.
        if kind != "item_reference" {
            let _made_elsewhere = (item.take("id"), item.take("status"));
        }
        let (role, body) = match kind.as_ref() {
            "" | "message" => return self.item_message(item, turns),
            "function_call" => (Role::Assistant, call(&mut item, false)?),
            "custom_tool_call" => (Role::Assistant, call(&mut item, true)?),
            "function_call_output" => (Role::Tool, self.output(&mut item, false)?),
            "custom_tool_call_output" => (Role::Tool, self.output(&mut item, true)?),
            "reasoning" => (Role::Assistant, thinking(&mut item)?),
            "item_reference" => {
                let why = "names an item that another provider keeps";
                return Err(Unfit::at(item.at("id"), why));
            }
            kind if kind.contains("compaction") => {
                self.ledger.lose(Lost::SealedItem, place);
                return Ok(());
            }
            kind if SERVER_ITEMS.iter().any(|end| kind.ends_with(end)) => {
                self.ledger.lose(Lost::ServerCall, place);
                let text = format!("[{kind}] {}", gather::text(raw).text);
                let part = Part::new(place, Body::Text(Text::spelled(&text)));
                assistant(turns, place, true).parts.push(part);
                return Ok(());
            }
            _ => {
                self.ledger.lose(Lost::PartType, place);
                return Ok(());
            }
        };
        item.rest(self.ledger);
        let part = Part::new(place, body);
        match role {
            Role::Tool => turns.push(Turn {
                role,
                place,
                parts: vec![part],
            }),
            _ => {
                let is_new = matches!(part.body, Body::Thinking(_));
                assistant(turns, place, is_new).parts.push(part);
            }
        }
        Ok(())
    }

    fn item_message<'a>(
        &mut self,
        mut item: Object<'a>,
        turns: &mut Vec<Turn<'a>>,
    ) -> Result<(), Unfit> {
        let place = item.place;
        let role = item.need_text("role")?;
        let role = match kinds::Role::named(&role.decoded()) {
            kinds::Role::System => Role::System,
            kinds::Role::Developer => Role::Developer,
            kinds::Role::User => Role::User,
            kinds::Role::Assistant => Role::Assistant,
            kinds::Role::Tool | kinds::Role::Other => {
                self.ledger.lose(Lost::Role, item.at("role"));
                return Ok(());
            }
        };
        // Which part of an answer a message was: only its maker tells them apart.
        item.lose("phase", Lost::Hint, self.ledger);
        let content = item.take("content");
        let parts = self.content(content, item.at("content"), Self::item_part)?;
        item.rest(self.ledger);
        match role {
            Role::Assistant => assistant(turns, place, true).parts.extend(parts),
            _ => turns.push(Turn { role, place, parts }),
        }
        Ok(())
    }

    fn item_part<'a>(
        &mut self,
        mut part: Object<'a>,
        raw: &'a str,
    ) -> Result<Option<Part<'a>>, Unfit> {
        let kind = part.word("type")?;
        match folded(&kind).as_ref() {
            "" | "text" | "input_text" | "output_text" => {
                let text = part.need_text("text")?;
                if part
                    .take("annotations")
                    .is_some_and(|raw| !json::is_empty_array(raw))
                {
                    self.ledger.lose(Lost::Annotations, part.at("annotations"));
                }
                let _of_the_answer = part.take("logprobs");
                self.part(part, Body::Text(text))
            }
            "refusal" => {
                let text = part.need_text("refusal")?;
                self.part(part, Body::Refusal(text))
            }
            "input_image" | "image_url" => {
                let image = image(&mut part)?;
                self.part(part, Body::Image(Box::new(image)))
            }
            "input_file" => {
                let document = document(&mut part)?;
                self.part(part, Body::Document(Box::new(document)))
            }
            "input_audio" => Ok(Some(Part::new(part.place, Body::Media(raw)))),
            _ => {
                self.ledger.lose(Lost::PartType, part.place);
                Ok(None)
            }
        }
    }

    fn output<'a>(&mut self, item: &mut Object<'a>, is_free: bool) -> Result<Body<'a>, Unfit> {
        let id = item.need_text("call_id")?;
        let content = item.take("output");
        let parts = self.content(content, item.at("output"), Self::item_part)?;
        Ok(Body::Result(Box::new(Output {
            id,
            parts,
            is_error: false,
            is_free,
        })))
    }
}

/// Returns the assistant's turn that an item belongs to. One that begins an answer, a message or
/// reasoning, belongs to a turn that has called tools, or only thought, so far.
fn assistant<'t, 'a>(turns: &'t mut Vec<Turn<'a>>, place: Place, begins: bool) -> &'t mut Turn<'a> {
    let goes_on = turns.last().is_some_and(|turn| {
        let has = |is: fn(&Body<'_>) -> bool| turn.parts.iter().any(|part| is(&part.body));
        turn.role == Role::Assistant
            && (!begins
                || has(|body| matches!(body, Body::Call(_)))
                || !has(|body| !matches!(body, Body::Thinking(_))))
    });
    if !goes_on {
        turns.push(Turn {
            role: Role::Assistant,
            place,
            parts: Vec::new(),
        });
    }
    let last = turns.len().saturating_sub(1);
    &mut turns[last]
}

fn call<'a>(item: &mut Object<'a>, is_free: bool) -> Result<Body<'a>, Unfit> {
    let input = if is_free {
        Input::Free(item.need_text("input")?)
    } else {
        Input::Spelled(item.need_text("arguments")?)
    };
    Ok(Body::Call(Box::new(Call {
        id: item.need_text("call_id")?,
        name: item.need_text("name")?,
        input,
    })))
}

fn thinking<'a>(item: &mut Object<'a>) -> Result<Body<'a>, Unfit> {
    let is_sealed = item
        .text("encrypted_content")?
        .is_some_and(|seal| !seal.is_empty());
    let mut texts = texts(item, "content")?;
    let summary = self::texts(item, "summary")?;
    if texts.is_empty() {
        texts = summary;
    }
    Ok(Body::Thinking(Box::new(Thinking { texts, is_sealed })))
}

fn texts<'a>(item: &mut Object<'a>, name: &'static str) -> Result<Vec<Text<'a>>, Unfit> {
    let place = item.at(name);
    let mut texts = Vec::new();
    for (at, raw) in item.list(name)?.into_iter().enumerate() {
        let mut part = Object::read(raw, place.element(at))?;
        texts.extend(part.text("text")?.filter(|text| !text.is_empty()));
    }
    Ok(texts)
}

fn image<'a>(part: &mut Object<'a>) -> Result<Image<'a>, Unfit> {
    if part.take("file_id").is_some() {
        return Err(media::stored(part.at("file_id")));
    }
    let raw = part.need("image_url")?;
    let place = part.at("image_url");
    let detail = part.text("detail")?;
    if Kind::of(raw) == Kind::Object {
        let mut image = Object::read(raw, place)?;
        return Ok(Image {
            source: media::of_url(image.need("url")?, image.at("url"))?,
            detail: image.text("detail")?.or(detail),
        });
    }
    Ok(Image {
        source: media::of_url(raw, place)?,
        detail,
    })
}

fn document<'a>(part: &mut Object<'a>) -> Result<Document<'a>, Unfit> {
    if part.take("file_id").is_some() {
        return Err(media::stored(part.at("file_id")));
    }
    let source = match part.take("file_url") {
        Some(url) => media::of_url(url, part.at("file_url"))?,
        None => media::of_url(part.need("file_data")?, part.at("file_data"))?,
    };
    Ok(Document {
        source,
        title: part.text("filename")?,
    })
}

/// Reads a tool, in the flat form of this wire or the nested one of chat completions.
fn tool<'a>(mut tool: Object<'a>, ledger: &mut Ledger) -> Result<Option<Tool<'a>>, Unfit> {
    let place = tool.place;
    let kind = tool.word("type")?;
    let is_free = kind == "custom";
    if !is_free && kind != "function" {
        ledger.lose(Lost::ServerTool, place);
        return Ok(None);
    }
    let cache = tool.take("cache_control");
    let nested = tool.object(if is_free { "custom" } else { "function" })?;
    let mut inner = match nested {
        Some(nested) => {
            tool.rest(ledger);
            nested
        }
        None => tool,
    };
    let found = Tool {
        place,
        name: inner.need_text("name")?,
        description: inner.text("description")?,
        cache,
        takes: if is_free {
            Takes::Free {
                format: inner.take("format"),
            }
        } else {
            Takes::Schema {
                schema: inner.take("parameters"),
                strict: inner.flag("strict")?,
            }
        },
    };
    inner.rest(ledger);
    Ok(Some(found))
}

fn choice<'a>(object: &mut Object<'a>, ledger: &mut Ledger) -> Result<Option<Choice<'a>>, Unfit> {
    let place = object.at("tool_choice");
    let Some(raw) = object.take("tool_choice") else {
        return Ok(None);
    };
    if let Some(word) = Text::of(raw) {
        return super::choice_word(&word, place).map(Some);
    }
    let mut choice = Object::read(raw, place)?;
    let (mode, allowed) = match choice.word("type")?.as_ref() {
        "function" | "custom" => (Mode::Named(chosen(&mut choice)?), None),
        "allowed_tools" => {
            let mode = choice.need_text("mode")?;
            let mode = super::choice_word(&mode, place)?.mode;
            let place = choice.at("tools");
            let mut names = Vec::new();
            for (at, raw) in choice.list("tools")?.into_iter().enumerate() {
                let mut tool = Object::read(raw, place.element(at))?;
                names.extend(tool.text("name")?);
            }
            (mode, Some(names))
        }
        _ => {
            let why = "names a tool that only its provider runs";
            return Err(Unfit::at(choice.at("type"), why));
        }
    };
    choice.rest(ledger);
    Ok(Some(Choice {
        place,
        mode,
        allowed,
    }))
}

fn chosen<'a>(choice: &mut Object<'a>) -> Result<Text<'a>, Unfit> {
    match choice.object("function")? {
        Some(mut nested) => nested.need_text("name"),
        None => choice.need_text("name"),
    }
}

/// Reads what the answer is to include beside its text.
fn include<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let place = object.at("include");
    for (at, raw) in object.list("include")?.into_iter().enumerate() {
        match raw {
            // Another provider seals nothing, so nothing is missing.
            r#""reasoning.encrypted_content""# => {}
            r#""message.output_text.logprobs""# => conversation.settings.push(Setting {
                parameter: Parameter::Logprobs,
                place: place.element(at),
                value: "true",
            }),
            _ => ledger.lose(Lost::Hint, place.element(at)),
        }
    }
    Ok(())
}

fn text_options<'a>(
    object: &mut Object<'a>,
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let Some(mut text) = object.object("text")? else {
        return Ok(());
    };
    let known = &[("verbosity", Parameter::Verbosity, Kind::String)];
    settings(&mut text, known, conversation, ledger)?;
    let place = text.at("format");
    if let Some(mut wanted) = text.object("format")? {
        conversation.format = match wanted.word("type")?.as_ref() {
            "text" | "" => None,
            "json_object" => format(place, Shape::Json),
            "json_schema" => format(place, schema_format(&mut wanted)?),
            kind => {
                let raw = format!("\"{kind}\"");
                return Err(wrong(
                    wanted.at("type"),
                    &raw,
                    "text, json_object or json_schema",
                ));
            }
        };
        wanted.rest(ledger);
    }
    text.rest(ledger);
    Ok(())
}

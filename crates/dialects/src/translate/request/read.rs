//! Reads requests: a file a wire, and what they share.

mod chat;
mod messages;
mod responses;

use super::Unfit;
use super::neutral::{
    Body, Choice, Conversation, Format, Mode, Parameter, Part, Reasoning, Setting, Shape, Stop,
    Wish,
};
use super::object::{Object, elements, wrong};
use super::place::Place;
use super::text::Text;
use crate::endpoint::Dialect;
use crate::json::{self, Kind};
use crate::translate::loss::{Ledger, Lost};

/// How deep arrays and objects may nest.
const MAX_DEPTH: usize = 128;

/// Parts and messages that a request may have. Each takes more memory than its shortest spelling.
const MOST_PARTS: usize = 200_000;

/// Reads a body of a wire.
pub(super) fn read<'a>(
    body: &'a [u8],
    from: Dialect,
    ledger: &mut Ledger,
) -> Result<Conversation<'a>, Unfit> {
    let body = std::str::from_utf8(body).map_err(|_| Unfit::new("the body is not UTF-8"))?;
    let depth = json::each_member(body, |_, _| {})
        .map_err(|_| Unfit::new(&format!("the body is {}", json::complaint(body))))?;
    if depth > MAX_DEPTH {
        return Err(Unfit::new("the body nests too deeply"));
    }
    let mut object = Object::read(body.trim_start(), Place::default())?;
    let mut conversation = Conversation::new(object.need_text("model")?);
    conversation.streams = object.flag("stream")?.unwrap_or_default();
    match from {
        Dialect::OpenAiChat => chat::read(&mut object, &mut conversation, ledger)?,
        Dialect::OpenAiResponses => responses::read(&mut object, &mut conversation, ledger)?,
        Dialect::AnthropicMessages => messages::read(&mut object, &mut conversation, ledger)?,
    }
    object.rest(ledger);
    Ok(conversation)
}

/// What a reader keeps between messages: its losses, and how much it has read.
struct Reading<'l> {
    ledger: &'l mut Ledger,
    parts: usize,
}

impl<'l> Reading<'l> {
    fn new(ledger: &'l mut Ledger) -> Self {
        Self { ledger, parts: 0 }
    }

    /// Counts a message or a part.
    fn count(&mut self, place: Place) -> Result<(), Unfit> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(Unfit::at(place, "is one part too many"));
        }
        Ok(())
    }

    /// Reads content: a text, or a list whose elements `part` reads.
    fn content<'a>(
        &mut self,
        raw: Option<&'a str>,
        place: Place,
        part: impl Fn(&mut Self, Object<'a>, &'a str) -> Result<Option<Part<'a>>, Unfit>,
    ) -> Result<Vec<Part<'a>>, Unfit> {
        let Some(raw) = raw else {
            return Ok(Vec::new());
        };
        if let Some(text) = Text::of(raw) {
            return Ok(vec![Part::new(place, Body::Text(text))]);
        }
        if Kind::of(raw) != Kind::Array {
            return Err(wrong(place, raw, "a string or an array"));
        }
        let mut parts = Vec::new();
        for (at, raw) in elements(raw, place)?.into_iter().enumerate() {
            let place = place.element(at);
            self.count(place)?;
            parts.extend(part(self, Object::read(raw, place)?, raw)?);
        }
        Ok(parts)
    }

    /// Ends a part: what was not taken out of it is listed.
    fn part<'a>(
        &mut self,
        mut object: Object<'a>,
        body: Body<'a>,
    ) -> Result<Option<Part<'a>>, Unfit> {
        let cache = object.take("cache_control");
        let place = object.place;
        object.rest(self.ledger);
        Ok(Some(Part { place, cache, body }))
    }
}

/// The name of a setting on a wire, what it is, and the kind of its value.
type Known = (&'static str, Parameter, Kind);

/// Reads settings by a wire's names for them.
fn settings<'a>(
    object: &mut Object<'a>,
    known: &[Known],
    conversation: &mut Conversation<'a>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    for (name, parameter, kind) in known {
        let place = object.at(name);
        let Some(value) = object.take(name) else {
            continue;
        };
        if Kind::of(value) != *kind {
            return Err(wrong(place, value, &format!("of type {kind}")));
        }
        if conversation.setting(*parameter).is_some() {
            ledger.lose(Lost::Parameter, place);
            continue;
        }
        conversation.settings.push(Setting {
            parameter: *parameter,
            place,
            value,
        });
    }
    Ok(())
}

/// Lists members that are known, and have no word on another wire.
fn lose(object: &mut Object<'_>, names: &[&'static str], lost: Lost, ledger: &mut Ledger) {
    for name in names {
        object.lose(name, lost, ledger);
    }
}

/// Reads a schema for answers: its members stand in one object, on both OpenAI wires.
fn schema_format<'a>(object: &mut Object<'a>) -> Result<Shape<'a>, Unfit> {
    Ok(Shape::Schema {
        name: object.text("name")?,
        description: object.text("description")?,
        schema: object.need("schema")?,
        strict: object.flag("strict")?,
    })
}

/// Reads an effort of reasoning.
fn effort<'a>(
    object: &mut Object<'a>,
    name: &'static str,
) -> Result<Option<Wish<Text<'a>>>, Unfit> {
    let place = object.at(name);
    let effort = object.text(name)?.filter(|effort| !effort.is_empty());
    Ok(effort.map(|value| Wish { place, value }))
}

/// Reads a format for the whole answer.
fn format<'a>(place: Place, shape: Shape<'a>) -> Option<Format<'a>> {
    Some(Format { place, shape })
}

/// Reads whether the model may call several tools at once.
fn parallel(object: &mut Object<'_>) -> Result<Option<Wish<bool>>, Unfit> {
    let place = object.at("parallel_tool_calls");
    let value = object.flag("parallel_tool_calls")?;
    Ok(value.map(|value| Wish { place, value }))
}

/// Reads a choice that is one word.
fn choice_word<'a>(word: &Text<'_>, place: Place) -> Result<Choice<'a>, Unfit> {
    let mode = match word.decoded().as_ref() {
        "auto" => Mode::Auto,
        "none" => Mode::None,
        "required" => Mode::Required,
        _ => {
            return Err(Unfit::at(
                place,
                "must be auto, none, required or an object",
            ));
        }
    };
    Ok(Choice {
        place,
        mode,
        allowed: None,
    })
}

/// Reads a list of stop sequences.
fn stop_list<'a>(
    raw: &'a str,
    place: Place,
    conversation: &mut Conversation<'a>,
) -> Result<(), Unfit> {
    for (at, raw) in elements(raw, place)?.into_iter().enumerate() {
        let place = place.element(at);
        let text = Text::of(raw).ok_or_else(|| wrong(place, raw, "a string"))?;
        conversation.stops.push(Stop { place, text });
    }
    Ok(())
}

/// Reads a budget of tokens for reasoning.
fn budget(object: &mut Object<'_>, name: &'static str) -> Result<Option<Wish<u64>>, Unfit> {
    let place = object.at(name);
    let Some(raw) = object.take(name) else {
        return Ok(None);
    };
    let value = raw
        .parse()
        .map_err(|_| wrong(place, raw, "a whole number"))?;
    Ok(Some(Wish { place, value }))
}

/// Reads the object `thinking`, as Anthropic and others have it.
fn thinking_switch(
    mut thinking: Object<'_>,
    wishes: &mut Reasoning<'_>,
    ledger: &mut Ledger,
) -> Result<(), Unfit> {
    let place = thinking.at("type");
    let value = match thinking.word("type")?.as_ref() {
        "enabled" | "adaptive" => true,
        "disabled" => false,
        _ => return Err(Unfit::at(place, "must be enabled, adaptive or disabled")),
    };
    wishes.switch = Some(Wish { place, value });
    wishes.budget = budget(&mut thinking, "budget_tokens")?;
    thinking.lose("display", Lost::Hint, ledger);
    thinking.rest(ledger);
    Ok(())
}

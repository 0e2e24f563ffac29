//! Reads batches of Messages requests: each is a request of its own, and all name one model, since a
//! batch goes to one backend.

use std::ops::Range;

use crate::anthropic_messages;
use crate::endpoint::Dialect;
use crate::gather;
use crate::json::{self, Kind};
use crate::members::Members;
use crate::prompt::Prompt;
use crate::request::{Asked, Fields, ReadOptions, Refused, span};
use crate::turns::Role;

/// The requests of a batch.
pub(crate) struct Batch {
    /// What the first one says.
    pub(crate) prompt: Prompt,
    /// What the others say.
    pub(crate) more: Vec<Prompt>,
    /// Where each names its model, in order.
    pub(crate) models: Vec<Range<usize>>,
}

/// Reads the fields of a batch; `text` is the whole body.
pub(crate) fn read(
    fields: &Fields<'_>,
    text: &str,
    options: &ReadOptions,
) -> Result<Batch, Refused> {
    let requests = fields
        .get("requests")
        .filter(|raw| Kind::of(raw) == Kind::Array)
        .ok_or_else(|| Refused::missing("requests field is required and must be an array"))?;
    if options.strict {
        fields.refuse_ambiguity()?;
    }
    let mut read = Vec::new();
    let mut failed = None;
    json::elements(requests, |raw| {
        if failed.is_none() {
            let beside = Some(fields).filter(|_| read.is_empty());
            match entry(raw, text, beside, options) {
                Ok(entry) => read.push(entry),
                Err(refused) => failed = Some(refused),
            }
        }
    });
    if let Some(refused) = failed {
        return Err(refused);
    }

    let (prompts, models): (Vec<Prompt>, Vec<Range<usize>>) = read.into_iter().unzip();
    let mut prompts = prompts.into_iter();
    let prompt = prompts
        .next()
        .ok_or_else(|| Refused::wrong("requests field must not be empty"))?;
    let more: Vec<Prompt> = prompts.collect();
    let other = more
        .iter()
        .find(|other| other.model.trim() != prompt.model.trim());
    if let Some(other) = other {
        let message = format!(
            "a batch goes to one backend, and its requests name several models (\"{}\", \"{}\"): send a batch for each",
            prompt.model, other.model
        );
        return Err(Refused::wrong(message));
    }
    Ok(Batch {
        prompt,
        more,
        models,
    })
}

/// Reads one request, and where it names its model. `beside` is what stands beside all requests.
fn entry(
    raw: &str,
    text: &str,
    beside: Option<&Fields<'_>>,
    options: &ReadOptions,
) -> Result<(Prompt, Range<usize>), Refused> {
    let mut entry = Members::read(raw, &["custom_id", "params"]);
    let params = entry
        .get("params")
        .filter(|raw| Kind::of(raw) == Kind::Object)
        .ok_or_else(|| Refused::missing("requests: params field is required"))?;
    let fields = Fields::read_whole(params)?;
    let mut reading = anthropic_messages::read(&fields, options)?;
    reading.turns.ambiguous(entry.ambiguity.take());
    reading.turns.name(Role::System, entry.get("custom_id"));
    reading
        .turns
        .note(Role::System, gather::members(&entry.others));
    if let Some(beside) = beside {
        beside.note_beside(&mut reading.turns, &["requests"]);
    }
    let place = fields.get("model").map(|raw| span(text, raw));
    let asked = Asked::conversation(Dialect::AnthropicMessages);
    let prompt = reading.finish(&fields, &asked, options)?;
    Ok((prompt, place.unwrap_or_default()))
}

#[cfg(test)]
mod tests;

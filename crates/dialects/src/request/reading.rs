//! What a dialect's reader found, and the prompt that it amounts to.

use std::collections::BTreeMap;

use super::{Asked, Fields, ReadOptions, Refused};
use crate::json::{self, Kind};
use crate::metadata;
use crate::meter::Meter;
use crate::prompt::Prompt;
use crate::reasoning;
use crate::turns::Turns;

/// What a dialect's reader found.
pub(crate) struct Reading {
    pub(crate) turns: Turns,
    pub(crate) meter: Meter,
    pub(crate) no_messages: bool,
    pub(crate) reasoning_effort: Option<String>,
}

impl Reading {
    fn refuse_ambiguity(&self) -> Result<(), Refused> {
        let ambiguity = self.turns.ambiguity.as_deref();
        ambiguity.map_or(Ok(()), |what| Err(Refused::ambiguous(what)))
    }

    /// Makes the prompt of a request, unless readers would disagree about it.
    pub(crate) fn finish(
        self,
        fields: &Fields<'_>,
        asked: &Asked<'_>,
        options: &ReadOptions,
    ) -> Result<Prompt, Refused> {
        if options.strict {
            fields.refuse_ambiguity()?;
            self.refuse_ambiguity()?;
        }
        self.into_prompt(fields, asked)
    }

    fn into_prompt(mut self, fields: &Fields<'_>, asked: &Asked<'_>) -> Result<Prompt, Refused> {
        let model = model(fields, asked)?;
        // Clients that serialise their options whole send `null` for what was not set.
        let stream = match json::present(fields.get("stream")) {
            None | Some("false") => false,
            Some("true") => true,
            Some(raw) => return Err(Refused::wrong_type("stream", "boolean", raw)),
        };
        self.turns.continuity.cache_key = fields
            .text("prompt_cache_key")
            .filter(|key| !key.is_empty());
        let effort = self.reasoning_effort.take();
        Ok(Prompt {
            stream,
            metadata: request_metadata(fields)?,
            reasoning_effort: effort.or_else(|| reasoning::effort(fields)),
            thinks: reasoning::switch(fields),
            ..self.form_prompt(model)
        })
    }

    /// Makes the prompt of a form, which has no members.
    pub(crate) fn form_prompt(mut self, model: String) -> Prompt {
        Prompt {
            model,
            stream: false,
            metadata: BTreeMap::new(),
            conversation: self.turns.conversation,
            continuity: std::mem::take(&mut self.turns.continuity),
            image: self.turns.image.take(),
            texts: self.turns.into_texts(),
            tokens: self.meter.facts,
            attached: self.meter.attached,
            no_messages: self.no_messages,
            reasoning_effort: self.reasoning_effort,
            thinks: None,
        }
    }
}

/// Returns the model that is asked for: by the path, or else by the body. On some endpoints neither
/// need name one.
fn model(fields: &Fields<'_>, asked: &Asked<'_>) -> Result<String, Refused> {
    let raw = fields.get("model");
    let written = raw.map(|raw| {
        let name = json::string(raw);
        name.ok_or_else(|| Refused::wrong_type("model", "string", raw))
    });
    match (asked.model, asked.service) {
        (Some(named), _) => Ok(named.to_owned()),
        (None, Some(_)) if json::present(raw).is_none() => Ok(String::new()),
        (None, _) => match written {
            Some(name) => Ok(name?.into_owned()),
            None => Err(Refused::missing(
                "invalid request body: missing required field: model",
            )),
        },
    }
}

fn request_metadata(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, Refused> {
    let Some(raw) = json::present(fields.get("metadata")) else {
        return Ok(BTreeMap::new());
    };
    if Kind::of(raw) != Kind::Object {
        return Err(Refused::wrong_type("metadata", "object", raw));
    }
    metadata::read(raw, metadata::Null::Absent)
        .map_err(|error| Refused::wrong(format!("invalid request body: {error}")))
}

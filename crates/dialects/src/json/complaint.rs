//! Says what is wrong with text that is no JSON, or no object.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Says where and why `text` cannot be read as a JSON object. Reads the text once more, so this is
/// for errors that people see.
pub(crate) fn complaint(text: &str) -> String {
    let mut source = serde_json::Deserializer::from_str(text);
    let read = source.deserialize_map(AnObject).and_then(|()| source.end());
    read.err()
        .map_or_else(|| "not a JSON object".to_owned(), |error| error.to_string())
}

/// Says where and why `text` is no JSON, of whatever kind.
pub(crate) fn syntax(text: &str) -> String {
    serde_json::from_str::<IgnoredAny>(text)
        .err()
        .map_or_else(|| "not a JSON object".to_owned(), |error| error.to_string())
}

struct AnObject;

impl<'a> Visitor<'a> for AnObject {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

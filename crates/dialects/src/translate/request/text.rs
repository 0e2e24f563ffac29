//! Texts as JSON spells them. A text of the client's goes to the backend as it was written, escapes
//! and all, so that nothing is decoded that nobody looks at.

use std::borrow::Cow;

use super::out;
use crate::json;

/// A JSON string, with its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// Takes a value of a body that is known to be valid; `None` if it is no string.
    pub(super) fn of(raw: &'a str) -> Option<Self> {
        raw.starts_with('"').then_some(Self(Cow::Borrowed(raw)))
    }

    /// Spells a text.
    pub(super) fn spelled(text: &str) -> Text<'static> {
        let mut spelled = String::with_capacity(text.len() + 2);
        out::quote(&mut spelled, text);
        Text(Cow::Owned(spelled))
    }

    /// Joins texts by a separator that needs no escapes beyond its own spelling.
    pub(super) fn joined<'t>(texts: &[&Text<'t>], separator: &str) -> Text<'t> {
        if let [text] = texts {
            return (*text).clone();
        }
        let pieces: Vec<&str> = texts.iter().map(|text| text.inner()).collect();
        Text(Cow::Owned(format!("\"{}\"", pieces.join(separator))))
    }

    /// Returns the text behind a plain one.
    pub(super) fn after(&self, prefix: &str) -> Text<'static> {
        let mut spelled = String::with_capacity(prefix.len() + self.0.len());
        out::quote(&mut spelled, prefix);
        let _quote = spelled.pop();
        spelled.push_str(self.inner());
        spelled.push('"');
        Text(Cow::Owned(spelled))
    }

    /// Returns it as JSON.
    pub(super) fn raw(&self) -> &str {
        &self.0
    }

    /// Returns it as it is meant.
    pub(super) fn decoded(&self) -> Cow<'_, str> {
        json::string(&self.0).unwrap_or_default()
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.len() <= 2
    }

    /// Whether it has nothing but blanks.
    pub(super) fn is_blank(&self) -> bool {
        let mut letters = self.inner().chars();
        while let Some(letter) = letters.next() {
            let letter = match letter {
                '\\' => match letters.next() {
                    Some('n' | 't' | 'r' | 'f') => ' ',
                    // A blank that is spelled by its number is taken for a letter.
                    _ => return false,
                },
                letter => letter,
            };
            if !letter.is_whitespace() {
                return false;
            }
        }
        true
    }

    /// Returns what stands between its quotes.
    fn inner(&self) -> &str {
        let inner = self.0.strip_prefix('"');
        inner
            .and_then(|inner| inner.strip_suffix('"'))
            .unwrap_or_default()
    }
}

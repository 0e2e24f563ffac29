//! Measures a request for the token estimate: decoded text, raw JSON, images, framing, output
//! reserve.

use crate::json::{self, Kind};
use crate::prompt::TokenFacts;

/// Framing tokens of one message.
pub(crate) const MESSAGE: u64 = 4;
/// Framing tokens of one tool definition, call or result.
pub(crate) const TOOL: u64 = 8;

/// How raw JSON is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// As the client wrote it.
    AsWritten,
    /// As the reference's eval endpoint re-serialises it: compact, with `<`, `>`, `&`, U+2028 and
    /// U+2029 escaped.
    Compacted,
}

/// Adds up [`TokenFacts`]. All sums saturate.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) facts: TokenFacts,
    measure: Measure,
}

impl Meter {
    pub(crate) fn new(measure: Measure) -> Self {
        Self {
            facts: TokenFacts::default(),
            measure,
        }
    }

    /// A value that should be text: decoded length of a string, raw length of anything else,
    /// nothing for `null`.
    pub(crate) fn text(&mut self, raw: Option<&str>) {
        let Some(raw) = json::present(raw) else {
            return;
        };
        match json::string(raw) {
            Some(text) => self.text_bytes(text.len()),
            None => self.structured(Some(raw)),
        }
    }

    /// Text that is decoded already.
    pub(crate) fn text_bytes(&mut self, bytes: usize) {
        add(&mut self.facts.text_bytes, bytes as u64);
    }

    /// A value that counts by its JSON text.
    pub(crate) fn structured(&mut self, raw: Option<&str>) {
        let Some(raw) = json::present(raw) else {
            return;
        };
        let bytes = match self.measure {
            Measure::AsWritten => raw.len(),
            Measure::Compacted => compacted_len(raw),
        };
        add(&mut self.facts.structured_bytes, bytes as u64);
    }

    pub(crate) fn framing(&mut self, tokens: u64) {
        add(&mut self.facts.framing, tokens);
    }

    pub(crate) fn image(&mut self) {
        add(&mut self.facts.images, 1);
    }

    /// `tools` or `functions`: measures each definition and returns how many there are.
    pub(crate) fn definitions(&mut self, raw: Option<&str>) -> u64 {
        let Some(raw) = json::present(raw) else {
            return 0;
        };
        if Kind::of(raw) != Kind::Array {
            self.structured(Some(raw));
            return 0;
        }
        let mut count = 0;
        json::elements(raw, |definition| {
            count += 1;
            self.structured(Some(definition));
            self.framing(TOOL);
        });
        count
    }

    /// The output limit: the first of the candidates that is neither absent nor `null`.
    pub(crate) fn reserve(&mut self, candidates: &[Option<&str>]) {
        let Some(raw) = candidates.iter().find_map(|raw| json::present(*raw)) else {
            return;
        };
        if raw.bytes().all(|byte| byte.is_ascii_digit()) {
            self.facts.output_reserve = raw.parse().unwrap_or(u64::MAX).min(i64::MAX as u64);
        } else {
            self.structured(Some(raw));
        }
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more).min(i64::MAX as u64);
}

/// The length that valid JSON has once compacted and HTML-escaped, without building it.
fn compacted_len(raw: &str) -> usize {
    let mut length = 0;
    let mut in_string = false;
    let mut escaped = false;
    for character in raw.chars() {
        match character {
            ' ' | '\t' | '\r' | '\n' if !in_string => continue,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => length += 6,
            other => length += other.len_utf8(),
        }
        if escaped {
            escaped = false;
        } else if character == '"' {
            in_string = !in_string;
        } else {
            escaped = in_string && character == '\\';
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_is_measured_without_being_done() {
        let cases = [
            (r#"{ "a" : [ 1 , 2 ] }"#, r#"{"a":[1,2]}"#.len()),
            (r#"{"a b":"c \" d"}"#, r#"{"a b":"c \" d"}"#.len()),
            (r#""<&>""#, r#""\u003c\u0026\u003e""#.len()),
            ("\"\u{2028}é\"", "\"\\u2028é\"".len()),
            (r#""\\" "#, 4),
        ];
        for (raw, expected) in cases {
            assert_eq!(compacted_len(raw), expected, "{raw}");
        }
    }

    #[test]
    fn only_a_plain_non_negative_integer_is_a_reserve() {
        let cases = [
            ([Some("100"), Some("10")], (100, 0)),
            ([Some("null"), Some("10")], (10, 0)),
            ([None, Some("-1")], (0, 2)),
            ([Some("1.5"), Some("10")], (0, 3)),
            ([Some("\"7\""), None], (0, 3)),
            ([Some("99999999999999999999"), None], (i64::MAX as u64, 0)),
        ];
        for (candidates, (reserve, structured)) in cases {
            let mut meter = Meter::new(Measure::AsWritten);
            meter.reserve(&candidates);
            assert_eq!(
                (meter.facts.output_reserve, meter.facts.structured_bytes),
                (reserve, structured),
                "{candidates:?}"
            );
        }
    }
}

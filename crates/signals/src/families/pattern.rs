//! Patterns in RE2's dialect, which documents are written in, on a linear-time engine.
//!
//! The two dialects accept mostly the same text but mean different things by `\d`, `\w`, `\s` and
//! `\b` (ASCII here), by brackets inside a class (plain characters here) and by a brace that starts
//! no repetition (a plain character here). [`translate`] rewrites what differs; look-around and
//! backreferences exist in neither.

mod engine;
mod set;
mod size;
mod wide;

use document::Findings;
use engine::Engine;
use regex_syntax::hir::{Hir, Look};
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;
use wide::{Search, Wide};

pub(super) use set::PatternSet;

/// A pattern of this size compiles within the engine's bound, whatever it says.
const SURELY: u32 = 1_000;
/// Characters that counted repetitions ask for, from which on the engine needs much time.
const WIDE: u32 = 16;
/// Places that take one of several characters, from which on a text may demand more states of the
/// engine than it keeps: `x.{0,8}y` takes up to 7 ns a byte, `x.{0,12}y` 90, `x.{0,15}y` 220. These
/// figures and the next ones are of a release build on two busy cores; `benches/patterns.rs` takes such
/// figures.
const OPEN: u32 = 8;
/// What a place of such a pattern costs the engine, nanoseconds per byte.
const PLACE: f64 = 20.0;
/// What other patterns cost, nanoseconds per byte.
pub(super) const PLAIN: f64 = 7.0;
/// What a pass of a [`PatternSet`] costs, nanoseconds per byte, while it builds states for texts of a
/// new kind; later ones take 2.5. Where it ends for too many states, its patterns read one by one.
pub(super) const TOGETHER: f64 = 35.0;
/// Nanoseconds that a pattern may take for a text without looking at the clock.
const UNWATCHED: f64 = 250e6;
/// The text for which `check` tells what a pattern costs, bytes.
const SAMPLE: f64 = 120.0 * 1024.0;
/// Milliseconds for it from which on it tells: for longer no serving thread is held.
const EXPENSIVE: f64 = 2.0;
/// Matches between two looks at the clock.
const LOOKS: usize = 16;

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatternError {
    /// Something that RE2 does not have either.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The engine's own complaint.
    #[error("{}", last_line(.0))]
    Regex(#[from] regex::Error),
}

/// A pattern of a document.
#[derive(Debug)]
pub(super) struct Pattern {
    engine: Arc<Engine>,
    /// Matches in the engine's stead where that would take too much time.
    wide: Option<Wide>,
    /// Bytes of the longest match, if there is one.
    longest: Option<usize>,
    /// Nanoseconds per byte, at most.
    pace: f64,
    /// It may find an empty match within a character, which only the engine passes over.
    splits: bool,
}

impl Pattern {
    /// Checks a pattern in the engine's dialect. The engine compiles it when a text is first read by
    /// it, as most of many patterns are searched for together only.
    fn new(pattern: &str) -> Result<Self, PatternError> {
        let engine = Engine::new(pattern);
        let hir = regex_syntax::parse(pattern).ok();
        if hir.as_ref().is_none_or(|hir| size::states(hir) > SURELY) {
            engine.compiled()?;
        }
        let counted = hir.as_ref().map_or(0, size::counted);
        let open = hir.as_ref().map_or(0, size::open);
        let is_wide = counted > WIDE || open > OPEN;
        let wide = hir.as_ref().filter(|_| is_wide).and_then(Wide::new);
        let pace = match &wide {
            Some(wide) => wide.pace(),
            None if is_wide => PLACE * f64::from(counted.max(open)),
            None => PLAIN,
        };
        Ok(Self {
            engine: Arc::new(engine),
            wide,
            longest: hir.as_ref().and_then(|hir| hir.properties().maximum_len()),
            pace,
            splits: hir.as_ref().is_some_and(splits),
        })
    }

    /// The pattern in the engine's dialect.
    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        self.engine.as_str()
    }

    /// The pattern as a member of a [`PatternSet`].
    pub(super) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine)
    }

    /// Whether the pattern is no good company in a [`PatternSet`].
    pub(super) fn stands_alone(&self) -> bool {
        self.wide.is_some() || self.pace > PLAIN || self.splits
    }

    /// Nanoseconds per byte of text, at most.
    pub(super) fn pace(&self) -> f64 {
        self.pace
    }

    /// Tells whether the pattern is found in `text`; `None` if it was too late to tell.
    pub(super) fn is_match(&self, text: &str, is_late: impl Fn() -> bool) -> Option<bool> {
        let Some(wide) = &self.wide else {
            let is_affordable = self.is_affordable(text);
            return is_affordable.then(|| self.engine.is_match(text)).flatten();
        };
        match wide.search(text, 0, is_late) {
            Search::End(_) => Some(true),
            Search::Nothing => Some(false),
            Search::Late => None,
        }
    }

    /// Counts the matches, and tells whether all of `text` was read.
    pub(super) fn count(&self, text: &str, is_late: impl Fn() -> bool) -> (usize, bool) {
        let Some(wide) = self.wide.as_ref().filter(|wide| !wide.is_empty_found()) else {
            return self.count_all(text, is_late);
        };
        let Some(regex) = self.engine.regex() else {
            return (0, false);
        };
        let (mut count, mut from) = (0, 0);
        loop {
            let end = match wide.search(text, from, &is_late) {
                Search::End(end) => end,
                Search::Nothing => return (count, true),
                Search::Late => return (count, false),
            };
            // What begins before this would have ended before as well.
            let begin = self
                .longest
                .map_or(from, |longest| end.saturating_sub(longest));
            let begin = text.floor_char_boundary(begin.max(from));
            let Some(found) = regex.find_at(text, begin) else {
                return (count, true);
            };
            count += 1;
            from = found.end();
        }
    }

    fn count_all(&self, text: &str, is_late: impl Fn() -> bool) -> (usize, bool) {
        let Some(regex) = self.engine.regex().filter(|_| self.is_affordable(text)) else {
            return (0, false);
        };
        let mut count = 0;
        for _ in regex.find_iter(text) {
            count += 1;
            if count % LOOKS == 0 && is_late() {
                return (count, false);
            }
        }
        (count, true)
    }

    /// Whether the engine may read a text without looking at the clock.
    fn is_affordable(&self, text: &str) -> bool {
        self.pace <= PLAIN || self.pace * text.len() as f64 <= UNWATCHED
    }

    /// Warns of a pattern that takes much time.
    pub(super) fn check_cost(&self, at: &str, findings: &mut Findings) {
        let milliseconds = self.pace * SAMPLE / 1e6;
        if milliseconds >= EXPENSIVE {
            let message = format!(
                "the pattern takes up to {milliseconds:.0} ms for 120 KB of text, as its counted \
                 repetitions are long; what it cannot read in time counts as unread"
            );
            findings.warn(at, message);
        }
    }
}

/// Tells whether a pattern may match nothing between two bytes that are not a word's.
fn splits(hir: &Hir) -> bool {
    let properties = hir.properties();
    let is_empty = properties.minimum_len().is_none_or(|least| least == 0);
    is_empty && properties.look_set().contains(Look::WordAsciiNegate)
}

/// Compiles one pattern of a document.
pub(super) fn compile(pattern: &str, case_sensitive: bool) -> Result<Pattern, PatternError> {
    Pattern::new(&with_case(&translate(pattern)?, case_sensitive))
}

/// A document's pattern compiled, whose text in the engine's form may stand in a [`PatternSet`];
/// and that form without a flag for its case.
pub(super) fn checked(
    pattern: &str,
    case_sensitive: bool,
) -> Result<(Pattern, String), PatternError> {
    let own = translate(pattern)?;
    let compiled = Pattern::new(&with_case(&own, case_sensitive))?;
    Ok((compiled, own))
}

fn with_case(pattern: &str, case_sensitive: bool) -> String {
    if case_sensitive {
        pattern.to_owned()
    } else {
        format!("(?i){pattern}")
    }
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Rewrites an RE2 pattern so that the engine means the same by it.
fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(&mut rest, &mut out)?,
            '[' => class(&mut rest, &mut out)?,
            '(' if rest.peek() == Some(&'?') => {
                check_flags(rest.clone())?;
                out.push(c);
            }
            '{' if !starts_repetition(rest.clone()) => out.push_str(r"\{"),
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// What follows a backslash outside brackets.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), PatternError> {
    let Some(c) = rest.next() else {
        out.push('\\');
        return Ok(());
    };
    match c {
        'Q' => quoted(rest, out),
        'b' => out.push_str(r"(?-u:\b)"),
        'B' => out.push_str(r"(?-u:\B)"),
        '<' | '>' => out.push(c),
        '0'..='9' => octal(c, rest, out)?,
        'p' | 'P' | 'x' if rest.peek() == Some(&'{') => {
            rest.next();
            out.extend(['\\', c, '{']);
        }
        _ => match perl_class(c) {
            Some((negated, members)) => {
                out.push_str(if negated { "[^" } else { "[" });
                out.push_str(members);
                out.push(']');
            }
            None => out.extend(['\\', c]),
        },
    }
    Ok(())
}

/// The ASCII members of `\d`, `\w`, `\s` and whether the escape negates them.
fn perl_class(c: char) -> Option<(bool, &'static str)> {
    match c {
        'd' | 'D' => Some((c == 'D', "0-9")),
        'w' | 'W' => Some((c == 'W', "0-9A-Za-z_")),
        's' | 'S' => Some((c == 'S', r"\t\n\x0C\r ")),
        _ => None,
    }
}

/// `\Q…\E`, or to the end.
fn quoted(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = rest.next() {
        if c == '\\' && rest.peek() == Some(&'E') {
            rest.next();
            return;
        }
        out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }
}

/// `\0`, `\012`; a single non-zero digit would be a backreference.
fn octal(
    first: char,
    rest: &mut Peekable<Chars<'_>>,
    out: &mut String,
) -> Result<(), PatternError> {
    let mut value = first.to_digit(8);
    let more = rest.peek().is_some_and(|c| c.is_digit(8));
    if value.is_none() || (first != '0' && !more) {
        return Err(PatternError::Unsupported(
            "backreferences are not supported",
        ));
    }
    for _ in 0..2 {
        let Some(digit) = rest.peek().and_then(|c| c.to_digit(8)) else {
            break;
        };
        value = value.map(|value| value * 8 + digit);
        rest.next();
    }
    out.push_str(&format!(r"\x{{{:X}}}", value.unwrap_or_default()));
    Ok(())
}

/// A bracketed class; the opening bracket is already read.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), PatternError> {
    out.push('[');
    if rest.peek() == Some(&'^') {
        rest.next();
        out.push('^');
    }
    let mut first = true;
    while let Some(c) = rest.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return Ok(());
            }
            ']' => out.push_str(r"\]"),
            '[' => posix_or_bracket(rest, out),
            '&' | '~' => out.extend(['\\', c]),
            '\\' => class_escape(rest, out)?,
            _ => out.push(c),
        }
        first = false;
    }
    Ok(())
}

/// `[:alpha:]` stays; any other bracket inside a class is a plain character.
fn posix_or_bracket(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let ahead: String = rest.clone().take_while(|&c| c != ']').collect();
    let is_posix = ahead.len() > 2 && ahead.starts_with(':') && ahead.ends_with(':');
    if !is_posix {
        out.push_str(r"\[");
        return;
    }
    out.push('[');
    out.push_str(&ahead);
    out.push(']');
    for _ in 0..=ahead.chars().count() {
        rest.next();
    }
}

fn class_escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), PatternError> {
    let Some(c) = rest.next() else {
        out.push('\\');
        return Ok(());
    };
    match (c, perl_class(c)) {
        (_, Some((true, members))) => {
            out.push_str("[^");
            out.push_str(members);
            out.push(']');
        }
        (_, Some((false, members))) => out.push_str(members),
        ('0'..='9', _) => octal(c, rest, out)?,
        ('<' | '>', _) => out.push(c),
        _ => out.extend(['\\', c]),
    }
    Ok(())
}

/// Only the flags `i`, `m`, `s` and `U` exist.
fn check_flags(group: Peekable<Chars<'_>>) -> Result<(), PatternError> {
    let flags: String = group
        .skip(1)
        .take_while(|c| c.is_ascii_alphabetic() || *c == '-')
        .collect();
    if flags.starts_with('P') || !flags.contains(['x', 'u', 'R']) {
        return Ok(());
    }
    Err(PatternError::Unsupported(
        "only the flags i, m, s and U are supported",
    ))
}

/// `{2}`, `{2,}` or `{2,5}`, the opening brace already read.
fn starts_repetition(mut rest: Peekable<Chars<'_>>) -> bool {
    let mut digits = 0;
    let mut commas = 0;
    loop {
        match rest.next() {
            Some('0'..='9') => digits += 1,
            Some(',') if digits > 0 && commas == 0 => commas += 1,
            Some('}') => return digits > 0,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    fn check(pattern: &str, text: &str, expected: bool) {
        let compiled = compile(pattern, false).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let found = compiled.is_match(text, || false);
        assert_eq!(found, Some(expected), "{pattern} on {text}");
    }

    #[test]
    fn means_what_re2_means() {
        for (pattern, text, expected) in [
            (r"^\d$", "٣", false),
            (r"^\d$", "3", true),
            (r"^\w$", "é", false),
            (r"^\W$", "é", true),
            (r"^\s$", "\u{b}", false),
            (r"^\s$", "\u{c}", true),
            (r"^\S$", "\u{a0}", true),
            (r"^[\d_]+$", "1_2", true),
            (r"^[^\W]$", "é", false),
            (r"^[\Da]$", "x", true),
            (r"\bapi\b", "éapié", true),
            (r"\bapi\b", "api_", false),
            (r"a\Bé", "aé", false),
            (r"a\B", "aé", false),
            (r"é\B", "é", true),
            (r"^\w+$", "\u{212A}", true),
            (r"straße", "STRASSE", false),
            (r"σ", "Σς", true),
            (r"^.$", "\n", false),
            (r"^.$", "\r", true),
            (r"(?s)^.$", "\n", true),
            (r"\Qa.b\E+", "a.bbb", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"\Q[x", "[X", true),
            (r"^[[]$", "[", true),
            (r"^[a[]b]$", "ab]", true),
            (r"^[&&a]$", "&", true),
            (r"^[[:alpha:]]$", "é", false),
            (r"^[[:^alpha:]]$", "é", true),
            (r"^[]a]$", "]", true),
            (r"^[^]a]$", "]", false),
            (r"^a{,2}$", "a{,2}", true),
            (r"^a{2}$", "aa", true),
            (r"{x}", "{x}", true),
            (r"^\012$", "\n", true),
            (r"\<b\>", "<b>", true),
            (r"(?P<n>a)(?<m>b)", "ab", true),
            (r"(?U)a+", "aa", true),
            (r"(?-i)A", "a", false),
            (r"\p{Greek}", "λ", true),
        ] {
            check(pattern, text, expected);
        }
    }

    #[test]
    fn refuses_what_re2_refuses() {
        for pattern in [
            "(?=a)",
            "(?<!a)b",
            r"(a)\1",
            r"\8",
            "(?x)a b",
            "(?u:a)",
            "a(",
            "[a",
            "*",
            r"a\",
            "(a{1000}){1000}",
        ] {
            assert!(compile(pattern, false).is_err(), "{pattern}");
            assert!(checked(pattern, true).is_err(), "{pattern}");
        }
        let message = compile("(?=a)", false).map(|_| ()).unwrap_err().to_string();
        assert!(
            !message.contains('\n') && message.contains("look-around"),
            "{message}"
        );
    }

    #[test]
    fn patterns_tell_what_they_cost() {
        for (pattern, is_wide) in [
            ("a.*b", false),
            (r"\d{3}-\d{4}", false),
            ("x.{0,8}y", false),
            ("x.{0,9}y", true),
            (r"(?:\d{1,3}\.){3}\d{1,3}", true),
            ("x{900}", true),
            (r"(?:ab{2}){9}", true),
        ] {
            let pattern = compile(pattern, false).unwrap();
            assert_eq!(pattern.wide.is_some(), is_wide, "{}", pattern.as_str());
            // What a serving thread may spend on 120 KB.
            assert!(pattern.pace() * SAMPLE < 20.0 * 1e6);
        }
        let mut findings = Findings::default();
        for (at, pattern) in [("cheap", r"\bx\d{2,4}y"), ("gap", "x.{0,500}y")] {
            let pattern = compile(pattern, false).unwrap();
            pattern.check_cost(at, &mut findings);
        }
        let words = (0..40)
            .map(|n| format!("w{n}a"))
            .collect::<Vec<_>>()
            .join("|");
        let dear = compile(&format!("(?:{words}){{0,30}}y"), false).unwrap();
        dear.check_cost("dear", &mut findings);
        let problems = findings.into_problems();
        let paths: Vec<_> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        assert_eq!(paths, ["gap", "dear"], "{}", dear.pace());
    }

    #[test]
    fn matches_are_counted_as_the_engine_counts_them() {
        for pattern in [
            "x.{0,40}y",
            "x.{0,40}?y",
            "(?:ab?){2,20}",
            "x.{0,20}y|z{3}.*",
            "x{0,30}",
        ] {
            let compiled = compile(pattern, true).unwrap();
            for text in [
                "",
                "xyxy x y",
                "aabab ab zzz x",
                "xxy\nxéyy",
                "xaaay zzzzzz xy",
            ] {
                let expected = Regex::new(pattern).unwrap().find_iter(text).count();
                let counted = compiled.count(text, || false);
                assert_eq!(counted, (expected, true), "{pattern} in {text}");
            }
        }
    }
}

//! Patterns in RE2's dialect, which documents are written in, on a linear-time engine.
//!
//! The two dialects accept mostly the same text but mean different things by `\d`, `\w`, `\s` and
//! `\b` (ASCII here), by brackets inside a class (plain characters here) and by a brace that starts
//! no repetition (a plain character here). [`translate`] rewrites what differs; look-around and
//! backreferences exist in neither.

mod wide;

use document::Findings;
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use regex_syntax::hir::{Hir, HirKind};
use std::iter::Peekable;
use std::str::Chars;
use wide::{Search, Wide};

/// Bound of one compiled pattern, bytes.
const SIZE_LIMIT: usize = 1 << 20;
/// Bound of one set's compiled patterns, bytes; a larger set is split.
const SET_LIMIT: usize = 8 << 20;
/// Bound of one set's lazily built automaton, bytes.
const CACHE_LIMIT: usize = 1 << 20;
/// Patterns of one set, at most. Of what its patterns begin with an engine makes one list, in time
/// that is the square of its length.
const SET: usize = 128;
/// Characters that counted repetitions ask for, from which on the engine needs much time.
const WIDE: u32 = 16;
/// What a place of such a pattern costs the engine, nanoseconds per byte.
const PLACE: f64 = 7.0;
/// What other patterns cost, nanoseconds per byte.
pub(super) const PLAIN: f64 = 1.5;
/// Nanoseconds that a pattern may take for a text without looking at the clock.
const UNWATCHED: f64 = 250e6;
/// The text for which `check` tells what a pattern costs, bytes.
const SAMPLE: f64 = 120.0 * 1024.0;
/// Milliseconds for it from which on it tells.
const EXPENSIVE: f64 = 20.0;
/// Matches between two looks at the clock.
const LOOKS: usize = 256;

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

/// Patterns that are searched together.
#[derive(Debug, Default)]
pub(super) struct PatternSet {
    sets: Vec<(RegexSet, Vec<usize>)>,
}

impl PatternSet {
    /// Compiles `(pattern, slot)` pairs; each pattern is already in the engine's own dialect and
    /// compiles alone.
    pub(super) fn build(patterns: &[(String, usize)]) -> Result<Self, PatternError> {
        let mut sets = Vec::new();
        for patterns in patterns.chunks(SET) {
            Self::add(patterns, &mut sets)?;
        }
        Ok(Self { sets })
    }

    /// How often a text is read for all patterns.
    pub(super) fn sets(&self) -> usize {
        self.sets.len()
    }

    /// Sets `hits[slot]` for every pattern found in `text`.
    pub(super) fn mark(&self, text: &str, hits: &mut [bool]) {
        for (set, slots) in &self.sets {
            mark(set, slots, text, hits);
        }
    }

    /// Sets `hits[slot]` for every wanted pattern found in `text`, and perhaps for others; until it
    /// `is_late`. Returns the wanted ones that were not looked for.
    pub(super) fn mark_wanted(
        &self,
        text: &str,
        is_wanted: &[bool],
        is_late: impl Fn() -> bool,
        hits: &mut [bool],
    ) -> Vec<usize> {
        let mut unread = Vec::new();
        for (set, slots) in &self.sets {
            let mut wanted = slots
                .iter()
                .copied()
                .filter(|slot| is_wanted[*slot])
                .peekable();
            if wanted.peek().is_none() {
                continue;
            }
            if is_late() {
                unread.extend(wanted);
                continue;
            }
            mark(set, slots, text, hits);
        }
        unread
    }

    fn add(
        patterns: &[(String, usize)],
        sets: &mut Vec<(RegexSet, Vec<usize>)>,
    ) -> Result<(), PatternError> {
        if patterns.is_empty() {
            return Ok(());
        }
        let built = RegexSetBuilder::new(patterns.iter().map(|(pattern, _)| pattern))
            .size_limit(SET_LIMIT)
            .dfa_size_limit(CACHE_LIMIT)
            .build();
        match built {
            Ok(set) => sets.push((set, patterns.iter().map(|(_, slot)| *slot).collect())),
            Err(error) if patterns.len() == 1 => return Err(error.into()),
            Err(_) => {
                let (left, right) = patterns.split_at(patterns.len() / 2);
                Self::add(left, sets)?;
                Self::add(right, sets)?;
            }
        }
        Ok(())
    }
}

fn mark(set: &RegexSet, slots: &[usize], text: &str, hits: &mut [bool]) {
    let found = set.matches(text);
    for slot in found.iter().filter_map(|index| slots.get(index)) {
        hits[*slot] = true;
    }
}

/// A pattern of a document.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// Matches in the engine's stead where that would take too much time.
    wide: Option<Wide>,
    /// Bytes of the longest match, if there is one.
    longest: Option<usize>,
    /// Nanoseconds per byte, at most.
    pace: f64,
}

impl Pattern {
    /// Compiles a pattern in the engine's dialect.
    fn new(pattern: &str) -> Result<Self, PatternError> {
        let regex = RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build()?;
        let hir = regex_syntax::parse(pattern).ok();
        let counted = hir.as_ref().map_or(0, counted);
        let wide = hir.as_ref().filter(|_| counted > WIDE).and_then(Wide::new);
        let pace = match &wide {
            Some(wide) => wide.pace(),
            None if counted > WIDE => PLACE * f64::from(counted),
            None => PLAIN,
        };
        Ok(Self {
            regex,
            wide,
            longest: hir.and_then(|hir| hir.properties().maximum_len()),
            pace,
        })
    }

    /// The pattern in the engine's dialect.
    pub(super) fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether the pattern is no good company in a [`PatternSet`].
    pub(super) fn stands_alone(&self) -> bool {
        self.pace > PLAIN
    }

    /// Nanoseconds per byte of text, at most.
    pub(super) fn pace(&self) -> f64 {
        self.pace
    }

    /// Tells whether the pattern is found in `text`; `None` if it was too late to tell.
    pub(super) fn is_match(&self, text: &str, is_late: impl Fn() -> bool) -> Option<bool> {
        let Some(wide) = &self.wide else {
            return self.is_affordable(text).then(|| self.regex.is_match(text));
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
            let Some(found) = self.regex.find_at(text, begin) else {
                return (count, true);
            };
            count += 1;
            from = found.end();
        }
    }

    fn count_all(&self, text: &str, is_late: impl Fn() -> bool) -> (usize, bool) {
        if !self.is_affordable(text) {
            return (0, false);
        }
        let mut count = 0;
        for _ in self.regex.find_iter(text) {
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

/// Returns how many characters counted repetitions ask for, written out.
fn counted(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => 0,
        HirKind::Capture(capture) => counted(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let parts = parts.iter().map(counted);
            parts.fold(0, u32::saturating_add)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min);
            if times < 2 {
                return counted(&repetition.sub);
            }
            times.saturating_mul(characters(&repetition.sub))
        }
    }
}

/// Returns how many characters a pattern asks for, written out.
fn characters(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Class(_) => 1,
        HirKind::Literal(literal) => u32::try_from(literal.0.len()).unwrap_or(u32::MAX),
        HirKind::Capture(capture) => characters(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let parts = parts.iter().map(characters);
            parts.fold(0, u32::saturating_add)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            times.saturating_mul(characters(&repetition.sub))
        }
    }
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
    use proptest::collection::vec;
    use proptest::prelude::*;

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
            (r"(?:\d{1,3}\.){3}\d{1,3}", false),
            ("x.{0,15}y", false),
            ("x.{0,17}y", true),
            ("x{900}", true),
            (r"(?:ab{2}){9}", true),
        ] {
            let pattern = compile(pattern, false).unwrap();
            assert_eq!(pattern.wide.is_some(), is_wide, "{}", pattern.as_str());
            // What a serving thread may spend on 120 KB.
            assert!(pattern.pace() * SAMPLE < EXPENSIVE * 1e6);
        }
        let mut findings = Findings::default();
        let cheap = compile("x.{0,900}y", false).unwrap();
        cheap.check_cost("cheap", &mut findings);
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
        assert_eq!(paths, ["dear"], "{} {}", cheap.pace(), dear.pace());
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

    #[test]
    fn a_set_too_large_for_one_automaton_is_split() {
        let patterns: Vec<_> = (0..40).map(|n| (format!(r"(?i)x{n}\w{{80}}"), n)).collect();
        let set = PatternSet::build(&patterns).unwrap();
        let mut hits = vec![false; 40];
        set.mark(&format!("X7{}", "é".repeat(80)), &mut hits);
        assert!(set.sets.len() > 1);
        assert_eq!(hits.iter().position(|hit| *hit), Some(7));
    }

    proptest! {
        #[test]
        fn many_sets_find_what_one_finds(
            words in vec("[ab]{1,3}|[ab]\\.\\*[ab]|[ab]\\?b", 1..400),
            text in "[ab]{0,12}",
        ) {
            let patterns: Vec<_> = words.into_iter().enumerate().map(|(at, word)| (word, at)).collect();
            let texts = patterns.iter().map(|(pattern, _)| pattern);
            let one = RegexSet::new(texts).unwrap();
            let expected: Vec<usize> = one.matches(&text).iter().collect();
            let sets = PatternSet::build(&patterns).unwrap();
            prop_assert_eq!(sets.sets.len(), patterns.len().div_ceil(SET));
            let found = |hits: &[bool]| -> Vec<usize> { (0..hits.len()).filter(|at| hits[*at]).collect() };
            let mut hits = vec![false; patterns.len()];
            sets.mark(&text, &mut hits);
            prop_assert_eq!(found(&hits), expected.clone());

            let wanted: Vec<bool> = (0..patterns.len()).map(|at| at % 150 == 7).collect();
            let mut hits = vec![false; patterns.len()];
            let unread = sets.mark_wanted(&text, &wanted, || false, &mut hits);
            let of_wanted = |all: Vec<usize>| -> Vec<usize> { all.into_iter().filter(|at| wanted[*at]).collect() };
            prop_assert_eq!(of_wanted(found(&hits)), of_wanted(expected));
            prop_assert!(unread.is_empty());
            let unread = sets.mark_wanted(&text, &wanted, || true, &mut hits);
            prop_assert_eq!(unread, found(&wanted));
        }
    }
}

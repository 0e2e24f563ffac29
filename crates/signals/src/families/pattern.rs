//! Patterns in RE2's dialect, which documents are written in, on a linear-time engine.
//!
//! The two dialects accept mostly the same text but mean different things by `\d`, `\w`, `\s` and
//! `\b` (ASCII here), by brackets inside a class (plain characters here) and by a brace that starts
//! no repetition (a plain character here). [`translate`] rewrites what differs; look-around and
//! backreferences exist in neither.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use std::iter::Peekable;
use std::str::Chars;

/// Bound of one compiled pattern, bytes.
const SIZE_LIMIT: usize = 1 << 20;
/// Bound of one set's compiled patterns, bytes; a larger set is split.
const SET_LIMIT: usize = 8 << 20;
/// Bound of one set's lazily built automaton, bytes.
const CACHE_LIMIT: usize = 4 << 20;

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
        Self::add(patterns, &mut sets)?;
        Ok(Self { sets })
    }

    /// Sets `hits[slot]` for every pattern found in `text`.
    pub(super) fn mark(&self, text: &str, hits: &mut [bool]) {
        for (set, slots) in &self.sets {
            for slot in set
                .matches(text)
                .iter()
                .filter_map(|index| slots.get(index))
            {
                hits[*slot] = true;
            }
        }
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

/// Compiles one pattern of a document.
pub(super) fn compile(pattern: &str, case_sensitive: bool) -> Result<Regex, PatternError> {
    Ok(
        RegexBuilder::new(&with_case(&translate(pattern)?, case_sensitive))
            .size_limit(SIZE_LIMIT)
            .build()?,
    )
}

/// A document's pattern compiled, whose text in the engine's form may stand in a [`PatternSet`];
/// and that form without a flag for its case.
pub(super) fn checked(
    pattern: &str,
    case_sensitive: bool,
) -> Result<(Regex, String), PatternError> {
    let own = translate(pattern)?;
    let regex = RegexBuilder::new(&with_case(&own, case_sensitive))
        .size_limit(SIZE_LIMIT)
        .build()?;
    Ok((regex, own))
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

    fn check(pattern: &str, text: &str, expected: bool) {
        let regex = compile(pattern, false).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        assert_eq!(regex.is_match(text), expected, "{pattern} on {text}");
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
    fn a_set_too_large_for_one_automaton_is_split() {
        let patterns: Vec<_> = (0..40).map(|n| (format!(r"(?i)x{n}\w{{80}}"), n)).collect();
        let set = PatternSet::build(&patterns).unwrap();
        let mut hits = vec![false; 40];
        set.mark(&format!("X7{}", "é".repeat(80)), &mut hits);
        assert!(set.sets.len() > 1);
        assert_eq!(hits.iter().position(|hit| *hit), Some(7));
    }
}

//! Rust source as the rules read it: by rustfmt's layout, without the items that only tests see.

/// Returns the lines outside items with `#[cfg(test)]`, numbered from 1.
pub(super) fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut lines = (1..).zip(text.lines());
    let mut kept = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            skip_item(&mut lines, indent(line));
        } else {
            kept.push((number, line));
        }
    }
    kept
}

/// Skips one item: up to the first line as deep as its attribute that ends a declaration or a body.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, depth: usize) {
    lines
        .by_ref()
        .map(|(_, line)| line)
        .find(|line| indent(line) == depth && ends_item(line));
}

fn ends_item(line: &str) -> bool {
    let line = line.trim();
    let is_comment = line.starts_with("//") || line.starts_with("#[");
    !is_comment && line.ends_with([';', ',', '}'])
}

/// Returns how many blanks begin a line.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A parameter of a function, as written.
#[derive(Debug, PartialEq)]
pub(super) struct Parameter {
    pub(super) pattern: String,
    pub(super) kind: String,
}

/// A function's first line and its parameters, without `self`.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) parameters: Vec<Parameter>,
}

/// Returns the signatures of all functions with a name.
pub(super) fn signatures(lines: &[(usize, &str)]) -> Vec<Signature> {
    let code: Vec<(usize, &str)> = lines
        .iter()
        .map(|&(number, line)| (number, without_comment(line)))
        .collect();
    code.iter()
        .enumerate()
        .filter_map(|(index, &(number, line))| {
            let after = after_fn(line)?;
            let rest = code.iter().skip(index + 1).map(|&(_, line)| line);
            signature(number, &joined(after, rest))
        })
        .collect()
}

/// Returns what follows the keyword `fn`, if a name does.
fn after_fn(line: &str) -> Option<&str> {
    let at = line.match_indices("fn ").find(|&(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        before.is_none_or(|letter| letter == ' ')
    })?;
    let after = line.get(at.0 + 3..)?;
    let is_named = after.starts_with(|letter: char| letter.is_alphabetic() || letter == '_');
    is_named.then_some(after)
}

/// Joins the lines of a signature. None has more than these many.
fn joined<'a>(first: &'a str, rest: impl Iterator<Item = &'a str>) -> String {
    const LINES: usize = 60;
    let lines: Vec<&str> = std::iter::once(first).chain(rest.take(LINES)).collect();
    lines.join("\n")
}

fn signature(line: usize, text: &str) -> Option<Signature> {
    let name_end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    let (name, rest) = text.split_at_checked(name_end)?;
    let open = after_generics(rest)?.strip_prefix('(')?;
    let parameters = top_level(open, ',')
        .iter()
        .filter_map(|parameter| parsed(parameter))
        .collect();
    Some(Signature {
        line,
        name: name.to_owned(),
        parameters,
    })
}

/// Returns what follows `<…>`, if there is one.
fn after_generics(text: &str) -> Option<&str> {
    let Some(inside) = text.strip_prefix('<') else {
        return Some(text);
    };
    let [first, ..] = top_level(inside, '\0')[..] else {
        return None;
    };
    inside.get(first.len() + 1..)
}

fn parsed(parameter: &str) -> Option<Parameter> {
    let [pattern, kind] = top_level_once(parameter, ':')?;
    Some(Parameter {
        pattern: pattern.trim().to_owned(),
        kind: kind.trim().to_owned(),
    })
}

/// Splits at the first `separator` that no bracket encloses.
fn top_level_once(text: &str, separator: char) -> Option<[&str; 2]> {
    let [first, ..] = top_level(text, separator)[..] else {
        return None;
    };
    let rest = text.get(first.len() + 1..)?;
    Some([first, rest])
}

/// Splits `text` at each `separator` that no bracket encloses, up to the bracket that closes it.
fn top_level(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start, mut before) = (0_usize, 0, ' ');
    for (at, letter) in text.char_indices() {
        // The `>` of `->` and `=>` closes nothing.
        let closes =
            matches!(letter, ')' | ']' | '}') || (letter == '>' && !matches!(before, '-' | '='));
        if closes && depth == 0 {
            parts.extend(text.get(start..at));
            return parts;
        }
        if closes {
            depth -= 1;
        } else if matches!(letter, '(' | '[' | '{' | '<') {
            depth += 1;
        } else if letter == separator && depth == 0 {
            parts.extend(text.get(start..at));
            start = at + letter.len_utf8();
        }
        before = letter;
    }
    parts.extend(text.get(start..));
    parts
}

/// Returns the part of a line before its `//`, which no string encloses.
pub(super) fn without_comment(line: &str) -> &str {
    line.split_at_checked(comment_at(line).unwrap_or(line.len()))
        .map_or("", |(code, _)| code)
}

/// Returns what people read in a line of Rust: its comment and what stands between quotation marks.
pub(super) fn prose(line: &str) -> Vec<&str> {
    let comment = comment_at(line).and_then(|at| line.get(at..));
    let quoted = without_comment(line).split('"').skip(1).step_by(2);
    quoted.chain(comment).collect()
}

/// Returns where the comment of a line begins: at a `//` outside quotation marks and addresses.
fn comment_at(line: &str) -> Option<usize> {
    let is_outside = |at: usize| {
        let before = line.get(..at).unwrap_or_default();
        let quotes = before.matches('"').count() - before.matches("\\\"").count();
        quotes % 2 == 0 && !before.ends_with(':')
    };
    line.match_indices("//")
        .map(|(at, _)| at)
        .find(|&at| is_outside(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_kept(text: &str, expected: &[usize]) {
        let numbers: Vec<usize> = without_tests(text)
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        assert_eq!(numbers, expected, "{text}");
    }

    #[test]
    fn an_attribute_and_its_one_item_are_skipped() {
        check_kept("#[cfg(test)]\nmod tests;\n\nuse x;", &[3, 4]);
        check_kept("a;\n#[cfg(test)]\nmod tests {\n    x;\n}\nb;", &[1, 6]);
        check_kept(
            "#[cfg(test)]\nfn f(\n    a: u8,\n) -> u8 {\n    a\n}\nb;",
            &[7],
        );
        check_kept("#[cfg(test)]\nuse x::{\n    a,\n};\nb;", &[5]);
        check_kept("#[cfg(test)]\n#[derive(Debug)]\nstruct X;\nb;", &[4]);
        check_kept(
            "struct X {\n    #[cfg(test)]\n    a: u8,\n    b: u8,\n}",
            &[1, 4, 5],
        );
    }

    fn check_parameters(text: &str, expected: &[(&str, &str)]) {
        let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
        let found: Vec<(String, String)> = signatures(&lines)
            .into_iter()
            .flat_map(|signature| signature.parameters)
            .map(|parameter| (parameter.pattern, parameter.kind))
            .collect();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(pattern, kind)| (pattern.as_str(), kind.as_str()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn parameters_are_read_over_lines_and_brackets() {
        check_parameters("fn f(a: u8, b: &str) {}", &[("a", "u8"), ("b", "&str")]);
        check_parameters(
            "pub fn f<F: Fn(A) -> B>(\n    &self,\n    (a, b): (A, B), // why\n) -> C {",
            &[("(a, b)", "(A, B)")],
        );
        check_parameters(
            "fn f(map: Map<A, B>, with: impl Fn(A) -> B, c: [u8; 2])",
            &[
                ("map", "Map<A, B>"),
                ("with", "impl Fn(A) -> B"),
                ("c", "[u8; 2]"),
            ],
        );
        check_parameters("let run: fn (A) -> B = x;", &[]);
        check_parameters("// fn f(a: u8)", &[]);
    }

    #[test]
    fn prose_is_comments_and_strings() {
        assert_eq!(prose("let anew = 1; // anew"), ["// anew"]);
        assert_eq!(prose(r#"f("whom", x) // y"#), ["whom", "// y"]);
        assert_eq!(prose(r#"f("http://x", y)"#), ["http://x"]);
        assert_eq!(prose("/// See it."), ["/// See it."]);
    }
}

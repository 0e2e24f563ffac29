//! The tree and the shape of its files: top level, names, module docs, length of files and
//! functions.

use std::collections::BTreeSet;

use super::source::without_tests;
use super::{File, Finding};

const TOP_LEVEL: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE",
    "proto",
    "crates",
    "examples",
    "envoy",
    "charts",
    "tests",
    "benches",
];
/// Names that say nothing, and so collect everything.
const EMPTY_NAMES: [&str; 9] = [
    "common", "core", "utils", "util", "helpers", "helper", "manager", "managers", "misc",
];
/// Each folder of `examples/` is one use case.
const EXAMPLE_FILES: [&str; 2] = ["config.yaml", "README.md"];
const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 130;

/// Rules about names and places.
pub(super) fn check_tree(paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in paths {
        let top = path.split('/').next().unwrap_or_default();
        if !top.starts_with('.') && !TOP_LEVEL.contains(&top) {
            findings.push(format!(
                "{path}: `{top}` is not part of the fixed top level"
            ));
        }
        if path.ends_with("/mod.rs") {
            findings.push(format!(
                "{path}: a module is foo.rs, with foo/ for its children"
            ));
        }
        let mut parts = path
            .split('/')
            .map(|part| part.strip_suffix(".rs").unwrap_or(part));
        if path.starts_with("crates/") && parts.any(|part| EMPTY_NAMES.contains(&part)) {
            findings.push(format!("{path}: the name says nothing"));
        }
    }
    findings.extend(check_examples(paths));
    findings
}

fn check_examples(paths: &[String]) -> Vec<Finding> {
    let inside = paths
        .iter()
        .filter_map(|path| path.strip_prefix("examples/")?.split_once('/'));
    let folders: BTreeSet<&str> = inside.map(|(folder, _)| folder).collect();
    let wanted = folders
        .iter()
        .flat_map(|folder| EXAMPLE_FILES.map(|file| format!("examples/{folder}/{file}")));
    wanted
        .filter(|file| !paths.contains(file))
        .map(|file| format!("{file}: every example has one"))
        .collect()
}

/// Rules about one Rust file.
pub(super) fn check_source(file: &File) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !file.text.starts_with("//! ") {
        findings.push(format!(
            "{}:1: the first line says what the file is for (`//! …`)",
            file.path
        ));
    }
    let lines = without_tests(&file.text).len();
    if lines > FILE_LINES && !file.is_test() {
        findings.push(format!(
            "{}: {lines} lines without tests; at most {FILE_LINES}",
            file.path
        ));
    }
    let long = functions(&file.text)
        .into_iter()
        .filter(|function| function.lines > FUNCTION_LINES);
    findings.extend(long.map(|function| {
        let Function { line, name, lines } = function;
        format!(
            "{}:{line}: fn {name} has {lines} lines; at most {FUNCTION_LINES}",
            file.path
        )
    }));
    findings
}

struct Function<'a> {
    line: usize,
    name: &'a str,
    /// Of the body, without blank lines and comments.
    lines: usize,
}

/// Finds functions by rustfmt's layout: a body ends at a `}` that stands as deep as its `fn`.
fn functions(text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let depth = indent(line);
        let end = format!("{depth}}}");
        let after = lines.iter().skip(index + 1);
        let body: Vec<&&str> = after
            .take_while(|line| **line != end && !is_declaration_end(line, depth))
            .collect();
        let counted = body
            .iter()
            .filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"));
        found.push(Function {
            line: index + 1,
            name,
            lines: counted.count(),
        });
    }
    found
}

fn indent(line: &str) -> &str {
    line.split_at_checked(line.len() - line.trim_start().len())
        .map_or("", |(indent, _)| indent)
}

/// The last line of a signature without body, as in a trait.
fn is_declaration_end(line: &str, depth: &str) -> bool {
    let rest = line.strip_prefix(depth);
    line.ends_with(';') && rest.is_some_and(|rest| rest.starts_with(')'))
}

/// The name in a line that begins a function with a body or the first line of a long signature.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if rest.ends_with(';') || rest.ends_with('}') {
        return None;
    }
    for word in [
        "pub(crate) ",
        "pub(super) ",
        "pub ",
        "default ",
        "const ",
        "async ",
        "unsafe ",
        "extern \"C\" ",
    ] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    name.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check_paths(paths: &[&str], expected: usize) {
        let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        let findings = check_tree(&paths);
        assert_eq!(findings.len(), expected, "{paths:?}: {findings:?}");
    }

    fn check_rust(path: &str, text: &str, expected: usize) {
        let findings = check_source(&file(path, text));
        assert_eq!(findings.len(), expected, "{findings:?}");
    }

    #[test]
    fn the_top_level_is_fixed() {
        check_paths(
            &[
                "README.md",
                ".ci/run",
                "crates/router/src/lib.rs",
                "envoy/route.yaml",
            ],
            0,
        );
        check_paths(&["docs/a.md"], 1);
        check_paths(&["justfile"], 1);
    }

    #[test]
    fn names_say_something() {
        check_paths(&["crates/router/src/signals/mod.rs"], 1);
        check_paths(&["crates/router/src/utils.rs"], 1);
        check_paths(&["crates/core/src/lib.rs"], 1);
        check_paths(&["crates/router/src/encore.rs"], 0);
    }

    #[test]
    fn examples_are_complete() {
        check_paths(
            &[
                "examples/cost/config.yaml",
                "examples/cost/README.md",
                "examples/README.md",
            ],
            0,
        );
        check_paths(&["examples/cost/config.yaml"], 1);
        check_paths(&["examples/cost/probes.yaml"], 2);
    }

    #[test]
    fn the_first_line_says_what_for() {
        check_rust("crates/a/src/lib.rs", "//! Says it.\n", 0);
        check_rust("crates/a/src/lib.rs", "use x;\n//! Too late.\n", 1);
        check_rust("crates/a/README.md", "text", 0);
    }

    #[test]
    fn files_are_short_without_their_tests() {
        let line = "const X: u8 = 0;\n";
        let long = format!("//! A.\n{}", line.repeat(FILE_LINES));
        check_rust("crates/a/src/lib.rs", &long, 1);
        check_rust("crates/a/src/lib/tests.rs", &long, 0);
        check_rust("tests/it/main.rs", &long, 0);
        check_rust("tests/src/lib.rs", &long, 1);
        let tested = format!(
            "//! A.\n{line}#[cfg(test)]\nmod tests {{\n{}}}\n",
            format!("    {line}").repeat(FILE_LINES)
        );
        check_rust("crates/a/src/lib.rs", &tested, 0);
        let declared = format!(
            "//! A.\n#[cfg(test)]\nmod tests;\n{}",
            line.repeat(FILE_LINES)
        );
        check_rust("crates/a/src/lib.rs", &declared, 1);
    }

    #[test]
    fn functions_are_short() {
        let body = |lines: usize| {
            format!(
                "//! A.\nimpl A {{\n    pub fn long(\n        &self,\n    ) {{\n{}    }}\n}}\n",
                "        a();\n".repeat(lines)
            )
        };
        check_rust("crates/a/src/lib.rs", &body(FUNCTION_LINES - 2), 0);
        check_rust("crates/a/src/lib.rs", &body(FUNCTION_LINES + 1), 1);
        let commented = format!(
            "//! A.\nfn f() {{\n{}}}\n",
            "    // why\n\n".repeat(FUNCTION_LINES)
        );
        check_rust("crates/a/src/lib.rs", &commented, 0);
        let declared = format!(
            "//! A.\ntrait T {{\n    fn f(&self);\n{}}}\n",
            "    const X: u8;\n".repeat(FUNCTION_LINES + 1)
        );
        check_rust("crates/a/src/lib.rs", &declared, 0);
    }
}

//! The map of the code, `crates/README.md`: short, and every path in it exists.

use super::{File, Finding};

const MAP: &str = "crates/README.md";
const LINES: usize = 300;
const ENDINGS: [&str; 7] = [".rs", ".txt", ".md", ".yaml", ".proto", ".json", "/"];

/// Checks the map against the list of files.
pub(super) fn check(files: &[File], paths: &[String]) -> Vec<Finding> {
    let Some(map) = files.iter().find(|file| file.path == MAP) else {
        return vec![format!("{MAP}: the map of the code is missing")];
    };
    let mut findings = Vec::new();
    let lines = map.text.lines().count();
    if lines > LINES {
        findings.push(format!("{MAP}: {lines} lines; at most {LINES}"));
    }
    for (number, line) in (1..).zip(map.text.lines()) {
        let wrong = named_paths(line).filter(|path| !exists(path, paths));
        findings.extend(wrong.map(|path| format!("{MAP}:{number}: `{path}` does not exist")));
    }
    findings
}

/// What stands between backticks and looks like a path: no space, and a known ending.
fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|word| {
        let plain = word
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter));
        plain && !word.starts_with('/') && ENDINGS.iter().any(|ending| word.ends_with(ending))
    })
}

/// A path is written from `crates/` or from the root; a folder ends with `/`.
fn exists(named: &str, paths: &[String]) -> bool {
    let matches = |candidate: &str| match candidate.strip_suffix('/') {
        Some(_) => paths.iter().any(|path| path.starts_with(candidate)),
        None => paths.iter().any(|path| path == candidate),
    };
    matches(named) || matches(&format!("crates/{named}"))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check_map(text: &str, expected: usize) {
        let paths = ["crates/router/src/pipeline.rs", "envoy/route.yaml"].map(str::to_owned);
        let findings = check(&[file(MAP, text)], &paths);
        assert_eq!(findings.len(), expected, "{text}: {findings:?}");
    }

    #[test]
    fn paths_are_looked_up_from_both_places() {
        check_map(
            "Start at `router/src/pipeline.rs`, run `envoy/route.yaml`, see `router/src/`.",
            0,
        );
        check_map(
            "`router/src/pipe.rs` and `crates/router/src/pipeline.rs` and `nowhere/`",
            2,
        );
        check_map("`cargo xtask ci`, `a::b`, `/health` and `POST /x/`", 0);
    }

    #[test]
    fn the_map_is_short_and_there() {
        check_map(&"line\n".repeat(LINES), 0);
        check_map(&"line\n".repeat(LINES + 1), 1);
        assert_eq!(check(&[], &[]).len(), 1);
    }
}

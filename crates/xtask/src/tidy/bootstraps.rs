//! The bootstraps in `envoy/`: what must be the same in all of them is the same, word for word.
//!
//! A header that one file removes and another forgets is a hole that only a client with bad intent
//! would find.

use super::{File, Finding};

/// First line of a part, and the line after it; the file's end if there is none.
const SHARED: [(&str, &str); 3] = [
    ("early_header_mutation_extensions:", "http_filters:"),
    ("metadata_options:", "route_config:"),
    ("virtual_hosts:", ""),
];

/// Parts that a bootstrap has of its own.
const OWN: [(&str, &str); 2] = [
    ("envoy/escalate.yaml", "virtual_hosts:"),
    ("envoy/fallback.yaml", "virtual_hosts:"),
];

/// Compares every bootstrap with the first.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let all = files
        .iter()
        .filter(|file| file.path.starts_with("envoy/") && file.path.ends_with(".yaml"));
    let bootstraps: Vec<&File> = all.collect();
    let Some((first, others)) = bootstraps.split_first() else {
        return vec!["envoy/: no bootstraps".to_owned()];
    };
    let mut findings = Vec::new();
    for (from, to) in SHARED {
        let expected = part(&first.text, from, to);
        if expected.is_empty() {
            findings.push(format!("{}: has no `{from}`", first.path));
        }
        let shared = others
            .iter()
            .filter(|file| !OWN.contains(&(file.path.as_str(), from)));
        let differing = shared.filter(|file| part(&file.text, from, to) != expected);
        findings.extend(
            differing.map(|file| format!("{}: `{from}` differs from {}", file.path, first.path)),
        );
    }
    findings
}

fn part<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    // A part may have an anchor, by which it is repeated.
    let is = |line: &str, key: &str| line.trim().split(" &").next() == Some(key);
    let lines = text.lines().skip_while(|line| !is(line, from));
    lines
        .take_while(|line| to.is_empty() || !is(line, to))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const GOOD: &str = "\
early_header_mutation_extensions:
- remove: a
http_filters:
  processing_mode: {}
  metadata_options:
    receiving: merit
  route_config:
    virtual_hosts:
    - domains: ['*']
";

    fn check_second(text: &str, expected: usize) {
        let findings = check(&[file("envoy/a.yaml", GOOD), file("envoy/b.yaml", text)]);
        assert_eq!(findings.len(), expected, "{findings:?}");
    }

    #[test]
    fn shared_parts_are_equal() {
        check_second(GOOD, 0);
        check_second(
            &GOOD.replace("processing_mode: {}", "processing_mode: {x: y}"),
            0,
        );
        check_second(&GOOD.replace("- remove: a\n", ""), 1);
        check_second(&GOOD.replace("merit", "other").replace("'*'", "x"), 2);
    }

    #[test]
    fn a_part_that_no_file_has_is_found() {
        assert_eq!(
            check(&[file("envoy/a.yaml", "admin: {}")]).len(),
            SHARED.len()
        );
        assert_eq!(check(&[]).len(), 1);
    }
}

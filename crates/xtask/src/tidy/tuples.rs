//! Tuples as parameters: a call does not say what their parts mean, so each part is a parameter, or
//! they are a struct with named fields.

use super::source::{Parameter, signatures, without_tests};
use super::{File, Finding};

/// Finds parameters that are taken apart in the signature or are tuples by their type.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.is_rust() || file.is_test() {
        return Vec::new();
    }
    let lines = without_tests(&file.text);
    signatures(&lines)
        .into_iter()
        .flat_map(|signature| {
            let tuples = signature.parameters.into_iter().filter(is_tuple);
            let name = signature.name;
            let line = signature.line;
            tuples.map(move |parameter| {
                let Parameter { pattern, .. } = parameter;
                format!("{}:{line}: fn {name} takes a tuple, `{pattern}`", file.path)
            })
        })
        .collect()
}

fn is_tuple(parameter: &Parameter) -> bool {
    let pattern = parameter.pattern.trim_start_matches('&');
    let kind = parameter.kind.trim_start_matches('&');
    pattern.starts_with('(') || (kind.starts_with('(') && kind != "()")
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check_source(text: &str, expected: usize) {
        let findings = check(&file("crates/a/src/lib.rs", text));
        assert_eq!(findings.len(), expected, "{text}: {findings:?}");
    }

    #[test]
    fn tuples_are_found() {
        check_source("fn f((a, b): (u8, u8)) {}", 1);
        check_source(
            "fn f(\n    pair: (u8, u8),\n    &(a, b): &(u8, u8),\n) {",
            2,
        );
        check_source("fn f(pairs: &[(u8, u8)], Point { x, y }: Point) {}", 0);
        check_source("fn f(run: impl Fn((u8, u8)), nothing: ()) {}", 0);
    }

    #[test]
    fn tests_may_take_them() {
        check_source("#[cfg(test)]\nfn f((a, b): (u8, u8)) {}", 0);
    }
}

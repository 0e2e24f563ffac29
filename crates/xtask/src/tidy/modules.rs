//! The order of the stages inside `router`: a stage does not look at a later one.

use super::{File, Finding};

/// A stage's files (the module and its children) and the later stages that they must not name.
const LATER: [(&str, &[&str]); 5] = [
    (
        "signals",
        &[
            "projection",
            "decision",
            "selection",
            "plugins",
            "plan",
            "pipeline",
            "response",
        ],
    ),
    (
        "projection",
        &[
            "decision",
            "selection",
            "plugins",
            "plan",
            "pipeline",
            "response",
        ],
    ),
    (
        "decision",
        &["selection", "plugins", "plan", "pipeline", "response"],
    ),
    ("selection", &["plugins", "pipeline", "response"]),
    ("plugins", &["pipeline"]),
];
const ROUTER: &str = "crates/router/src/";

/// Finds paths that begin with `crate::` and go on with a later stage.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let Some(inner) = file
        .path
        .strip_prefix(ROUTER)
        .filter(|_| file.is_rust() && !file.is_test())
    else {
        return Vec::new();
    };
    let stage = inner.split(['/', '.']).next().unwrap_or_default();
    let Some((_, later)) = LATER.iter().find(|(name, _)| *name == stage) else {
        return Vec::new();
    };
    let code: Vec<&str> = file.lines_without_tests().map(|(_, line)| line).collect();
    let code: Vec<&str> = code
        .into_iter()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let named = named_modules(&code.join("\n"));
    let wrong = named
        .into_iter()
        .filter(|module| later.contains(&module.as_str()));
    wrong
        .map(|module| {
            format!(
                "{}: {stage} comes before {module} and must not use it",
                file.path
            )
        })
        .collect()
}

/// The modules that follow `crate::`, also in groups: `crate::{a, b::{c, d}}` names a and b.
fn named_modules(code: &str) -> Vec<String> {
    let mut named: Vec<String> = code
        .split("crate::")
        .skip(1)
        .flat_map(first_names)
        .collect();
    named.sort();
    named.dedup();
    named
}

fn first_names(after: &str) -> Vec<String> {
    let Some(group) = after.strip_prefix('{') else {
        return vec![identifier(after)];
    };
    let mut depth = 0_usize;
    let mut names = vec![String::new()];
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '{' => depth += 1,
            ',' if depth == 0 => names.push(String::new()),
            _ => {}
        }
        if let Some(name) = names.last_mut().filter(|_| depth == 0 && letter != ',') {
            name.push(letter);
        }
    }
    names.iter().map(|name| identifier(name.trim())).collect()
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check_use(path: &str, text: &str, expected: usize) {
        let findings = check(&file(&format!("{ROUTER}{path}"), text));
        assert_eq!(findings.len(), expected, "{path} {text}: {findings:?}");
    }

    #[test]
    fn a_stage_does_not_look_ahead() {
        check_use(
            "signals/keyword.rs",
            "use crate::config::signals::Keyword;",
            0,
        );
        check_use("signals/keyword.rs", "use crate::decision::Decision;", 1);
        check_use("signals.rs", "fn f() { crate::plugins::run() }", 1);
        check_use("decision/rule.rs", "use crate::signals::Match;", 0);
        check_use("decision.rs", "use crate::selection::Selector;", 1);
        check_use("selection/static.rs", "use crate::plugins;", 1);
        check_use("pipeline.rs", "use crate::plugins;", 0);
        check_use("config/decisions.rs", "use crate::plugins;", 0);
    }

    #[test]
    fn groups_are_read() {
        check_use(
            "signals.rs",
            "use crate::{config::decision, report::{Key, selection}};",
            0,
        );
        check_use(
            "signals.rs",
            "use crate::{\n    report::{Key, Kind},\n    selection::{self, Selector},\n};",
            1,
        );
        check_use("signals.rs", "use crate::{decision, plugins};", 2);
    }

    #[test]
    fn comments_and_tests_are_free() {
        check_use("signals.rs", "/// See [`crate::decision`].", 0);
        check_use("signals/tests.rs", "use crate::decision::Decision;", 0);
        check_use(
            "signals.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::decision::Decision;\n}",
            0,
        );
    }
}

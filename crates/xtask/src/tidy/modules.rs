//! The floors of a crate: a module uses those below its own and none above.
//!
//! The compiler holds this order between crates. Within a crate that is still large, this table
//! does.

use std::collections::BTreeSet;

use super::source::without_tests;
use super::{File, Finding};

/// The root modules of a crate by floors, the ground floor first. Modules on one floor do not use
/// each other.
struct Building {
    /// The crate's folder, as in `crates/NAME`.
    name: &'static str,
    floors: &'static [&'static [&'static str]],
    /// Uses against the order that stand until the modules are moved: (from, to).
    exceptions: &'static [(&'static str, &'static str)],
}

/// The crates that are checked. A crate whose modules need an order of their own gets an entry; a
/// new module of a crate that has one gets a place.
const BUILDINGS: [Building; 1] = [Building {
    name: "router",
    floors: &[
        &["config"],
        &["names"],
        &["boundary"],
        &["response"],
        &["escalation"],
        &["algorithms"],
        &["plan"],
        &["plugins", "reasoning"],
        &["models"],
        &["recipe"],
        &["stages"],
        &["generation"],
        &["pipeline"],
        &["explain"],
        &["evaluation"],
    ],
    exceptions: &[("config", "algorithms"), ("config", "plugins")],
}];

/// Finds modules that look up, modules without a floor, and entries of the table that have no use.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    BUILDINGS
        .iter()
        .flat_map(|building| building.check(files))
        .collect()
}

impl Building {
    fn check(&self, files: &[File]) -> Vec<Finding> {
        let root = format!("crates/{}/src/", self.name);
        let mut findings = Vec::new();
        let mut seen = BTreeSet::new();
        let mut excepted = BTreeSet::new();

        for file in files
            .iter()
            .filter(|file| file.is_rust() && !file.is_test())
        {
            let Some(inner) = file.path.strip_prefix(&root) else {
                continue;
            };
            let module = inner.split(['/', '.']).next().unwrap_or_default();
            if matches!(module, "lib" | "main" | "bin") {
                continue;
            }
            if seen.insert(module.to_owned()) && self.floor(module).is_none() {
                findings.push(format!(
                    "{}: {module} has no floor in tidy's table",
                    file.path
                ));
            }
            for used in self.against(module, file, inner) {
                if self.exceptions.contains(&(module, used.as_str())) {
                    excepted.insert((module.to_owned(), used));
                } else {
                    findings.push(format!(
                        "{}: {module} must not use {used}, which is not on a floor below",
                        file.path
                    ));
                }
            }
        }
        findings.extend(self.unused(&seen, &excepted));
        findings
    }

    fn floor(&self, module: &str) -> Option<usize> {
        self.floors.iter().position(|floor| floor.contains(&module))
    }

    /// Returns the modules that a file uses although they are not below its own.
    fn against(&self, module: &str, file: &File, inner: &str) -> Vec<String> {
        let Some(own) = self.floor(module) else {
            return Vec::new();
        };
        let mut used = named_modules(&code(file, inner));
        used.retain(|used| used != module && self.floor(used).is_some_and(|floor| floor >= own));
        used
    }

    /// Returns what the table still lists and nothing needs.
    fn unused(
        &self,
        seen: &BTreeSet<String>,
        excepted: &BTreeSet<(String, String)>,
    ) -> Vec<Finding> {
        let modules = self.floors.iter().copied().flatten();
        let gone = modules
            .filter(|module| !seen.contains(**module))
            .map(|module| {
                format!(
                    "crates/{}: no module {module}; tidy's table lists it",
                    self.name
                )
            });
        let needless = self
            .exceptions
            .iter()
            .filter(|(from, to)| !excepted.contains(&((*from).to_owned(), (*to).to_owned())))
            .map(|(from, to)| {
                format!(
                    "crates/{}: {from} no longer uses {to}; tidy's table excepts it",
                    self.name
                )
            });
        gone.chain(needless).collect()
    }
}

/// Returns a file's code without comments and tests. A path that climbs to the crate's root by
/// `super::` reads as one from `crate::`.
fn code(file: &File, inner: &str) -> String {
    let lines: Vec<&str> = without_tests(&file.text)
        .into_iter()
        .map(|(_, line)| line)
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let depth = inner.split('/').count();
    lines
        .join("\n")
        .replace(&"super::".repeat(depth), "crate::")
}

/// Returns the modules that follow `crate::`, also in groups: `crate::{a, b::{c, d}}` names a and
/// b.
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

/// Returns the first name of each path in a group, or of the one path.
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

    const HOUSE: Building = Building {
        name: "house",
        floors: &[&["report"], &["signals", "plugins"], &["pipeline"]],
        exceptions: &[("report", "signals")],
    };

    /// Checks a file beside others that use the whole table.
    fn check_use(path: &str, text: &str, expected: usize) {
        let root = "crates/house/src/";
        let files = [
            file(&format!("{root}report.rs"), "use crate::signals::Match;"),
            file(&format!("{root}signals.rs"), ""),
            file(&format!("{root}plugins.rs"), ""),
            file(&format!("{root}pipeline.rs"), ""),
            file(&format!("{root}{path}"), text),
        ];
        let findings = HOUSE.check(&files);
        assert_eq!(findings.len(), expected, "{path} {text}: {findings:?}");
    }

    #[test]
    fn a_module_uses_what_is_below() {
        check_use("signals/keyword.rs", "use crate::report::Key;", 0);
        check_use("pipeline.rs", "use crate::{report, signals};", 0);
        check_use("lib.rs", "use crate::pipeline;", 0);
        check_use("report/key.rs", "use crate::signals::Match;", 0);
        check_use("report/key.rs", "use crate::pipeline;", 1);
        check_use("signals/keyword.rs", "fn f() { crate::pipeline::run() }", 1);
        check_use("signals.rs", "use crate::plugins;", 1);
        check_use("signals.rs", "use super::plugins;", 1);
        check_use("signals/keyword.rs", "use super::super::plugins;", 1);
        check_use("signals/keyword.rs", "use super::plugins;", 0);
    }

    #[test]
    fn groups_are_read() {
        check_use("signals.rs", "use crate::{report::{Key, pipeline}};", 0);
        check_use(
            "signals.rs",
            "use crate::{\n    report::{Key, Kind},\n    pipeline::{self, Plan},\n};",
            1,
        );
        check_use("signals.rs", "use crate::{pipeline, plugins};", 2);
    }

    #[test]
    fn comments_and_tests_are_free() {
        check_use("signals.rs", "/// See [`crate::pipeline`].", 0);
        check_use("signals/tests.rs", "use crate::pipeline::Plan;", 0);
        check_use(
            "signals.rs",
            "#[cfg(test)]\nmod tests;\nuse crate::pipeline::Plan;",
            1,
        );
    }

    #[test]
    fn the_table_is_complete_and_has_nothing_else() {
        check_use("attic.rs", "", 1);
        let gone = HOUSE.check(&[]);
        assert_eq!(gone.len(), 4 + 1, "{gone:?}");
    }
}

//! `cargo xtask tidy`: the rules of the house that no compiler knows. All findings are printed, not
//! only the first.

mod bootstraps;
mod crates;
mod files;
mod map;
mod modules;
mod words;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// One text file of the checkout.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// Where a rule is broken, and how: `path:line: message` or `path: message`.
type Finding = String;

/// Applies every rule to the checkout.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let paths = workspace.files()?;
    let mut files = Vec::new();
    for path in &paths {
        let bytes = std::fs::read(workspace.root.join(path))
            .with_context(|| format!("cannot read {path}"))?;
        // What is not UTF-8 is no text, and no rule is about it.
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File {
                path: path.clone(),
                text,
            });
        }
    }
    let mut findings = crates::check(&workspace.metadata)?;
    findings.extend(files::check_tree(&paths));
    findings.extend(files.iter().flat_map(files::check_source));
    findings.extend(files.iter().flat_map(modules::check));
    findings.extend(files.iter().flat_map(words::check));
    findings.extend(bootstraps::check(&files));
    findings.extend(map::check(&files, &paths));
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(
        findings.is_empty(),
        "tidy: {} findings in {} files",
        findings.len(),
        paths.len()
    );
    println!("tidy: {} files are in order", paths.len());
    Ok(())
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Only tests: what lies in the package `tests` outside its harness, and every module called
    /// `tests`.
    fn is_test(&self) -> bool {
        let harness = self.path.starts_with("tests/src/");
        let named = self
            .path
            .split('/')
            .any(|part| matches!(part, "tests" | "tests.rs"));
        named && !harness
    }

    /// The lines before the file's own test module, numbered from 1.
    fn lines_without_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let ends_here = |line: &&str| !line.starts_with("#[cfg(test)]");
        (1..).zip(self.text.lines().take_while(ends_here))
    }
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

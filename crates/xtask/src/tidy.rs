//! `cargo xtask tidy`: the rules of the house that no compiler knows. All findings are printed, not
//! only the first.

pub(crate) mod advisories;
mod baseline;
mod bootstraps;
mod commits;
mod crates;
mod files;
mod licence;
mod links;
mod map;
mod modules;
mod packages;
mod source;
mod tuples;
mod words;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;
use baseline::Tolerated;

/// One text file of the checkout.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// Where a rule is broken, and how: `path:line: message` or `path: message`.
type Finding = String;

/// Finds where one file breaks a rule.
type Rule = fn(&File) -> Vec<Finding>;

/// Rules that the checkout does not keep everywhere yet, with the name that the baseline knows them
/// by.
const TOLERATED: [(&str, Rule); 2] = [
    ("tuple-parameters", tuples::check),
    ("words", words::check_language),
];

/// Applies every rule to the checkout. `--baseline` writes what the newer rules tolerate instead,
/// and `--commits BASE` checks the messages of the commits after BASE.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => check(workspace),
        ["--baseline"] => baseline::write(workspace, &tolerated(&read(workspace)?.files)),
        ["--commits", base] => report(&commits::check(workspace, base)?, "the commits"),
        _ => bail!("usage: cargo xtask tidy [--baseline | --commits BASE]"),
    }
}

/// The checkout: the paths of all files, and those that are text.
struct Checkout {
    paths: Vec<String>,
    files: Vec<File>,
}

fn read(workspace: &Workspace) -> Result<Checkout> {
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
    Ok(Checkout { paths, files })
}

fn check(workspace: &Workspace) -> Result<()> {
    let Checkout { paths, files } = read(workspace)?;

    let mut findings = crates::check(&workspace.metadata)?;
    findings.extend(packages::check(&workspace.graph()?)?);
    findings.extend(files::check_tree(&paths));
    findings.extend(files.iter().flat_map(files::check_source));
    findings.extend(modules::check(&files));
    findings.extend(files.iter().flat_map(words::check));
    findings.extend(bootstraps::check(&files));
    findings.extend(map::check(&files, &paths));
    findings.extend(links::check(&files, &paths));
    findings.extend(baseline::check(workspace, &tolerated(&files))?);

    report(&findings, &format!("{} files", paths.len()))
}

/// Applies the rules that have a baseline; files without a finding are left out.
fn tolerated(files: &[File]) -> Vec<Tolerated> {
    let mut tolerated = Vec::new();
    for (rule, check) in TOLERATED {
        for file in files {
            let findings = check(file);
            if !findings.is_empty() {
                tolerated.push(Tolerated {
                    rule,
                    path: file.path.clone(),
                    findings,
                });
            }
        }
    }
    tolerated
}

fn report(findings: &[Finding], what: &str) -> Result<()> {
    for finding in findings {
        println!("{finding}");
    }
    ensure!(
        findings.is_empty(),
        "tidy: {} findings in {what}",
        findings.len()
    );
    println!("tidy: {what} are in order");
    Ok(())
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Returns whether the file holds tests alone: what lies in the package `tests` outside its
    /// harness, and every module called `tests`.
    fn is_test(&self) -> bool {
        let harness = self.path.starts_with("tests/src/");
        let named = self
            .path
            .split('/')
            .any(|part| matches!(part, "tests" | "tests.rs"));
        named && !harness
    }
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

//! What the house does not want and still has: a number for each rule and file that may fall and
//! not rise.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::Finding;
use crate::workspace::Workspace;

const BASELINE: &str = "crates/xtask/src/tidy/baseline.txt";
const HEADER: &str = "\
# What tidy's newer rules find and still tolerate: rule, file, number. A number may fall and not rise.
# `cargo xtask tidy --baseline` writes the numbers of the checkout; review what it changes.
";

/// Numbers of findings by rule and file.
type Counts = BTreeMap<(String, String), usize>;

/// Findings of a rule with a baseline, by file.
pub(super) struct Tolerated {
    pub(super) rule: &'static str,
    pub(super) path: String,
    pub(super) findings: Vec<Finding>,
}

/// Returns the findings of the files that have more of them than the baseline says.
pub(super) fn check(workspace: &Workspace, tolerated: &[Tolerated]) -> Result<Vec<Finding>> {
    let path = workspace.root.join(BASELINE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {BASELINE}"))?;
    let baseline = read(&text)?;

    let now: usize = tolerated.iter().map(|file| file.findings.len()).sum();
    let before: usize = baseline.values().sum();
    if now < before {
        println!(
            "tidy: {before} findings are tolerated and {now} are left; \
             `cargo xtask tidy --baseline` takes the difference off"
        );
    }
    Ok(beyond(&baseline, tolerated))
}

/// Writes the baseline as the checkout is now.
pub(super) fn write(workspace: &Workspace, tolerated: &[Tolerated]) -> Result<()> {
    std::fs::write(workspace.root.join(BASELINE), text(tolerated))
        .with_context(|| format!("cannot write {BASELINE}"))?;
    println!("tidy: wrote {BASELINE}");
    Ok(())
}

fn beyond(baseline: &Counts, tolerated: &[Tolerated]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tolerated {
        let key = (file.rule.to_owned(), file.path.clone());
        let allowed = baseline.get(&key).copied().unwrap_or(0);
        if file.findings.len() > allowed {
            findings.extend(file.findings.iter().cloned());
            if allowed > 0 {
                findings.push(format!(
                    "{}: the baseline tolerates {allowed} of these, and there are {}",
                    file.path,
                    file.findings.len()
                ));
            }
        }
    }
    findings
}

fn read(text: &str) -> Result<Counts> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [rule, path, number] = fields[..] else {
                anyhow::bail!("{BASELINE}: `{line}` is not a rule, a file and a number");
            };
            let number = number
                .parse()
                .with_context(|| format!("{BASELINE}: `{line}` ends with no number"))?;
            Ok(((rule.to_owned(), path.to_owned()), number))
        })
        .collect()
}

fn text(tolerated: &[Tolerated]) -> String {
    let counts: Counts = tolerated
        .iter()
        .map(|file| {
            let key = (file.rule.to_owned(), file.path.clone());
            (key, file.findings.len())
        })
        .collect();
    let mut text = HEADER.to_owned();
    for ((rule, path), number) in &counts {
        // Writing to a string cannot fail.
        writeln!(text, "{rule} {path} {number}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerated(number: usize) -> Tolerated {
        Tolerated {
            rule: "words",
            path: "a.rs".to_owned(),
            findings: vec!["a.rs:1: …".to_owned(); number],
        }
    }

    #[test]
    fn numbers_fall_and_do_not_rise() {
        let baseline = read("# what\nwords a.rs 2\n").unwrap();
        assert_eq!(beyond(&baseline, &[tolerated(2)]).len(), 0);
        assert_eq!(beyond(&baseline, &[tolerated(1)]).len(), 0);
        assert_eq!(beyond(&baseline, &[tolerated(3)]).len(), 4);
        assert_eq!(beyond(&Counts::new(), &[tolerated(1)]).len(), 1);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let counts = read(&text(&[tolerated(2)])).unwrap();
        assert!(beyond(&counts, &[tolerated(2)]).is_empty());
        assert!(read("words a.rs").is_err());
        assert!(read("words a.rs many").is_err());
    }
}

//! Tables in Markdown, and the marks between which a page holds them.

use anyhow::{Context as _, Result};

const BEGIN: &str = "<!-- evaluate -->";
const END: &str = "<!-- /evaluate -->";

/// All tables, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    tables: Vec<Table>,
}

/// A table with its heading and what one should know to read it.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Report {
    /// Takes a finished table; one that says nothing is left out.
    pub(crate) fn add(&mut self, table: Table) {
        if !table.rows.is_empty() || !table.notes.is_empty() {
            self.tables.push(table);
        }
    }

    /// All of it as Markdown.
    pub(crate) fn render(&self) -> String {
        self.tables
            .iter()
            .map(Table::render)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Table {
    pub(crate) fn new(title: &str, head: &[&'static str]) -> Self {
        Self {
            title: title.to_owned(),
            head: head.to_vec(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A row; cells that are not given stay empty.
    pub(crate) fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn render(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("**{}**\n\n", self.title);
        if !self.rows.is_empty() {
            text.push_str(&line(
                &self
                    .head
                    .iter()
                    .map(|&cell| cell.to_owned())
                    .collect::<Vec<_>>(),
            ));
            text.push_str(&format!("|{}\n", "---|".repeat(self.head.len())));
            text.extend(self.rows.iter().map(|row| line(row)));
        }
        if !self.rows.is_empty() && !self.notes.is_empty() {
            text.push('\n');
        }
        text.extend(self.notes.iter().map(|note| format!("{note}\n")));
        text
    }
}

/// A share with its first decimal, in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A figure between 0 and 1.
pub(crate) fn figure(value: f64) -> String {
    format!("{value:.3}")
}

/// What was aimed at, and whether it was reached.
pub(crate) fn at_least(value: f64, goal: f64) -> String {
    format!(
        "≥ {goal} {}",
        if value >= goal { "reached" } else { "MISSED" }
    )
}

/// A bound, and whether it was kept.
pub(crate) fn at_most(value: f64, bound: f64) -> String {
    format!(
        "≤ {bound} {}",
        if value <= bound { "kept" } else { "MISSED" }
    )
}

/// `text` with `new` between the marks.
pub(crate) fn between_marks(text: &str, new: &str) -> Result<String> {
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("no `{BEGIN}`"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("no `{END}` after `{BEGIN}`"))?;
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", new.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_markdown() {
        let mut table = Table::new("Domain", &["set", "n", "goal"]);
        table.row(vec!["everyday".into(), "300".into()]);
        table.note("Clear cases only.");
        let mut report = Report::default();
        report.add(table);
        report.add(Table::new("Nothing", &["set"]));
        let expected = "**Domain**\n\n| set | n | goal |\n|---|---|---|\n| everyday | 300 |  |\n\nClear cases only.\n";
        assert_eq!(report.render(), expected);
    }

    #[test]
    fn only_the_part_between_the_marks_changes() {
        let text = format!("# A\n{BEGIN}\nold\n{END}\nrest\n");
        let once = between_marks(&text, "new\n").unwrap();
        assert_eq!(once, format!("# A\n{BEGIN}\n\nnew\n\n{END}\nrest\n"));
        assert_eq!(between_marks(&once, "new").unwrap(), once);
        assert!(between_marks("# A\n", "new").is_err());
        assert!(between_marks(BEGIN, "new").is_err());
    }

    #[test]
    fn goals_say_how_they_fared() {
        assert_eq!(at_least(0.8, 0.8), "≥ 0.8 reached");
        assert_eq!(at_least(0.79, 0.8), "≥ 0.8 MISSED");
        assert_eq!(at_most(0.031, 0.03), "≤ 0.03 MISSED");
    }
}

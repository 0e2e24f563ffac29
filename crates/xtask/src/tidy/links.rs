//! Links in Markdown: every relative one names a file of the checkout, and every anchor a heading.

use std::collections::BTreeMap;

use super::{File, Finding};

/// Checks the links of all Markdown files.
pub(super) fn check(files: &[File], paths: &[String]) -> Vec<Finding> {
    let pages: Vec<Page> = files
        .iter()
        .filter(|file| file.path.ends_with(".md"))
        .map(Page::read)
        .collect();
    let anchors: BTreeMap<&str, &[String]> = pages
        .iter()
        .map(|page| (page.path, page.anchors.as_slice()))
        .collect();

    let mut findings = Vec::new();
    for page in &pages {
        for (line, target) in &page.links {
            if let Some(problem) = problem(page.path, target, paths, &anchors) {
                findings.push(format!("{}:{line}: {problem}", page.path));
            }
        }
    }
    findings
}

/// A Markdown file's links, each with its line, and the anchors that one can link to.
struct Page<'a> {
    path: &'a str,
    links: Vec<(usize, &'a str)>,
    anchors: Vec<String>,
}

impl<'a> Page<'a> {
    fn read(file: &'a File) -> Self {
        let mut page = Self {
            path: &file.path,
            links: Vec::new(),
            anchors: Vec::new(),
        };
        let mut fence = None;
        for (number, line) in (1..).zip(file.text.lines()) {
            let marks = ["```", "~~~"];
            let mark = marks.into_iter().find(|mark| line.trim().starts_with(mark));
            match (fence, mark) {
                (None, Some(_)) => fence = mark,
                (Some(open), Some(mark)) if open == mark => fence = None,
                (None, None) => page.read_line(number, line),
                _ => {}
            }
        }
        page
    }

    fn read_line(&mut self, number: usize, line: &'a str) {
        if let Some(heading) = heading(line) {
            let anchor = self.unique(&anchor(heading));
            self.anchors.push(anchor);
        }
        for attribute in ["id=\"", "name=\""] {
            let named = line.split(attribute).skip(1);
            let named = named.filter_map(|rest| rest.split('"').next());
            self.anchors.extend(named.map(str::to_owned));
        }
        self.links
            .extend(targets(line).into_iter().map(|target| (number, target)));
    }

    /// Adds the number that GitHub gives to a heading whose text is there already.
    fn unique(&self, anchor: &str) -> String {
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        std::iter::once(anchor.to_owned())
            .chain(numbered)
            .find(|candidate| !self.anchors.contains(candidate))
            .unwrap_or_default()
    }
}

/// Returns the text of a line that begins with up to six `#`.
fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let depth = line.len() - text.len();
    (1..=6)
        .contains(&depth)
        .then(|| text.strip_prefix(' '))
        .flatten()
}

/// Makes a heading's anchor as GitHub does: lower case, blanks to hyphens, punctuation dropped.
fn anchor(heading: &str) -> String {
    plain(heading.trim())
        .chars()
        .flat_map(char::to_lowercase)
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        })
        .collect()
}

/// Returns a heading without the targets of its links.
fn plain(heading: &str) -> String {
    let mut pieces = heading.split("](");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        text + piece.split_once(')').map_or(piece, |(_, rest)| rest)
    })
}

/// Returns the targets of a line's links: `[text](target)`, and `[name]: target` at its beginning.
fn targets(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    // Between backticks stands code. Every second piece of the line is outside.
    for text in line.split('`').step_by(2) {
        let inline = text.split("](").skip(1);
        let inline = inline.filter_map(|rest| rest.split([')', ' ']).next());
        found.extend(inline);
    }
    if line.starts_with('[') {
        let definition = line.split_once("]: ").map(|(_, target)| target);
        found.extend(definition.and_then(|target| target.split_whitespace().next()));
    }
    found
}

fn problem(
    page: &str,
    target: &str,
    paths: &[String],
    anchors: &BTreeMap<&str, &[String]>,
) -> Option<String> {
    let target = target.trim_matches(['<', '>']);
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    if is_elsewhere || target.is_empty() {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() {
        page.to_owned()
    } else {
        match resolve(page, path) {
            Some(file) if exists(&file, paths) => file,
            _ => return Some(format!("the link to `{target}` leads nowhere")),
        }
    };
    let known = anchors.get(file.as_str()).copied().unwrap_or_default();
    let is_known = anchor.is_empty() || known.iter().any(|known| known == anchor);
    // A line of a source file (`#L10`) is an anchor that only a web page has.
    let is_line = anchor.starts_with('L') && !file.ends_with(".md");
    (!is_known && !is_line).then(|| format!("the link to `{target}`: no heading `{anchor}`"))
}

/// Follows `path` from the folder of `page`; `None` where it leaves the checkout.
fn resolve(page: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match path.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => page.split('/').collect(),
    };
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn exists(file: &str, paths: &[String]) -> bool {
    let folder = format!("{file}/");
    file.is_empty()
        || paths
            .iter()
            .any(|path| path == file || path.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check_page(text: &str, expected: usize) {
        let files = [
            file(
                "README.md",
                "# Merit: what it is\n## Two words\n## Two words\n",
            ),
            file("crates/README.md", text),
        ];
        let paths = ["README.md", "crates/README.md", "crates/a/src/lib.rs"].map(str::to_owned);
        let findings = check(&files, &paths);
        assert_eq!(findings.len(), expected, "{text}: {findings:?}");
    }

    #[test]
    fn files_are_looked_up_from_the_page() {
        check_page("[a](a/src/lib.rs), [b](../README.md) and [c](./a/)", 0);
        check_page("[a](/crates/a/src/lib.rs) [b](..)", 0);
        check_page("[a](b.rs) and [c](../../README.md)", 2);
        check_page("[a]: ../README.md\n[b]: nowhere.md \"title\"", 1);
        check_page("[a](https://host/x) [b](mailto:a@b)", 0);
    }

    #[test]
    fn anchors_are_headings() {
        check_page("[a](../README.md#merit-what-it-is)", 0);
        check_page("[a](../README.md#two-words-1)", 0);
        check_page("[a](../README.md#two-words-2)", 1);
        check_page("## Here\n[a](#here) [b](#there)", 1);
        check_page("## [`name`](a/src/lib.rs), *told*\n[a](#name-told)", 0);
        check_page("<a id=\"x\"></a>\n[a](#x)", 0);
        check_page("[a](a/src/lib.rs#L10)", 0);
    }

    #[test]
    fn code_has_no_links() {
        check_page(
            "`[a](nowhere)` and\n```\n[a](nowhere)\n```\n[a](nowhere)",
            1,
        );
    }
}

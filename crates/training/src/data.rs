//! Labelled texts, and the files they are read from.

use flate2::read::GzDecoder;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// A text and its class.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The text, as a user would write it.
    pub text: String,
    /// Its class, by place in the head's labels.
    pub label: usize,
    /// Name of the source it came from; figures are given for each.
    pub source: String,
}

/// A text as it is in a file; the label as it is written there.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The text.
    pub text: String,
    /// Label, or what stands for it in the file; empty where a file has none.
    pub label: String,
    /// The part of the file it is in, where the file says.
    pub part: Option<String>,
}

/// A file's rows and identity.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Its name without folder.
    pub name: String,
    /// In the file's order.
    pub rows: Vec<Row>,
    /// SHA-256 of the file as it lies there, in hexadecimal.
    pub sha256: String,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be read.
    #[error("{}: {cause}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It says something else.
    #[error("{}, line {line}: {cause}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// From 1; 0 for a file without lines.
        line: usize,
        /// Why.
        cause: serde_json::Error,
    },
    /// A label that the head does not have.
    #[error("{file}: label `{label}` is not one of {expected:?}")]
    Label {
        /// The file.
        file: String,
        /// What it says.
        label: String,
        /// What it may say.
        expected: Vec<String>,
    },
    /// There is nothing to fit on.
    #[error("{}: needs texts of two or more labels, five or more of each", place.display())]
    TooFew {
        /// Where the texts came from.
        place: PathBuf,
    },
}

/// Reads a file of labelled texts: JSON lines with `text` (or `question`) and `label`, or one JSON
/// object of lists of pairs. A name that ends in `.gz` is unpacked.
///
/// # Errors
/// It cannot be read, or is something else.
pub fn read(file: &Path) -> Result<File, DataError> {
    let unreadable = |cause| DataError::Unreadable {
        file: file.to_owned(),
        cause,
    };
    let packed = std::fs::read(file).map_err(unreadable)?;
    let sha256 = hex(&Sha256::digest(&packed));
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let text = if name.ends_with(".gz") {
        std::io::read_to_string(GzDecoder::new(packed.as_slice())).map_err(unreadable)?
    } else {
        String::from_utf8(packed).map_err(|error| unreadable(std::io::Error::other(error)))?
    };
    let malformed = |line, cause| DataError::Malformed {
        file: file.to_owned(),
        line,
        cause,
    };
    let rows = if name.trim_end_matches(".gz").ends_with(".json") {
        pairs(&text).map_err(|cause| malformed(0, cause))?
    } else {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(at, line)| row(line).map_err(|cause| malformed(at + 1, cause)))
            .collect::<Result<_, _>>()?
    };
    Ok(File { name, rows, sha256 })
}

/// All `.jsonl` files of a folder in order of their names, or the one file that is named.
///
/// # Errors
/// As [`read`].
pub fn read_all(place: &Path) -> Result<Vec<File>, DataError> {
    if !place.is_dir() {
        return Ok(vec![read(place)?]);
    }
    let unreadable = |cause| DataError::Unreadable {
        file: place.to_owned(),
        cause,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(place).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.to_string_lossy();
        if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
            files.push(path);
        }
    }
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "question")]
    text: String,
    #[serde(default)]
    label: serde_json::Value,
    #[serde(default)]
    src: Option<String>,
}

fn row(line: &str) -> Result<Row, serde_json::Error> {
    let Line { text, label, src } = serde_json::from_str(line)?;
    let label = match label {
        serde_json::Value::String(label) => label,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(Row {
        text,
        label,
        part: src,
    })
}

/// The layout of intent sets: `{"train": [["text", "intent"], …], …}`.
fn pairs(text: &str) -> Result<Vec<Row>, serde_json::Error> {
    let parts: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(text)?;
    let rows = |(part, rows): (String, Vec<(String, String)>)| {
        rows.into_iter().map(move |(text, label)| Row {
            text,
            label,
            part: Some(part.clone()),
        })
    };
    Ok(parts.into_iter().flat_map(rows).collect())
}

/// Keeps the first of equal texts. Texts that come with two labels are left out altogether: one of
/// them must be wrong.
#[must_use]
pub fn distinct(examples: Vec<Example>) -> Vec<Example> {
    let mut labels: HashMap<String, Option<usize>> = HashMap::new();
    for example in &examples {
        let label = labels
            .entry(example.text.trim().to_lowercase())
            .or_insert(Some(example.label));
        *label = label.filter(|label| *label == example.label);
    }
    let mut kept: Vec<Example> = Vec::with_capacity(examples.len());
    for example in examples {
        if labels.insert(example.text.trim().to_lowercase(), None) == Some(Some(example.label)) {
            kept.push(example);
        }
    }
    kept
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use std::io::Write;

    #[track_caller]
    fn check(name: &str, content: &str, expected: &[(&str, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        if name.ends_with(".gz") {
            let mut packed = GzEncoder::new(
                std::fs::File::create(&file).unwrap(),
                flate2::Compression::fast(),
            );
            packed.write_all(content.as_bytes()).unwrap();
            packed.finish().unwrap();
        } else {
            std::fs::write(&file, content).unwrap();
        }
        let read = read_all(folder.path().join(name).as_path()).unwrap();
        let rows: Vec<_> = read[0]
            .rows
            .iter()
            .map(|row| (row.text.as_str(), row.label.as_str()))
            .collect();
        assert_eq!(rows, expected);
        assert_eq!(read[0].sha256.len(), 64);
    }

    #[test]
    fn reads_each_layout() {
        check(
            "a.jsonl",
            "{\"text\":\"x\",\"label\":\"yes\"}\n\n{\"text\":\"y\",\"label\":1}\n",
            &[("x", "yes"), ("y", "1")],
        );
        check(
            "a.jsonl.gz",
            "{\"question\":\"x\",\"answer\":[\"1\"]}\n",
            &[("x", "")],
        );
        check(
            "a.json.gz",
            "{\"train\":[[\"x\",\"greet\"]],\"oos\":[[\"y\",\"oos\"]]}",
            &[("y", "oos"), ("x", "greet")],
        );
    }

    #[test]
    fn says_which_line_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        std::fs::write(&file, "{\"text\":\"x\",\"label\":\"a\"}\n{\"txt\":1}\n").unwrap();
        let error = read(&file).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn keeps_texts_once_and_drops_contradictions() {
        let example = |text: &str, label| Example {
            text: text.into(),
            label,
            source: "s".into(),
        };
        let all = vec![
            example("A", 0),
            example("b", 1),
            example("a ", 0),
            example("c", 0),
            example("C", 1),
        ];
        let kept: Vec<_> = distinct(all)
            .into_iter()
            .map(|example| example.text)
            .collect();
        assert_eq!(kept, ["A", "b"]);
    }
}

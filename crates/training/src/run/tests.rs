//! Whole runs on a toy encoder that needs no model.

use super::*;

/// Two numbers: how often the two words occur. A window for every six words.
struct Words;

impl Features for Words {
    fn blocks(&self) -> Vec<Block> {
        let block = |name: &str, dimension| Block {
            name: name.into(),
            dimension,
        };
        vec![block("encoder:words", 2), block("static:noise", 1)]
    }

    fn digest(&self) -> String {
        "words".into()
    }

    fn read(&mut self, texts: &[String]) -> Result<Vec<Vec<Window>>, Failure> {
        let window = |words: &[&str]| {
            let count = |wanted: &str| {
                words
                    .iter()
                    .filter(|word| word.to_lowercase().starts_with(wanted))
                    .count() as f32
            };
            Window {
                row: [count("sun"), count("rain"), words.len() as f32 / 6.0].into(),
                tokens: words.len(),
            }
        };
        let windows = |text: &String| {
            text.split_whitespace()
                .collect::<Vec<_>>()
                .chunks(6)
                .map(window)
                .collect()
        };
        Ok(texts.iter().map(windows).collect())
    }
}

fn data(folder: &std::path::Path) {
    let line = |number: usize| {
        let (word, label) = if usize::is_multiple_of(number, 2) {
            ("sun", "dry")
        } else {
            ("rain", "wet")
        };
        format!(
            "{{\"text\":\"note{number} of day{number} {word} at place{number}\",\"label\":\"{label}\"}}\n"
        )
    };
    std::fs::write(
        folder.join("notes.jsonl"),
        (0..300).map(line).collect::<String>(),
    )
    .unwrap();
}

fn options(folder: &std::path::Path, out: &str) -> TrainOptions {
    TrainOptions {
        task: Task::Own,
        name: Some("weather".into()),
        data: folder.join("notes.jsonl"),
        corpus: PathBuf::new(),
        out: Some(folder.join(out)),
        encoder_only: false,
        languages: false,
        leave_one_out: false,
        evaluation: None,
        command: "merit train".into(),
    }
}

#[test]
fn makes_a_head_that_loads_and_is_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path());
    let mut log = Vec::new();
    let report = train(&options(folder.path(), "one"), &mut Words, &mut log).unwrap();
    assert_eq!(report.card.labels, ["dry", "wet"]);
    assert!(
        report.figures[0].accuracy > 0.99 && report.figures[0].texts > 30,
        "{:?}",
        report.figures[0]
    );
    train(&options(folder.path(), "two"), &mut Words, &mut log).unwrap();
    let read = |out: &str, name: &str| std::fs::read(folder.path().join(out).join(name)).unwrap();
    for name in [write::WEIGHTS, write::CARD] {
        assert_eq!(read("one", name), read("two", name), "{name}");
    }
    let head = SequenceHead::read(&read("one", write::WEIGHTS), &read("one", write::CARD)).unwrap();
    let row = head.probabilities(&[1.0, 0.0], &[0.8]);
    assert!(row[0] > 0.9, "{row:?}");
    assert!(String::from_utf8(log).unwrap().contains("rows are classes"));
}

#[test]
fn evaluates_on_a_file_and_by_the_encoder_alone() {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path());
    let file = folder.path().join("evaluation.jsonl");
    std::fs::write(
        &file,
        "{\"text\":\"sun\",\"label\":\"wet\"}\n{\"text\":\"rain rain\",\"label\":\"wet\"}\n",
    )
    .unwrap();
    let options = TrainOptions {
        evaluation: Some(file.clone()),
        encoder_only: true,
        languages: false,
        out: None,
        ..options(folder.path(), "")
    };
    let report = train(&options, &mut Words, &mut Vec::new()).unwrap();
    assert_eq!(report.card.features.len(), 1);
    let evaluation = report
        .figures
        .iter()
        .find(|set| set.name == "evaluation")
        .unwrap();
    assert_eq!((evaluation.texts, evaluation.accuracy), (2, 0.5));
    assert_eq!(report.card.metrics["evaluation.accuracy"], 0.5);
    std::fs::write(&file, "{\"text\":\"sun\",\"label\":\"fog\"}\n").unwrap();
    assert!(
        train(&options, &mut Words, &mut Vec::new())
            .unwrap_err()
            .to_string()
            .contains("fog")
    );
}

#[test]
fn changes_dress() {
    for (text, expected) in [
        ("Who wrote it?", "who wrote it"),
        ("who wrote it", "Who wrote it?"),
        ("fix this", "Fix this."),
        ("", "."),
        ("état civil", "État civil."),
    ] {
        assert_eq!(dress(text), expected);
    }
}

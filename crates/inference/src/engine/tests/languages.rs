//! Texts in two languages: `w0` to `w99` are words of English, `w100` to `w199` of another language.

use super::*;
use crate::catalog::LoadError;
use crate::head::tests::toy;
use crate::language::{DetectLanguage, Detected, Multilingual, Opened};
use crate::model::OtherLanguages;

struct ByNumber;

impl DetectLanguage for ByNumber {
    fn detect(&self, text: &str) -> Option<Detected> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let foreign = words.iter().filter(|word| word.len() == 4).count();
        let is_foreign = 2 * foreign > words.len();
        (!words.is_empty()).then_some(Detected {
            code: if is_foreign { "el" } else { "en" },
            confidence: 1.0,
        })
    }
}

/// A classifier of the bed with a head on each of two encoders, and what the second one was given.
fn pair(bed: &Bed, is_there: bool) -> (Arc<ClassifierModel>, Receiver<u32>) {
    let (sender, seen) = channel();
    let other = model("other", 1, &bed.gate, &sender);
    let open = move || match is_there {
        true => Ok(Opened {
            model: Arc::new(other),
            scale: CosineMap::default(),
        }),
        false => Err(LoadError::Missing {
            name: "other".into(),
            looked_in: "/nowhere".into(),
        }),
    };
    let classifier = ClassifierModel {
        model: Arc::clone(&bed.model),
        head: Some(toy("plain")),
        multilingual: Some(OtherLanguages {
            encoder: Multilingual::open(Arc::new(ByNumber), open).unwrap(),
            head: toy("other"),
        }),
    };
    (Arc::new(classifier), seen)
}

fn labels(by: &Arc<ClassifierModel>, text: &str, over: Over) -> Question {
    let by = Classifier {
        name: "own".into(),
        labels: ["no", "yes"].map(Arc::from).into(),
        threshold: None,
        cost: Cost::Encoder,
        backing: Some(Arc::clone(by) as Backing),
    };
    Question::new(text.into(), What::Labels(by, over))
}

/// The first words of the windows that each encoder reads.
#[track_caller]
fn check(text: &str, over: Over, english: &[u32], other: &[u32]) {
    let bed = bed(1, 8);
    let (by, seen) = pair(&bed, true);
    let answers = answers(bed.ask(&[labels(&by, text, over)]));
    let read = |seen: &Receiver<u32>| seen.try_iter().collect::<Vec<_>>();
    let found = (read(&bed.seen), read(&seen));
    assert_eq!(found, (english.to_vec(), other.to_vec()), "{text}");
    let Answer::Labels(rows) = &answers[0] else {
        panic!("{answers:?}")
    };
    let windows = english.len() + other.len();
    let expected = if over == Over::Sample { 1 } else { windows };
    assert_eq!(rows.len(), expected, "{text}");
}

#[test]
fn each_window_is_read_by_the_encoder_of_its_language() {
    let (english, foreign) = (text(1, 8), text(101, 108));
    check(&english, Over::EachWindow, &[1, 4], &[]);
    check(&foreign, Over::EachWindow, &[], &[101, 104]);
    check("w1 w2 w3", Over::EachWindow, &[1], &[]);
    check("w101 w102", Over::EachWindow, &[], &[101]);
    // As many words of each: English decides.
    let mixed = format!("{english} {foreign}");
    check(&mixed, Over::EachWindow, &[1, 4], &[7, 103, 106]);
    let mostly_foreign = format!("{} {foreign}", text(1, 5));
    check(&mostly_foreign, Over::EachWindow, &[1], &[4, 103, 106]);
}

#[test]
fn a_text_has_one_language_where_it_gets_one_answer() {
    check(&text(1, 8), Over::Sample, &[1, 4], &[]);
    let mostly_foreign = format!("{} {}", text(1, 5), text(101, 108));
    check(&mostly_foreign, Over::Sample, &[], &[1, 103, 106]);
}

#[test]
fn questions_about_windows_and_texts_share_runs() {
    let bed = bed(1, 8);
    let (by, seen) = pair(&bed, true);
    let foreign = text(101, 108);
    let questions = [
        labels(&by, &foreign, Over::EachWindow),
        labels(&by, &foreign, Over::Sample),
    ];
    assert!(bed.ask(&questions).iter().all(Result::is_ok));
    assert_eq!((bed.runs(), seen.try_iter().count()), (2, 2));
}

#[test]
fn without_the_other_encoder_english_is_answered_and_the_rest_fails() {
    let bed = bed(1, 8);
    let (by, _) = pair(&bed, false);
    let questions = [
        labels(&by, "w1 w2", Over::Sample),
        labels(&by, "w101 w102", Over::Sample),
    ];
    let outcomes = bed.ask(&questions);
    assert!(outcomes[0].is_ok());
    assert!(
        matches!(outcomes[1], Err(Failure::Failed(_))),
        "{outcomes:?}"
    );
}

//! What is made, read and learned.

use super::*;
use crate::pii::fit::{Set, fit};
use crate::pii::text::parse;

/// Words are tokens; a state says whether the word is capitalised and how long it is.
struct Letters;

impl States for Letters {
    fn states(&self, text: &str) -> Result<TokenStates, Problem> {
        let mut offsets: Vec<(usize, usize)> = Vec::new();
        for (at, scalar) in text.char_indices() {
            let end = at + scalar.len_utf8();
            match offsets
                .last_mut()
                .filter(|last| last.1 == at && scalar.is_alphanumeric())
            {
                Some(last) if text.get(..at).unwrap().ends_with(char::is_alphanumeric) => {
                    last.1 = end
                }
                _ if scalar.is_whitespace() => {}
                _ => offsets.push((at, end)),
            }
        }
        let states = Array2::from_shape_fn((offsets.len(), 4), |(row, column)| {
            let word = text.get(offsets[row].0..offsets[row].1).unwrap();
            match column {
                0 => f32::from(word.starts_with(char::is_uppercase)),
                1 => word.len() as f32 / 10.0,
                _ => f32::from(word.ends_with('a')),
            }
        });
        Ok((offsets, states))
    }
}

#[test]
fn every_slot_of_the_templates_is_marked_right() {
    let values = Values::shipped();
    let examples = text::generated(&values, 4000, &mut Random::new(1));
    let spans: usize = examples.iter().map(|example| example.spans.len()).sum();
    assert!(spans > 6000, "{spans}");
    for example in &examples {
        assert!(
            !example.text.contains("{P}") && !example.text.contains("{thing}"),
            "{}",
            example.text
        );
        for (start, end, kind) in &example.spans {
            let span = example.text.get(*start..*end).unwrap_or_default();
            assert!(
                !span.is_empty() && span.trim() == span && *kind < KINDS.len(),
                "{span:?} in {}",
                example.text
            );
        }
        assert!(
            example.spans.windows(2).all(|pair| pair[0].1 <= pair[1].0),
            "{}",
            example.text
        );
    }
}

#[test]
fn what_is_made_follows_from_the_seed() {
    let values = Values::shipped();
    let of = |seed| text::generated(&values, 20, &mut Random::new(seed));
    assert_eq!(of(3), of(3));
    assert_ne!(of(3), of(4));
}

#[test]
fn reads_marked_lines() {
    let example = parse("Hi [Jürgen|P], [x|X] at [Bath|C] [open");
    assert_eq!(example.text, "Hi Jürgen, x at Bath [open");
    assert_eq!(example.spans, [(3, 10, 0), (17, 21, 1)]);
    assert!(text::tuning().len() > 100);
}

#[test]
fn counts_spans() {
    let candidate = |kind, start, end, probability| score::Candidate {
        kind,
        start,
        end,
        probability,
    };
    let judged = score::Judged {
        gold: vec![(0, 10, 0), (20, 30, 0), (40, 50, 1)],
        found: vec![
            candidate(0, 0, 10, 0.9),
            candidate(0, 24, 30, 0.8),
            candidate(0, 60, 70, 0.6),
            candidate(1, 40, 44, 0.9),
        ],
        ignored: vec![(65, 80)],
    };
    let figures = score::figures(std::slice::from_ref(&judged), 0, 0.5);
    assert_eq!(
        (
            figures.gold,
            figures.found,
            figures.exact_f1,
            figures.overlap_f1
        ),
        (2, 2, 0.5, 1.0)
    );
    let figures = score::figures(std::slice::from_ref(&judged), 1, 0.5);
    assert_eq!((figures.precision, figures.recall), (0.0, 0.0));
    assert_eq!(
        score::figures(std::slice::from_ref(&judged), 0, 0.85).found,
        1
    );
}

#[test]
fn learns_what_can_be_learned_and_the_same_each_time() {
    let values = Values::shipped();
    let lexicon = values.lexicon(&[]);
    let mut set = Set::default();
    for example in text::generated(&values, 700, &mut Random::new(5)) {
        set.add(&page(example, &lexicon, &Letters).unwrap());
    }
    assert_eq!(
        fit(&set, 1, &mut Random::new(6)),
        fit(&set, 1, &mut Random::new(6))
    );
    let network = fit(&set, 14, &mut Random::new(6));
    let weights = network.to_bytes(&lexicon).unwrap();
    let tested = text::generated(&values, 100, &mut Random::new(7)).into_iter();
    let pages: Vec<Page> = tested
        .map(|example| page(example, &lexicon, &Letters).unwrap())
        .collect();
    let (kept, same) = inference::token_head::network::read(&weights, 4).unwrap();
    assert_eq!(same, lexicon);
    let figures = score::figures(&judge(&kept, &pages), 0, 0.3);
    assert!(figures.overlap_f1 > 0.4, "{figures:?}");
    let card = card(
        "letters",
        &kept,
        &weights,
        &[judge(&kept, &pages), judge(&kept, &pages)],
    );
    let card = serde_json::to_vec(&card).unwrap();
    let head = inference::token_head::TokenHead::read(&weights, &card).unwrap();
    let text = "My name is Anna Smith, I live in London.";
    let (offsets, states) = Letters.states(text).unwrap();
    let found = head.tag(text, &offsets, states.view());
    assert!(
        found.iter().any(|entity| &*entity.kind == "PERSON"),
        "{found:?}"
    );
}

#[test]
fn every_language_is_marked_right() {
    let values = Values::shipped();
    for language in Language::read(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus")),
        Languages::All,
    )
    .unwrap()
    {
        let mut random = Random::new(3);
        let mut texts = language.generated(&values, 2_000, &mut random);
        texts.extend(language.held_out(&values, &mut random));
        assert!(texts.len() >= 2_000, "{}", language.code);
        let mut found = [0; KINDS.len()];
        for Example { text, spans, .. } in &texts {
            assert!(!text.contains("\\n"), "{text}");
            assert!(
                !KINDS.iter().any(|kind| text.contains(&format!("[{kind}"))),
                "{text}"
            );
            for (start, end, kind) in spans {
                let value = text.get(*start..*end).unwrap();
                assert_eq!(value.trim(), value, "{text}");
                found[*kind] += 1;
            }
            let is_ordered = spans.windows(2).all(|pair| pair[0].1 <= pair[1].0);
            assert!(is_ordered, "{text}");
        }
        assert!(
            found.iter().all(|count| *count > 50),
            "{found:?} {}",
            language.code
        );
    }
}

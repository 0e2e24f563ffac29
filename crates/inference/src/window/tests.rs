//! Segmentations of real and awkward texts.

use super::*;
use proptest::prelude::*;

/// A tokenizer of the words `w0` to `w199`; all others are unknown.
pub(crate) fn words() -> TextTokenizer {
    let words: Vec<String> = (0..200)
        .map(|word| format!(r#""w{word}": {word}"#))
        .collect();
    let json = format!(
        r#"{{"version": "1.0", "truncation": {{"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}},
        "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": {{"type": "WhitespaceSplit"}},
        "post_processor": null, "decoder": null,
        "model": {{"type": "WordLevel", "vocab": {{{}, "?": 200}}, "unk_token": "?"}}}}"#,
        words.join(", ")
    );
    TextTokenizer::read(json.as_bytes()).unwrap()
}

fn segmenter(size: usize, overlap: usize, windows: usize) -> Segmenter {
    Segmenter::new(
        words(),
        "",
        Bounds {
            size,
            overlap,
            windows,
            whole: 2 * windows,
        },
    )
    .unwrap()
}

fn numbered(count: usize) -> String {
    (0..count)
        .map(|word| format!("w{}", word % 200))
        .collect::<Vec<_>>()
        .join(" ")
}

#[track_caller]
fn check(count: usize, expected: &[(u32, usize)], truncated: bool) {
    let segmentation = segmenter(4, 1, 4)
        .segment(&numbered(count), Reach::Sample)
        .unwrap();
    let windows: Vec<_> = segmentation
        .windows
        .iter()
        .map(|window| (window.ids[0], window.tokens()))
        .collect();
    assert_eq!(
        (windows.as_slice(), segmentation.truncated),
        (expected, truncated)
    );
}

#[test]
fn windows_overlap_and_reach_the_end() {
    check(0, &[], false);
    check(1, &[(0, 1)], false);
    check(4, &[(0, 4)], false);
    check(5, &[(0, 4), (3, 2)], false);
    check(7, &[(0, 4), (3, 4)], false);
    check(13, &[(0, 4), (3, 4), (6, 4), (9, 4)], false);
    check(14, &[(0, 4), (3, 4), (7, 4), (10, 4)], true);
}

#[test]
fn the_middle_of_a_long_text_is_left_out() {
    let text = numbered(20_000);
    let segmentation = segmenter(50, 10, 6).segment(&text, Reach::Sample).unwrap();
    assert!(segmentation.truncated);
    assert_eq!(segmentation.windows.len(), 6);
    assert_eq!(segmentation.windows[2].ids[0], 80);
    assert_eq!(segmentation.windows.last().unwrap().text.end, text.len());
    let gap = segmentation.windows[2].text.end..segmentation.windows[3].text.start;
    assert!(gap.len() > text.len() / 2, "{gap:?}");
}

#[test]
fn a_text_that_grows_keeps_its_windows() {
    let of = |count: usize| {
        segmenter(50, 10, 6)
            .segment(&numbered(count), Reach::Sample)
            .unwrap()
            .windows
    };
    assert_eq!(of(180)[..4], of(200)[..4]);
    // Also at the tail, as long as the text stays within a step of the grid.
    let (short, long) = (of(20_000), of(20_040));
    assert_eq!(short[4], long[3]);
}

#[test]
fn samples_three_windows() {
    let sample = |count: usize| {
        segmenter(4, 1, 8)
            .segment(&numbered(count), Reach::Sample)
            .unwrap()
            .sample()
    };
    assert_eq!(sample(0), [0usize; 0]);
    assert_eq!(sample(10), [0, 1, 2]);
    assert_eq!(sample(13), [0, 2, 3]);
}

#[test]
fn a_text_read_whole_is_cut_further_and_the_same_where_it_is_short() {
    let segmenter = segmenter(4, 1, 4);
    let cut = |count, reach| segmenter.segment(&numbered(count), reach).unwrap();
    for count in 0..14 {
        assert_eq!(cut(count, Reach::Whole), cut(count, Reach::Sample));
    }

    let (whole, sample) = (cut(25, Reach::Whole), cut(25, Reach::Sample));
    assert!(!whole.truncated && sample.truncated);
    assert_eq!((whole.windows.len(), sample.windows.len()), (8, 4));
    assert_eq!(whole.windows[..2], sample.windows[..2]);
    assert!(cut(26, Reach::Whole).truncated);
}

#[test]
fn no_space_to_cut_at() {
    let text = "ä".repeat(1 << 19);
    let segmentation = segmenter(254, 32, 64)
        .segment(&text, Reach::Sample)
        .unwrap();
    assert!(!segmentation.truncated);
    assert_eq!(segmentation.windows.last().unwrap().text.end, text.len());
}

#[test]
fn fits_a_model_that_takes_less() {
    let small = segmenter(254, 32, 64).within(10);
    let windows = small.segment(&numbered(12), Reach::Sample).unwrap().windows;
    assert_eq!(
        windows
            .iter()
            .map(|window| window.tokens())
            .collect::<Vec<_>>(),
        [10, 7]
    );
}

proptest! {
    #[test]
    fn places_are_places_of_the_text(text in "(w[0-9]{1,2}|[äß€😀 \n]|x{1,9}){0,400}", size in 2usize..9) {
        let segmenter = segmenter(size, 1, 1000);
        let segmentation = segmenter.segment(&text, Reach::Sample).unwrap();
        let mut covered = Vec::new();
        for window in &segmentation.windows {
            prop_assert!(window.tokens() <= size);
            let part = text.get(window.text.clone()).unwrap();
            for (at, (from, to)) in window.offsets.iter().enumerate() {
                let word = part.get(*from..*to).unwrap();
                let alone = segmenter.tokenizer.encode(word, false).unwrap();
                prop_assert_eq!(&[window.ids[at]], alone.get_ids());
                covered.push(window.text.start + from);
            }
        }
        covered.dedup();
        covered.sort_unstable();
        covered.dedup();
        prop_assert_eq!(covered.len(), text.split_whitespace().count());
    }
}

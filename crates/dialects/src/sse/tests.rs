//! Events in every shape that servers write them.

use proptest::prelude::*;

use super::*;

fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    let mut reader = SseReader::new();
    let mut events = Vec::new();
    let mut sink = |event: Event<'_>| {
        events.push((
            event.name.to_owned(),
            String::from_utf8_lossy(event.data).into_owned(),
        ));
    };
    for chunk in chunks {
        reader.push(chunk, &mut sink);
    }
    reader.finish(&mut sink);
    events
}

#[test]
fn lines_and_fields() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("data: a\n\n", &[("", "a")]),
        ("data:a\n\ndata:  b\n\n", &[("", "a"), ("", " b")]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
        ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
        (
            ": comment\n\nevent: x\ndata: a\ndata: b\n\n",
            &[("x", "a\nb")],
        ),
        ("event: x\n\ndata: a\n\n", &[("", "a")]),
        ("id: 1\nretry: 5\ndata\n\n", &[("", "")]),
        ("\u{FEFF}data: a\n\n", &[("", "a")]),
        ("data: a\n\ndata: b", &[("", "a"), ("", "b")]),
        ("data: a\nevent: late\n", &[("late", "a")]),
        ("", &[]),
        ("\n\n\n", &[]),
    ];
    for (stream, expected) in cases {
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(name, data)| ((*name).into(), (*data).into()))
            .collect();
        assert_eq!(read([stream.as_bytes()]), expected, "{stream:?}");
        assert_eq!(
            read(stream.as_bytes().chunks(1)),
            expected,
            "{stream:?} byte by byte"
        );
    }
}

#[test]
fn an_oversized_event_is_dropped_and_the_next_one_read() {
    let big = format!("data: {}\n\ndata: small\n\n", "x".repeat(EVENT_LIMIT + 1));
    for size in [1000, big.len()] {
        let mut reader = SseReader::new();
        let mut seen = Vec::new();
        for chunk in big.as_bytes().chunks(size) {
            reader.push(chunk, |event| seen.push(event.data.to_vec()));
            assert!(reader.line.len() + reader.data.len() <= 2 * EVENT_LIMIT);
        }
        assert_eq!((seen, reader.dropped()), (vec![b"small".to_vec()], 1));
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut out = String::new();
    write(&mut out, Some("ping"), "{}");
    write(&mut out, None, "[DONE]");
    assert_eq!(
        read([out.as_bytes()]),
        [
            ("ping".to_owned(), "{}".to_owned()),
            (String::new(), "[DONE]".to_owned())
        ]
    );
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(stream in "([ab:\r\n]|data: |event:){0,60}", cuts in prop::collection::vec(0usize..80, 0..8)) {
        let bytes = stream.as_bytes();
        let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(chunks), read([bytes]));
    }
}

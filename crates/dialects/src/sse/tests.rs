//! Events in every shape that servers write them.

use proptest::prelude::*;

use super::*;

fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    let mut reader = SseReader::new();
    let mut events = Vec::new();
    let mut sink = |segment: Segment<'_>| {
        if let Segment::Event(event) = segment {
            events.push((
                event.name.to_owned(),
                String::from_utf8_lossy(event.data).into_owned(),
            ));
        }
    };
    for chunk in chunks {
        reader.push(chunk, &mut sink);
    }
    reader.finish(&mut sink);
    events
}

/// The bytes of every segment.
fn segments<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut reader = SseReader::new();
    let mut segments = Vec::new();
    let mut sink = |segment: Segment<'_>| segments.push(segment.raw().to_vec());
    for chunk in chunks {
        reader.push(chunk, &mut sink);
    }
    reader.finish(&mut sink);
    segments
}

#[test]
fn every_event_is_given_out_with_its_last_byte() {
    let stream = ": wait\ndata: a\n\nevent: x\ndata: b\r\n\r\n: again\n\ndata: c\r\r";
    let mut reader = SseReader::new();
    let mut given = Vec::new();
    for byte in stream.as_bytes().chunks(1) {
        reader.push(byte, |segment| {
            given.push(String::from_utf8_lossy(segment.raw()).into_owned());
        });
    }
    // The CR of a blank line ends an event; an LF after it cannot be waited for.
    let expected = [
        ": wait\n",
        "data: a\n\n",
        "event: x\ndata: b\r\n\r",
        "\n",
        ": again\n",
        "\n",
        "data: c\r\r",
    ];
    assert_eq!(given, expected);
    assert_eq!(
        segments([stream.as_bytes()]),
        [
            ": wait\n",
            "data: a\n\n",
            "event: x\ndata: b\r\n\r\n",
            ": again\n",
            "\n",
            "data: c\r\r"
        ]
        .map(|text| text.as_bytes().to_vec())
    );
}

#[test]
fn one_line_of_data_lies_within_the_event() {
    let stream = b"event: x\ndata: {\"a\":1}\n\n";
    SseReader::new().push(stream, |segment| {
        let Segment::Event(event) = segment else {
            panic!("{segment:?}")
        };
        assert_eq!(event.raw, stream);
        assert!(event.raw.as_ptr_range().contains(&event.data.as_ptr()));
    });
}

#[test]
fn data_is_found_again_in_the_bytes() {
    let cases = [
        "data: {\"a\":1}\n\n",
        "\u{FEFF}event: x\r\ndata:{\"a\":1}\r\n\r\n",
        "data: {\n: c\ndata: \"a\":1\nid: 7\ndata: }\n\n",
    ];
    for case in cases {
        let mut found = Vec::new();
        SseReader::new().push(case.as_bytes(), |segment| {
            if let Segment::Event(event) = segment {
                let at = memchr::memmem::find(event.data, b"\"a\"").unwrap();
                found = event.raw[event.within_raw(&(at..at + 3)).unwrap()].to_vec();
                let too_far = at..event.data.len() + 1;
                assert_eq!(event.within_raw(&too_far), None, "{case}");
            }
        });
        assert_eq!(found, b"\"a\"", "{case}");
    }
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
        let (mut seen, mut passed) = (Vec::new(), Vec::new());
        for chunk in big.as_bytes().chunks(size) {
            reader.push(chunk, |segment| {
                passed.extend_from_slice(segment.raw());
                if let Segment::Event(event) = segment {
                    seen.push(event.data.to_vec());
                }
            });
            assert!(reader.held.len() + reader.joined.len() <= 2 * EVENT_LIMIT);
        }
        assert_eq!((seen, reader.dropped()), (vec![b"small".to_vec()], 1));
        assert!(
            passed == big.as_bytes(),
            "an unread event passes all the same"
        );
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
        prop_assert_eq!(segments(chunks.iter().copied()).concat(), bytes);
        prop_assert_eq!(read(chunks), read([bytes]));
        prop_assert_eq!(segments(bytes.chunks(1)).concat(), bytes);
        prop_assert_eq!(read(bytes.chunks(1)), read([bytes]));
    }
}

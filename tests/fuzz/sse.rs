//! An event stream is read the same way however its chunks are cut, and not a byte of it is lost.

use dialects::answer::{AnswerReader, model_spans};
use dialects::sse::{Event, Segment, SseReader};
use dialects::{BodyKind, Outcome, UsageReader};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::views::WIRES;
use crate::{run, text};

/// A stream of each wire; the last with CRLF, a comment, and data over two lines.
const SEEDS: [&str; 3] = [
    include_str!("corpus/sse/openai_chat.txt"),
    include_str!("corpus/sse/openai_responses.txt"),
    include_str!("corpus/sse/anthropic_messages.txt"),
];

/// What a reader found.
#[derive(Debug, PartialEq)]
struct Read {
    /// Each event's name and data.
    events: Vec<(String, Vec<u8>)>,
    /// The bytes of all segments.
    bytes: Vec<u8>,
    /// What each wire makes of the events, as text.
    parts: Vec<String>,
}

pub(crate) fn fuzz(target: &str) -> anyhow::Result<()> {
    let cuts = prop::collection::vec(any::<Index>(), 0..8);
    let inputs = (text::changed_bytes(SEEDS.to_vec()), cuts);
    run::run(target, &inputs, |(stream, cuts)| {
        let stream = stream.0;
        let whole = [stream.as_slice()];
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        let chunks = cut(&stream, &cuts);

        let read = read(&whole);
        prop_assert_eq!(&read.bytes, &stream);
        let outcome = outcomes(&whole);
        // A second reader of streams would be held against this one here.
        for chunks in [&bytes, &chunks] {
            prop_assert_eq!(&self::read(chunks), &read);
            prop_assert_eq!(&outcomes(chunks), &outcome);
        }
        Ok(())
    })
}

fn cut<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}

fn read(chunks: &[&[u8]]) -> Read {
    let mut answers = WIRES.map(AnswerReader::new);
    let mut found = Read {
        events: Vec::new(),
        bytes: Vec::new(),
        parts: Vec::new(),
    };
    let mut sink = |segment: Segment<'_>| {
        found.bytes.extend_from_slice(segment.raw());
        if let Segment::Event(event) = segment {
            found
                .events
                .push((event.name.to_owned(), event.data.to_vec()));
            for answer in &mut answers {
                answer.event(event, |part| found.parts.push(format!("{part:?}")));
            }
            found.parts.extend(models(&event));
        }
    };
    let mut reader = SseReader::new();
    for chunk in chunks {
        reader.push(chunk, &mut sink);
    }
    reader.finish(&mut sink);
    found
}

/// Returns what each wire takes for the model's name, where it lies in the event's bytes.
fn models(event: &Event<'_>) -> Vec<String> {
    WIRES
        .iter()
        .flat_map(|&wire| model_spans(wire, BodyKind::EventStream, event.data))
        .map(|span| {
            let raw = event.within_raw(&span).map(|raw| &event.raw[raw]);
            format!("{:?} {raw:?}", &event.data[span])
        })
        .collect()
}

/// Folds what each wire makes of the stream.
fn outcomes(chunks: &[&[u8]]) -> Vec<Outcome> {
    WIRES
        .iter()
        .map(|&wire| {
            let mut reader = UsageReader::new(wire, BodyKind::EventStream);
            for chunk in chunks {
                reader.push(chunk);
            }
            reader.finish()
        })
        .collect()
}

//! Edits as mutations, and the cutting of bodies.

use super::*;

fn lists(edits: HeaderEdits) -> (Vec<String>, Vec<String>) {
    let HeaderMutation {
        set_headers,
        remove_headers,
    } = mutation(edits);
    let sets = set_headers
        .into_iter()
        .filter_map(|it| it.header)
        .map(|it| {
            assert!(it.value.is_empty(), "values travel raw");
            format!("{}={}", it.key, String::from_utf8(it.raw_value).unwrap())
        });
    (sets.collect(), remove_headers)
}

fn check(edits: &[&str], sets: &[&str], removes: &[&str]) {
    let parsed = edits.iter().map(|it| match it.split_once('=') {
        Some((name, value)) => {
            HeaderEdit::Set(name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
        }
        None => HeaderEdit::Remove((*it).to_owned()),
    });
    let (got_sets, got_removes) = lists(parsed.collect());
    assert_eq!(
        (got_sets, got_removes),
        (owned(sets), owned(removes)),
        "{edits:?}"
    );
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|it| (*it).to_owned()).collect()
}

#[test]
fn edits_keep_their_order_although_envoy_removes_first() {
    check(&[], &[], &[]);
    check(&["a=1", ":path=/v1"], &["a=1", ":path=/v1"], &[]);
    check(&["a", "a=1"], &["a=1"], &["a"]);
    check(&["a=1", "b=2", "a"], &["b=2"], &["a"]);
    check(&["a=1", "a", "a=2"], &["a=2"], &["a"]);
    check(&["content-length=7", "content-length"], &[], &[]);
}

fn pieces(body: usize, end: bool) -> Vec<(usize, bool)> {
    let mut outbox = Outbox::default();
    outbox.push_pieces(Side::Request, Bytes::from(vec![b'x'; body]), end);
    let mut seen = Vec::new();
    while let Some(reply) = outbox.pop() {
        let Some(Response::RequestBody(body)) = reply.unwrap().response else {
            panic!("not a body")
        };
        let Some(Mutation::StreamedResponse(piece)) =
            body.response.unwrap().body_mutation.unwrap().mutation
        else {
            panic!("not a piece")
        };
        seen.push((piece.body.len(), piece.end_of_stream));
    }
    seen
}

#[test]
fn bodies_are_cut_at_62000_bytes_and_end_once() {
    assert_eq!(pieces(0, true), [(0, true)]);
    assert_eq!(pieces(0, false), [(0, false)]);
    assert_eq!(pieces(61_999, true), [(61_999, true)]);
    assert_eq!(pieces(62_000, true), [(62_000, true)]);
    assert_eq!(pieces(62_001, true), [(62_000, false), (1, true)]);
    assert_eq!(
        pieces(124_001, false),
        [(62_000, false), (62_000, false), (1, false)]
    );
}

#[test]
fn a_failure_drops_what_waits_and_passes_a_mute() {
    let mut outbox = Outbox::default();
    outbox.push(trailers(Side::Request));
    outbox.push_pieces(Side::Request, Bytes::from(vec![b'x'; 3 * CHUNK]), true);
    assert!(outbox.pop().unwrap().is_ok());
    assert!(outbox.pop().unwrap().is_ok());
    outbox.fail(Status::internal("x"));
    assert!(outbox.pop().unwrap().is_err());
    assert!(outbox.pop().is_none());
    outbox.mute();
    outbox.push(trailers(Side::Request));
    assert!(outbox.pop().is_none());
    outbox.fail(Status::internal("x"));
    assert!(outbox.pop().unwrap().is_err());
}

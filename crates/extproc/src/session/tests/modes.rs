//! Tables of frames and replies, mode by mode. Both are written in one line, parted by `|`.

use super::*;

/// Modes (request, response), the new body if any, frames, replies.
type Row = (
    Option<(i32, i32)>,
    Option<&'static str>,
    &'static str,
    &'static str,
);

const FULL: Option<(i32, i32)> = Some((DUPLEX, NONE));
const WHOLE: Option<(i32, i32)> = Some((BUFFERED, NONE));
const PART: Option<(i32, i32)> = Some((PARTIAL, NONE));
const PIECES: Option<(i32, i32)> = Some((STREAMED, NONE));
const BARE: Option<(i32, i32)> = Some((NONE, NONE));

const NEW: Option<&str> = Some("new");
const ROUTED: &str = "H x-model=b clear";
const WHOLE_ROUTED: &str = "H | B x-model=b clear";
const WHOLE_NEW: &str = "H | B x-model=b content-length=3 clear \"new\"";
const PIECES_NEW: &str = "H x-model=b -content-length clear | B piece \"new\" end";
const UNUSABLE: &str = "immediate 500 unsupported_body_mode";
const CUT: &str = "H | immediate 500 truncated_body";

fn split(line: &str) -> Vec<&str> {
    line.split('|')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect()
}

async fn check(script: impl Fn(Act) -> Script, rows: &[Row]) {
    for (modes, new, frames, expected) in rows {
        let case = Case::new(script(forward(*new)));
        let replies = case.run(*modes, &split(frames)).await;
        assert_eq!(replies, split(expected), "{modes:?} {new:?} {frames}");
        assert_eq!(
            case.script
                .log()
                .iter()
                .filter(|it| *it == "closed")
                .count(),
            1,
            "{frames}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_duplex_request_waits_with_its_headers() {
    let rows: &[Row] = &[
        (
            FULL,
            None,
            "H 4 | B ab | b cd",
            "H x-model=b clear | B piece \"abcd\" end",
        ),
        (
            FULL,
            None,
            "H | B ab | B cd | b",
            "H x-model=b clear | B piece \"abcd\" end",
        ),
        (FULL, NEW, "H | b ab", PIECES_NEW),
        (
            FULL,
            Some("ab"),
            "H | b ab",
            "H x-model=b clear | B piece \"ab\" end",
        ),
        (
            FULL,
            None,
            "H | B ab | T",
            "H x-model=b clear | B piece \"ab\" | T",
        ),
        (FULL, None, "H | T", "H x-model=b clear | T"),
        (FULL, None, "H | b", "H x-model=b clear | B piece \"\" end"),
        (FULL, None, "h", ROUTED),
        (FULL, NEW, "h", UNUSABLE),
    ];
    check(Script::on_body, rows).await;
}

#[tokio::test(start_paused = true)]
async fn a_buffered_request_is_routed_with_its_body() {
    let rows: &[Row] = &[
        (WHOLE, None, "H 2 | b ab", WHOLE_ROUTED),
        (WHOLE, Some("ab"), "H 2 | b ab", WHOLE_ROUTED),
        (WHOLE, NEW, "H 2 | b ab", WHOLE_NEW),
        (WHOLE, NEW, "H | B ab | T", WHOLE_NEW),
        (
            WHOLE,
            None,
            "H | T",
            "H | immediate 500 unsupported_body_mode",
        ),
        (WHOLE, None, "h", ROUTED),
        (WHOLE, NEW, "h", UNUSABLE),
        (PART, None, "H 2 | b ab", WHOLE_ROUTED),
        (PART, None, "H | b ab", WHOLE_ROUTED),
        (PART, None, "H 2 | B ab", WHOLE_ROUTED),
        (PART, None, "H 3 | B ab", CUT),
        (PART, None, "H | B ab", CUT),
        // Not declared: buffered, and the length tells a cut body.
        (None, None, "H 2 | b ab", WHOLE_ROUTED),
        (None, None, "H | B ab", WHOLE_ROUTED),
        (None, None, "H 3 | B ab | b c", CUT),
    ];
    check(Script::on_body, rows).await;
}

#[tokio::test(start_paused = true)]
async fn modes_that_cannot_show_the_body_in_time() {
    let rows: &[Row] = &[
        (BARE, None, "H 2", UNUSABLE),
        (BARE, None, "h", ROUTED),
        (PIECES, None, "H 2 | b ab", UNUSABLE),
        (PIECES, None, "h", ROUTED),
    ];
    check(Script::on_body, rows).await;
}

#[tokio::test(start_paused = true)]
async fn requests_decided_by_their_headers() {
    let rows: &[Row] = &[
        (
            FULL,
            None,
            "H | B ab | b cd",
            "H x-model=b clear | B piece \"ab\" | B piece \"cd\" end",
        ),
        (
            FULL,
            None,
            "H | B ab | T",
            "H x-model=b clear | B piece \"ab\" | T",
        ),
        (FULL, NEW, "H | B ab | b", PIECES_NEW),
        (WHOLE, NEW, "H | b ab", WHOLE_NEW),
        (PIECES, None, "H | B ab | b cd", "H x-model=b clear | B | B"),
        (PIECES, NEW, "H | b ab", UNUSABLE),
        (BARE, None, "H", ROUTED),
        // Ended early: the body is not asked for.
        (WHOLE, None, "H | b ab", ROUTED),
    ];
    check(|act| Script::new(act, Act::Panic), rows).await;
}

#[tokio::test(start_paused = true)]
async fn responses_in_every_mode() {
    use ResponseInterest::{Body, Headers, Nothing};
    let rows: &[(i32, ResponseInterest, &str, &str, &str)] = &[
        (NONE, Headers, "rH", "rH x-ok=1", "response 200"),
        (NONE, Body, "rh", "rH x-ok=1", "response 200 | chunk 0 end"),
        (
            STREAMED,
            Headers,
            "rH | rB ab | rb c",
            "rH x-ok=1 | rB | rB",
            "response 200",
        ),
        (
            STREAMED,
            Body,
            "rH | rB a | rb",
            "rH x-ok=1 | rB | rB",
            "response 200 | chunk 1 | chunk 0 end",
        ),
        (
            STREAMED,
            Body,
            "rB ab | rb",
            "rB | rB",
            "chunk 2 | chunk 0 end",
        ),
        (
            BUFFERED,
            Body,
            "rH | rb abc",
            "rH x-ok=1 | rB",
            "response 200 | chunk 3 end",
        ),
        (
            BUFFERED,
            Body,
            "rH | rB a | rT",
            "rH x-ok=1 | rB | rT",
            "response 200 | chunk 1 | chunk 0 end",
        ),
        (
            DUPLEX,
            Nothing,
            "rH | rB ab | rb",
            "rH | rB piece \"ab\" | rB piece \"\" end",
            "",
        ),
        (
            DUPLEX,
            Body,
            "rB ab | rT",
            "rB piece \"ab\" | rT",
            "chunk 2 | chunk 0 end",
        ),
    ];
    for (mode, interest, frames, expected, told) in rows {
        let case = Case::new(Script::on_body(watch(*interest)));
        let replies = case
            .run(
                Some((BUFFERED, *mode)),
                &split(&format!("H | b ab | {frames}")),
            )
            .await;
        assert_eq!(
            replies,
            split(&format!("{WHOLE_ROUTED} | {expected}")),
            "{mode} {interest:?} {frames}"
        );
        case.told(&split(&format!(
            "open | head /v1/x | body 2 | {told} | closed"
        )));
    }
}

/// Request mode BUFFERED, the response's mode, what is done, frames, replies.
type Rewritten = (i32, Rewrite, &'static str, &'static str);

async fn check_rewritten(rows: &[Rewritten]) {
    for (mode, rewrite, frames, expected) in rows {
        let mut script = Script::on_body(watch(ResponseInterest::Body));
        script.rewrite = *rewrite;
        let case = Case::new(script);
        let frames = format!("H | b ab | {frames}");
        let replies = case.run(Some((BUFFERED, *mode)), &split(&frames)).await;
        let expected = format!("{WHOLE_ROUTED} | {expected}");
        assert_eq!(
            replies,
            split(&expected),
            "{mode} {rewrite:?} {frames} {:?}",
            case.script.log()
        );
        let log = case.script.log();
        let ends = log.iter().filter(|it| it.ends_with(" end")).count();
        assert!(ends <= 1 && log.last().unwrap() == "closed", "{log:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_response_is_replaced_piece_by_piece() {
    use Rewrite::{Capitals, HoldOne, Same};
    let rows: &[Rewritten] = &[
        (
            STREAMED,
            Same,
            "rH 3 | rB ab | rb c",
            "rH x-ok=1 -content-length | rB | rB",
        ),
        (
            STREAMED,
            Capitals,
            "rH | rB ab | rB C | rb",
            "rH x-ok=1 -content-length | rB \"AB\" | rB | rB",
        ),
        (
            STREAMED,
            HoldOne,
            "rH | rB ab | rB c | rb d",
            "rH x-ok=1 -content-length | rB cleared | rB \"ab\" | rB \"cd\"",
        ),
        (
            STREAMED,
            HoldOne,
            "rH | rB ab | rb",
            "rH x-ok=1 -content-length | rB cleared | rB \"ab\"",
        ),
        (STREAMED, Capitals, "rh", "rH x-ok=1"),
        // Headers that were not shown have left with their length.
        (STREAMED, Capitals, "rB ab | rb", "rB | rB"),
    ];
    check_rewritten(rows).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_duplex_response_is_sent_when_it_is_let_go() {
    use Rewrite::{Capitals, HoldOne, Same};
    let rows: &[Rewritten] = &[
        (
            DUPLEX,
            Same,
            "rH | rB ab | rb",
            "rH x-ok=1 -content-length | rB piece \"ab\" | rB piece \"\" end",
        ),
        (
            DUPLEX,
            Capitals,
            "rH | rB ab | rb c",
            "rH x-ok=1 -content-length | rB piece \"AB\" | rB piece \"C\" end",
        ),
        (
            DUPLEX,
            HoldOne,
            "rH | rB ab | rB c | rb",
            "rH x-ok=1 -content-length | rB piece \"ab\" | rB piece \"c\" end",
        ),
        (
            DUPLEX,
            HoldOne,
            "rH | rB ab | rT",
            "rH x-ok=1 -content-length | rB piece \"ab\" | rT",
        ),
        (DUPLEX, HoldOne, "rH | rT", "rH x-ok=1 -content-length | rT"),
    ];
    check_rewritten(rows).await;
}

#[tokio::test(start_paused = true)]
async fn a_buffered_response_is_replaced_with_its_length() {
    use Rewrite::{Capitals, HoldOne, Same};
    let rows: &[Rewritten] = &[
        (BUFFERED, Same, "rH | rb abc", "rH x-ok=1 | rB"),
        (
            BUFFERED,
            Capitals,
            "rH | rb abc",
            "rH x-ok=1 | rB content-length=3 \"ABC\"",
        ),
        // The first message is the whole body, also before trailers.
        (BUFFERED, HoldOne, "rH | rB abc | rT", "rH x-ok=1 | rB | rT"),
        // What is not shown cannot be rewritten.
        (PARTIAL, Capitals, "rH | rB abc", "rH x-ok=1 | rB"),
        (NONE, Capitals, "rH", "rH x-ok=1"),
    ];
    check_rewritten(rows).await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_cannot_go_on_fails_its_stream() {
    use Rewrite::{Break, HoldOne};
    let broken = "Internal: the response was cut: it cannot be rewritten";
    let held = "Internal: the response was cut: trailers came while a part of it was held back";
    let rows = [
        (
            STREAMED,
            Break,
            "rH | rB ab | rb",
            format!("rH x-ok=1 -content-length | {broken}"),
        ),
        (
            DUPLEX,
            Break,
            "rH | rB ab | rb",
            format!("rH x-ok=1 -content-length | {broken}"),
        ),
        (
            BUFFERED,
            Break,
            "rH | rb ab",
            format!("rH x-ok=1 | {broken}"),
        ),
        // Where the head was not shown nothing is rewritten, but what must not go on does not.
        (
            STREAMED,
            Break,
            "rB ab | rb",
            "Internal: the response was cut: it must not go on as it is".to_owned(),
        ),
        (
            STREAMED,
            HoldOne,
            "rH | rB ab | rT",
            format!("rH x-ok=1 -content-length | rB cleared | {held}"),
        ),
    ];
    for (mode, rewrite, frames, expected) in rows {
        let mut script = Script::on_body(watch(ResponseInterest::Body));
        script.rewrite = rewrite;
        let case = Case::new(script);
        let frames = format!("H | b ab | {frames}");
        let replies = case.run(Some((BUFFERED, mode)), &split(&frames)).await;
        let expected = format!("{WHOLE_ROUTED} | {expected}");
        assert_eq!(replies, split(&expected), "{mode} {rewrite:?} {frames}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_rewritten_that_was_not_asked_for() {
    for (modes, interest) in [
        (Some((BUFFERED, STREAMED)), ResponseInterest::Headers),
        (None, ResponseInterest::Body),
    ] {
        let mut script = Script::on_body(watch(interest));
        script.rewrite = Rewrite::Capitals;
        let case = Case::new(script);
        let replies = case
            .run(modes, &split("H 2 | b ab | rH 2 | rB ab | rb"))
            .await;
        let expected = format!("{WHOLE_ROUTED} | rH x-ok=1 | rB | rB");
        assert_eq!(replies, split(&expected), "{modes:?}");
    }
}

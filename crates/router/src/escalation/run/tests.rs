//! Runs over scripted calls: who is asked, what is answered, what is spent.

use super::*;
use crate::escalation::Member;
use crate::escalation::answer::Token;
use crate::escalation::judge::{Filter, Method};
use proptest::prelude::*;
use std::time::Duration;

fn cascade(method: Method, threshold: f64, strict: bool, count: usize) -> Arc<Cascade> {
    let member = |index: usize| Member {
        name: format!("m{index}").into(),
        window: None,
    };
    Arc::new(Cascade {
        members: (0..count).map(member).collect(),
        order: (0..count).collect(),
        method,
        threshold,
        filter: Filter::All,
        strict,
    })
}

fn limits(calls: u32, tokens: u64, bytes: u64) -> Limits {
    Limits {
        calls,
        tokens,
        bytes,
        bytes_per_call: u64::MAX,
        until: Instant::now() + Duration::from_secs(60),
    }
}

/// An answer whose margin is `distance`; without a distance it has no probabilities.
fn answer(text: &str, distance: Option<f64>, completion_tokens: u64) -> Answer {
    let token = |distance: f64| Token {
        text: text.into(),
        logprob: 0.0,
        top: vec![0.0, -distance],
    };
    Answer {
        text: text.into(),
        usage: Usage {
            prompt_tokens: 10,
            completion_tokens,
            total_tokens: 10 + completion_tokens,
        },
        tokens: distance.map(token).into_iter().collect(),
        ..Answer::default()
    }
}

fn status(status: u16) -> Fault {
    Fault::Status {
        status,
        message: None,
    }
}

/// Runs against scripted calls; the calls that were made as `candidate` or `candidate?` for a
/// grade.
fn drive(mut run: Run, script: Vec<Result<Answer, Fault>>) -> (Finished, String) {
    let mut made = Vec::new();
    let mut script = script.into_iter();
    while let Some(call) = run.next(Instant::now()) {
        made.push(format!(
            "{}{}",
            call.candidate,
            if call.grade.is_some() { "?" } else { "" }
        ));
        run.take(
            script.next().expect("a call that the script does not know"),
            100,
        );
    }
    assert_eq!(script.next(), None, "fewer calls than scripted: {made:?}");
    (run.finish(), made.join(" "))
}

#[track_caller]
fn check(
    run: Run,
    script: Vec<Result<Answer, Fault>>,
    calls: &str,
    expected: Result<(&str, Verdict), Fault>,
) -> Finished {
    let (finished, made) = drive(run, script);
    assert_eq!(made, calls);
    let got = finished
        .outcome
        .as_ref()
        .map(|(_, answer, verdict)| (answer.text.as_str(), *verdict));
    assert_eq!(got.map_err(|(_, fault)| fault.clone()), expected);
    finished
}

#[test]
fn the_example_of_the_reference() {
    let run = || {
        Run::new(
            &cascade(Method::Margin, 0.5, false, 2),
            &[0, 1],
            limits(8, 1_000, 10_000),
            10,
        )
    };
    let script = vec![
        Ok(answer("small", Some(1.2), 5)),
        Ok(answer("large", Some(2.5), 7)),
    ];
    let finished = check(run(), script, "0 1", Ok(("large", Verdict::Accepted)));
    assert_eq!(
        (
            finished.usage.completion_tokens,
            finished.usage.total_tokens,
            finished.iterations
        ),
        (12, 32, 2)
    );
    assert_eq!(finished.used, [0, 1]);
    let script = vec![Ok(answer("small", Some(1.2), 5)), Err(status(500))];
    let finished = check(run(), script, "0 1", Ok(("small", Verdict::BelowThreshold)));
    assert_eq!((finished.iterations, finished.used), (2, vec![0]));
    check(
        run(),
        vec![Ok(answer("small", Some(2.5), 5))],
        "0",
        Ok(("small", Verdict::Accepted)),
    );
}

#[test]
fn nothing_obtained_is_thrown_away() {
    let run = || {
        Run::new(
            &cascade(Method::Margin, 0.5, false, 2),
            &[0, 1],
            limits(8, 1_000, 10_000),
            10,
        )
    };
    let unjudged = || Ok(answer("plain", None, 1));
    check(
        run(),
        vec![unjudged(), Err(Fault::TimedOut)],
        "0 1",
        Ok(("plain", Verdict::Unjudged)),
    );
    check(
        run(),
        vec![unjudged(), Ok(answer("low", Some(0.1), 1))],
        "0 1",
        Ok(("low", Verdict::BelowThreshold)),
    );
    check(
        run(),
        vec![Err(status(503)), Err(status(500))],
        "0 1",
        Err(status(500)),
    );
    check(
        run(),
        vec![Ok(answer("", Some(9.0), 1)), Ok(answer("ok", Some(9.0), 1))],
        "0 1",
        Ok(("ok", Verdict::Accepted)),
    );
    let nobody = Run::new(
        &cascade(Method::Margin, 0.5, false, 2),
        &[],
        limits(8, 1_000, 10_000),
        10,
    );
    check(nobody, vec![], "", Err(Fault::Unreachable));
}

#[test]
fn a_strict_run_ends_at_its_first_fault() {
    let run = || {
        Run::new(
            &cascade(Method::Margin, 0.5, true, 3),
            &[0, 1, 2],
            limits(8, 1_000, 10_000),
            10,
        )
    };
    check(run(), vec![Err(status(500))], "0", Err(status(500)));
    check(
        run(),
        vec![Ok(answer("a", None, 1))],
        "0",
        Err(Fault::Unjudged),
    );
    check(
        run(),
        vec![Ok(answer("a", Some(0.1), 1)), Err(Fault::TimedOut)],
        "0 1",
        Err(Fault::TimedOut),
    );
}

#[test]
fn a_model_grades_its_own_answer() {
    let run = || {
        Run::new(
            &cascade(Method::SelfVerify, 0.7, false, 2),
            &[0, 1],
            limits(8, 1_000, 10_000),
            10,
        )
    };
    let grade = |text: &str| Ok(answer(text, None, 3));
    let script = vec![
        Ok(answer("a", None, 5)),
        grade("0.4"),
        Ok(answer("b", None, 5)),
        grade("{\"confidence\": 0.9}"),
    ];
    let finished = check(run(), script, "0 0? 1 1?", Ok(("b", Verdict::Accepted)));
    assert_eq!(
        (
            finished.iterations,
            finished.usage.completion_tokens,
            finished.used
        ),
        (4, 16, vec![0, 1])
    );
    let script = vec![Ok(answer("a", None, 5)), grade("fine"), Err(status(500))];
    check(run(), script, "0 0? 1", Ok(("a", Verdict::Unjudged)));
    let short = Run::new(
        &cascade(Method::SelfVerify, 0.7, false, 2),
        &[0, 1],
        limits(1, 1_000, 10_000),
        10,
    );
    check(
        short,
        vec![Ok(answer("a", None, 5))],
        "0",
        Ok(("a", Verdict::Exhausted(Exhausted::Calls))),
    );
}

#[test]
fn budgets_end_a_run_with_what_there_is() {
    let run = |limits| {
        Run::new(
            &cascade(Method::Margin, 0.5, false, 3),
            &[0, 1, 2],
            limits,
            10,
        )
    };
    let low = || Ok(answer("low", Some(0.1), 5));
    let ended = |what| Ok(("low", Verdict::Exhausted(what)));
    check(
        run(limits(1, 1_000, 1_000)),
        vec![low()],
        "0",
        ended(Exhausted::Calls),
    );
    check(
        run(limits(8, 10, 1_000)),
        vec![low(), low()],
        "0 1",
        ended(Exhausted::Tokens),
    );
    check(
        run(limits(8, 1_000, 100)),
        vec![low()],
        "0",
        ended(Exhausted::Bytes),
    );
    check(
        run(limits(0, 1_000, 100)),
        vec![],
        "",
        Err(Fault::Exhausted(Exhausted::Calls)),
    );
    check(
        run(limits(1, 1_000, 100)),
        vec![Err(status(500))],
        "0",
        Err(status(500)),
    );
    let over = Limits {
        until: Instant::now(),
        ..limits(8, 1_000, 1_000)
    };
    check(
        run(over),
        vec![],
        "",
        Err(Fault::Exhausted(Exhausted::Time)),
    );
}

#[test]
fn passing_faults_are_tried_again_and_count_as_calls() {
    let run = |calls| {
        let cascade = cascade(Method::Margin, 0.5, false, 2);
        Run::new(&cascade, &[0, 1], limits(calls, 1_000, 10_000), 10).with_retries(1)
    };
    let good = || Ok(answer("good", Some(9.0), 1));
    let finished = check(
        run(8),
        vec![Err(status(503)), good()],
        "0 0",
        Ok(("good", Verdict::Accepted)),
    );
    assert_eq!(finished.iterations, 1);
    check(
        run(8),
        vec![Err(status(400)), good()],
        "0 1",
        Ok(("good", Verdict::Accepted)),
    );
    check(
        run(8),
        vec![Err(Fault::Unreachable), Err(Fault::Unreachable), good()],
        "0 0 1",
        Ok(("good", Verdict::Accepted)),
    );
    check(
        run(1),
        vec![Err(status(503))],
        "0",
        Err(Fault::Exhausted(Exhausted::Calls)),
    );
}

#[test]
fn only_allowed_candidates_are_asked() {
    let run = Run::new(
        &cascade(Method::Margin, 0.5, false, 3),
        &[1],
        limits(8, 1_000, 10_000),
        10,
    );
    check(
        run,
        vec![Ok(answer("b", Some(0.1), 1))],
        "1",
        Ok(("b", Verdict::BelowThreshold)),
    );
}

#[test]
fn a_known_context_window_caps_what_is_asked_for() {
    let mut cascade = (*cascade(Method::Margin, 0.5, false, 1)).clone();
    cascade.members[0].window = Some(100);
    let cascade = Arc::new(cascade);
    let allowance = |tokens, prompt| {
        let mut run = Run::new(&cascade, &[0], limits(1, tokens, 1_000), prompt);
        run.next(Instant::now())
            .map(|call| (call.allowance.tokens, call.allowance.imposed))
    };
    assert_eq!(
        allowance(1_000, 30),
        Some((1_000, false)),
        "the window ends the answer"
    );
    assert_eq!(allowance(20, 30), Some((20, true)));
    assert_eq!(allowance(60, 30), Some((53, true)));
    assert_eq!(allowance(20, 300), Some((20, false)));
}

#[derive(Debug, Clone)]
enum Came {
    Judged(f64, u64),
    Plain(u64),
    Fault(u16),
    Late,
}

fn came() -> impl Strategy<Value = Came> {
    prop_oneof![
        (0.0..6.0, 0_u64..400).prop_map(|(distance, tokens)| Came::Judged(distance, tokens)),
        (0_u64..400).prop_map(Came::Plain),
        (400_u16..600).prop_map(Came::Fault),
        Just(Came::Late),
    ]
}

proptest! {
    /// Whatever models do within what they were allowed, a run spends no more than its budget, asks
    /// nobody else than it may, and loses no answer.
    #[test]
    fn a_run_never_exceeds_its_budget(
        budget in (0_u32..10, 0_u64..1_000, 0_u64..2_000),
        script in proptest::collection::vec(came(), 1..30),
        allowed in proptest::collection::vec(0_usize..4, 0..4),
        (verify, strict, retries) in (any::<bool>(), any::<bool>(), 0_u32..3),
    ) {
        let method = if verify { Method::SelfVerify } else { Method::Margin };
        let (calls, tokens, bytes) = budget;
        let limits = limits(calls, tokens, bytes);
        let mut run = Run::new(&cascade(method, 0.5, strict, 4), &allowed, limits, 10).with_retries(retries);
        let (mut made, mut spent, mut obtained) = (0, (0, 0), false);
        let mut script = script.iter().cycle();
        while let Some(call) = run.next(Instant::now()) {
            made += 1;
            prop_assert!(allowed.contains(&call.candidate));
            let size = call.allowance.bytes.min(300);
            let capped = |tokens: u64| tokens.min(call.allowance.tokens);
            let result = match script.next().unwrap() {
                Came::Judged(distance, tokens) => Ok(answer("0.3", Some(*distance), capped(*tokens))),
                Came::Plain(tokens) => Ok(answer("fine", None, capped(*tokens))),
                Came::Fault(code) => Err(status(*code)),
                Came::Late => Err(Fault::TimedOut),
            };
            obtained |= result.is_ok() && call.grade.is_none();
            spent.0 += result.as_ref().map_or(0, |answer| answer.usage.completion_tokens);
            spent.1 += size;
            run.take(result, size);
        }
        let finished = run.finish();
        prop_assert!(made <= calls && spent.0 <= tokens && spent.1 <= bytes, "{made} {spent:?}");
        prop_assert_eq!(finished.usage.completion_tokens, spent.0);
        prop_assert!(finished.iterations <= made);
        prop_assert!(strict || finished.outcome.is_ok() == obtained);
    }
}

#[test]
fn faults_are_told_with_a_status_that_is_true() {
    let check = |fault: Fault, status: u16| assert_eq!(fault.told("m").0, status, "{fault:?}");
    check(status(429), 429);
    check(status(400), 400);
    check(status(204), 502);
    check(Fault::TimedOut, 504);
    check(Fault::Exhausted(Exhausted::Time), 504);
    check(Fault::Exhausted(Exhausted::Calls), 503);
    check(Fault::Malformed, 502);
    check(Fault::Unjudged, 502);
    let said = Fault::Status {
        status: 400,
        message: Some("too long".to_owned()),
    };
    assert_eq!(said.told("m"), (400, "too long".to_owned()));
}

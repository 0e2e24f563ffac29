//! Generations over scripted models.

use super::*;
use crate::listener::Address;
use crate::models::tests::Scripted;
use conversation::session::{SessionOutcome, Ticket};
use conversation::{ConversationKey, Timestamp};
use inference::fake::Fake;
use std::ops::Range;
use std::sync::atomic::Ordering;

pub(crate) fn preparer(models: Arc<dyn Open>) -> Preparer {
    let address: Address = "127.0.0.1:0".parse().unwrap();
    let exposure = Exposure {
        address,
        tls: false,
        insecure_listen: false,
    };
    Preparer {
        exposure,
        metrics: Arc::new(Metrics::new()),
        assets: None,
        models,
    }
}

/// A generation whose API answers with everything that the script has.
pub(crate) fn preloaded(document: &str, fake: Fake) -> Generation {
    let document = format!(
        "{{version: v0.3, global: {{server: {{inference: {{preload: true}}}}, {document}}}}}"
    );
    preparer(Scripted::new(fake))
        .prepare(&document, None)
        .unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

const PLAIN: &str = "version: v0.3";
const LOADING: &str = "{version: v0.3, global: {server: {inference: {preload: true}}}}";
/// Reaches its first learned signal.
const LEARNED: &str = "{version: v0.3,\
    providers: {models: [{name: small, backend_refs: [{endpoint: 'b:1'}]}]},\
    routing: {signals: {domains: [{name: law}]}, decisions: [{name: lawyer, priority: 1,\
    rules: {operator: OR, conditions: [{type: domain, name: law}]}, modelRefs: [{model: small}]}]}}";

#[test]
fn a_document_without_learned_signals_opens_nothing() {
    let open = Scripted::missing(Fake::default(), 1);
    let generation = preparer(open.clone()).prepare(PLAIN, None);
    assert!(generation.is_ok());
    assert_eq!(
        open.missing.load(Ordering::Relaxed),
        1,
        "somebody looked for models"
    );
}

#[test]
fn missing_models_are_a_start_error_that_says_what_to_do() {
    for document in [LOADING, LEARNED] {
        let refusal = preparer(Scripted::missing(Fake::default(), 9))
            .prepare(document, None)
            .err()
            .unwrap();
        let Refusal::Rejected(found) = refusal else {
            panic!("{refusal:?}")
        };
        let text = found.iter().map(ToString::to_string).collect::<String>();
        assert!(
            text.contains("--models") && text.contains("cargo xtask models"),
            "{text}"
        );
    }
}

#[test]
fn a_reload_that_first_needs_models_may_fail_and_be_tried_again() {
    let open = Scripted::missing(Fake::default(), 1);
    let preparer = preparer(open.clone());
    let first = preparer
        .prepare(PLAIN, None)
        .unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert!(matches!(
        preparer.prepare(LEARNED, Some(&first)),
        Err(Refusal::Rejected(_))
    ));
    let second = preparer
        .prepare(LEARNED, Some(&first))
        .unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert!(preparer.prepare(LOADING, Some(&second)).is_ok());
    assert_eq!(
        open.opened.load(Ordering::Relaxed),
        1,
        "models are opened once a process"
    );
}

#[test]
fn what_the_engine_reads_once_needs_a_restart() {
    let preparer = preparer(Scripted::new(Fake::default()));
    let first = preparer
        .prepare(PLAIN, None)
        .unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let lanes = "{version: v0.3, global: {server: {inference: {lanes: 2, preload: true}}}}";
    let expected = Refusal::NeedsRestart(vec!["global.server.inference.lanes".to_owned()]);
    assert_eq!(preparer.prepare(lanes, Some(&first)).err(), Some(expected));
}

#[test]
fn check_says_what_stands_for_reference_models() {
    let document = "{version: v0.3, global: {model_catalog: {system: {domain_classifier: models/mom-domain-classifier}}}}";
    let found = check(document, None);
    let text = found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        text.contains("`models/mom-domain-classifier` is read as the built-in head `domain`"),
        "{text}"
    );
}

/// Sends a request of each of these sessions.
fn begin_sessions(state: &SharedState, numbers: Range<u32>) {
    for number in numbers {
        let ticket = Ticket {
            key: ConversationKey(u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            thread: number,
            billed: 1,
        };
        let outcome = SessionOutcome::first(ticket);
        let now = Timestamp::from_seconds(number.into());
        state.sessions.sent(&outcome, "small", now);
    }
}

#[test]
fn a_document_takes_nothing_from_what_serves_before_it_serves_itself() {
    let preparer = preparer(Scripted::new(Fake::default()));
    let first = preparer
        .prepare(PLAIN, None)
        .unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let state = Arc::clone(&first.router.state);
    begin_sessions(&state, 0..2_000);

    let few = "global: {router: {sessions: {capacity: 1}}}";
    let faults = [
        "routing: {decisions: [{name: a, priority: 1, modelRefs: [{model: nobody}]}]}",
        "unknown_key: 1",
    ];
    for fault in faults {
        let wrong = format!("{{version: v0.3, {few}, {fault}}}");
        let outcome = preparer.prepare(&wrong, Some(&first));
        assert!(matches!(outcome, Err(Refusal::Rejected(_))), "{fault}");
        begin_sessions(&state, 2_000..4_000);
        assert_eq!(state.sessions.forgotten(), 0, "{fault}");
    }

    let right = format!("{{version: v0.3, {few}}}");
    let second = preparer
        .prepare(&right, Some(&first))
        .unwrap_or_else(|refusal| panic!("{refusal:?}"));
    begin_sessions(&state, 4_000..6_000);
    assert_eq!(state.sessions.forgotten(), 0, "it does not serve yet");
    let document = &second.router.document;
    let sessions = &document.global.router.sessions;
    state.follow(document, (&document.global.server.pool).into(), sessions);
    begin_sessions(&state, 6_000..8_000);
    assert!(state.sessions.forgotten() > 0);
}

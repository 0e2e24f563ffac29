//! The worked numbers of the reference, and what holds for all numbers.

use super::*;
use crate::{ConversationKey, Timestamp};
use proptest::prelude::*;

/// A request, the models among which it chooses, and the policy.
struct Question<'a> {
    contenders: &'a [ModelEvidence],
    base: usize,
    proposal: usize,
    current: Option<usize>,
    state: &'a ConversationState,
    tuning: &'a Tuning,
    scope: Scope,
}

/// Decides for a conversation about which nothing is known beside the state.
fn decide(question: &Question<'_>) -> Stay {
    let policy = Reference {
        state: *question.state,
        base: question.base,
        tuning: question.tuning,
        scope: question.scope,
    };
    let conversation = Conversation {
        key: ConversationKey(1),
        thread: 0,
        record: None,
        now: Timestamp(0),
    };
    let offers = Offers {
        models: question.contenders,
        proposed: question.proposal,
        current: question.current.map_or(Current::Unknown, Current::Offer),
    };
    policy.decide(&conversation, &offers)
}

fn contender(base: f64, pressure: f64) -> ModelEvidence {
    ModelEvidence {
        base: Some(base),
        pressure,
        ..ModelEvidence::default()
    }
}

/// A state of mass .5 whose turns are past the minimum: 8 turns give .20, 6,666 tokens of
/// history the rest.
fn half_mass() -> ConversationState {
    ConversationState {
        turns: 8,
        history_tokens: 4_096,
        context_tokens: 14_745,
        warmth: Some(0.5),
        ..ConversationState::default()
    }
}

fn near(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() < 1e-4,
        "{what}: {found}, not {expected}"
    );
}

#[test]
fn the_worked_example() {
    let state = half_mass();
    near(state.mass(), 0.5, "mass");
    let contenders = [contender(0.62, 1.0), contender(0.55, 0.2)];
    let verdict = decide(&Question {
        contenders: &contenders,
        base: 0,
        proposal: 0,
        current: Some(1),
        state: &state,
        tuning: &Tuning::default(),
        scope: Scope::Conversation,
    });
    near(verdict.scores[1], 0.715, "staying");
    near(verdict.scores[0], 0.395, "switching");
    near(verdict.confidence, 0.82, "confidence");
    assert_eq!(
        (verdict.winner, verdict.action, verdict.reason),
        (1, Action::HoldCurrent, Reason::StayIsBest)
    );
}

#[test]
fn mass_of_a_conversation() {
    let check = |history, context, turns, previous_response, expected| {
        let state = ConversationState {
            history_tokens: history,
            context_tokens: context,
            turns,
            previous_response,
            ..ConversationState::default()
        };
        near(state.mass(), expected, &format!("{state:?}"));
    };
    check(0, 0, 0, false, 0.0);
    check(0, 100, 8, false, 0.20);
    check(0, 100, 80, false, 0.20);
    check(0, 100, 0, true, 0.45 * 0.15);
    check(8_192, 8_192, 8, false, 1.0);
    check(80_000, 10, 80, true, 1.0);
}

/// Scores of staying and of switching from contender 0 (.5) to contender 1 (.8), both of pressure
/// 0, with mass 0.
fn check_scores(state: ConversationState, tuning: Tuning, stay: f64, switch: f64) {
    let found = scores(
        &[contender(0.5, 0.0), contender(0.8, 0.0)],
        0,
        &state,
        &tuning,
    );
    near(found[0], stay, &format!("staying {state:?} {tuning:?}"));
    near(found[1], switch, &format!("switching {state:?} {tuning:?}"));
}

#[test]
fn each_term_alone() {
    let young = ConversationState::default();
    let usual = Tuning::default();
    check_scores(young, usual, 0.60, 0.70);
    check_scores(
        ConversationState {
            switches: 4,
            ..young
        },
        usual,
        0.60,
        0.68,
    );
    check_scores(
        ConversationState {
            switches: 400,
            ..young
        },
        usual,
        0.60,
        0.66,
    );
    check_scores(
        ConversationState {
            tool_loop: true,
            ..young
        },
        usual,
        0.95,
        0.35,
    );
    let idle = Some(Duration::from_secs(300));
    check_scores(
        ConversationState {
            switches: 400,
            idle_for: idle,
            ..young
        },
        usual,
        0.50,
        0.80,
    );
    check_scores(
        ConversationState {
            switches: 400,
            idle_for: idle,
            tool_loop: true,
            ..young
        },
        usual,
        0.85,
        0.45,
    );
    let just = Some(Duration::from_secs(299));
    check_scores(
        ConversationState {
            idle_for: just,
            ..young
        },
        usual,
        0.60,
        0.70,
    );
    check_scores(
        ConversationState {
            idle_for: idle,
            ..young
        },
        Tuning {
            idle_timeout: Duration::ZERO,
            ..usual
        },
        0.60,
        0.70,
    );
    check_scores(
        ConversationState {
            switches: 8,
            ..young
        },
        Tuning {
            stability_weight: 2.0,
            ..usual
        },
        0.60,
        0.57,
    );
    check_scores(
        ConversationState {
            switches: 8,
            ..young
        },
        Tuning {
            stability_weight: 0.0,
            ..usual
        },
        0.60,
        0.75,
    );
    check_scores(
        young,
        Tuning {
            switch_margin: 0.3,
            ..usual
        },
        0.60,
        0.45,
    );
    let equal = scores(
        &[contender(0.5, 0.0), contender(0.5, 0.0)],
        0,
        &young,
        &usual,
    );
    near(equal[1], 0.5 - 0.05 - 0.05 - 0.10, "a switch without gain");
    let unscored = [
        ModelEvidence::default(),
        ModelEvidence::default(),
        ModelEvidence::default(),
    ];
    near(
        scores(&unscored, 0, &young, &usual)[2],
        -0.002 - 0.20,
        "no score",
    );
}

fn verdict(
    state: ConversationState,
    scope: Scope,
    contenders: &[ModelEvidence],
    current: Option<usize>,
) -> (usize, Action, Reason) {
    let (state, tuning) = (&state, &Tuning::default());
    let found = decide(&Question {
        contenders,
        base: 1,
        proposal: 1,
        current,
        state,
        tuning,
        scope,
    });
    (found.winner, found.action, found.reason)
}

#[test]
fn the_flow() {
    use Scope::{Conversation, Session};
    let far_better = [contender(0.1, 0.0), contender(0.9, 0.0)];
    let check = |state, scope, current, expected| {
        assert_eq!(
            verdict(state, scope, &far_better, current),
            expected,
            "{state:?} {scope:?} {current:?}"
        );
    };
    let turn = ConversationState {
        turns: 1,
        ..ConversationState::default()
    };
    let idle = Some(Duration::from_secs(301));
    let stays = |reason| (0, Action::HoldCurrent, reason);
    check(
        turn,
        Conversation,
        None,
        (1, Action::EstablishBaseline, Reason::NewConversation),
    );
    check(
        turn,
        Conversation,
        Some(7),
        (1, Action::EstablishBaseline, Reason::NewConversation),
    );
    check(
        turn,
        Conversation,
        Some(0),
        (1, Action::AllowSwitch, Reason::SwitchAllowed),
    );
    check(turn, Session, Some(0), stays(Reason::SessionScope));
    check(
        ConversationState {
            idle_for: idle,
            ..turn
        },
        Session,
        Some(0),
        (1, Action::AllowSwitch, Reason::SwitchAllowed),
    );
    check(
        ConversationState { turns: 0, ..turn },
        Conversation,
        Some(0),
        stays(Reason::MinTurns),
    );
    let fresh = ConversationState {
        turns: 0,
        idle_for: idle,
        ..turn
    };
    check(
        fresh,
        Conversation,
        Some(0),
        (1, Action::AllowSwitch, Reason::SwitchAllowed),
    );
    check(
        ConversationState {
            tool_loop: true,
            idle_for: idle,
            ..turn
        },
        Conversation,
        Some(0),
        stays(Reason::ToolLoop),
    );
    let kept = ConversationState {
        previous_response: true,
        idle_for: idle,
        ..turn
    };
    check(
        kept,
        Conversation,
        Some(0),
        stays(Reason::ContextPortability),
    );
}

#[test]
fn outcomes_rescue() {
    let counts = |good, under, failed| Counts {
        good,
        under,
        failed,
        ..Counts::default()
    };
    let check = |own: Counts, other: Counts, bases: (f64, f64), rescued: bool| {
        let contenders = [
            ModelEvidence {
                counts: own,
                ..contender(bases.0, 0.0)
            },
            ModelEvidence {
                counts: other,
                ..contender(bases.1, 0.0)
            },
        ];
        let turn = ConversationState {
            turns: 1,
            ..ConversationState::default()
        };
        let (winner, action, reason) = verdict(turn, Scope::Session, &contenders, Some(0));
        let expected = if rescued {
            (1, Action::RescueSwitch, Reason::Rescue)
        } else {
            (0, Action::HoldCurrent, Reason::SessionScope)
        };
        assert_eq!(
            (winner, action, reason),
            expected,
            "{own:?} {other:?} {bases:?}"
        );
        for locked in [
            ConversationState {
                tool_loop: true,
                ..turn
            },
            ConversationState {
                previous_response: true,
                ..turn
            },
        ] {
            let (winner, ..) = verdict(locked, Scope::Conversation, &contenders, Some(0));
            assert_eq!(
                winner, 0,
                "outcomes break no tool loop and leave no provider state"
            );
        }
    };
    let none = Counts::default();
    check(counts(0, 2, 0), none, (0.5, 0.55), true);
    check(counts(0, 2, 0), none, (0.5, 0.54), false);
    check(counts(0, 2, 0), counts(1, 0, 0), (0.5, 0.1), true);
    check(counts(0, 2, 0), counts(1, 1, 0), (0.5, 0.1), false);
    check(counts(0, 1, 1), counts(1, 0, 0), (0.5, 0.9), false);
    check(counts(2, 2, 0), counts(1, 0, 0), (0.5, 0.9), false);
    check(counts(9, 0, 2), counts(1, 0, 0), (0.5, 0.1), true);
}

#[test]
fn sampling_is_for_cold_and_portable_conversations() {
    let check = |state: ConversationState, knows_model, expected| {
        assert_eq!(
            state.may_sample(knows_model),
            expected,
            "{state:?} {knows_model}"
        );
    };
    let cold = ConversationState::default();
    check(cold, true, Ok(Reason::NoToolOrProtocolState));
    check(
        ConversationState {
            warmth: Some(0.64),
            ..cold
        },
        true,
        Ok(Reason::NoToolOrProtocolState),
    );
    check(
        ConversationState {
            warmth: Some(0.65),
            ..cold
        },
        true,
        Err(Reason::SteadyState),
    );
    check(
        ConversationState {
            warmth: Some(0.65),
            ..cold
        },
        false,
        Ok(Reason::NoToolOrProtocolState),
    );
    check(
        ConversationState {
            tool_loop: true,
            ..cold
        },
        false,
        Err(Reason::ToolOrProtocolState),
    );
    check(
        ConversationState {
            previous_response: true,
            ..cold
        },
        false,
        Err(Reason::ToolOrProtocolState),
    );
}

#[test]
fn pressure_by_cache_cost_then_quality() {
    let priced = |prompt, cached, cache_write| Card {
        prices: Some(Prices {
            prompt,
            cached,
            cache_write,
            completion: 1.0,
        }),
        quality: Some(0.9),
        ..Card::default()
    };
    let check = |cards: &[Card], expected: &[f64]| {
        let found = pressures(&cards.iter().collect::<Vec<_>>());
        assert_eq!(found.len(), expected.len());
        found
            .iter()
            .zip(expected)
            .for_each(|(&found, &expected)| near(found, expected, &format!("{cards:?}")));
    };
    check(
        &[priced(10.0, 0.0, 10.0), priced(2.0, 0.0, 2.0)],
        &[1.0, 0.2],
    );
    check(
        &[priced(10.0, 1.0, 11.0), priced(2.0, 0.5, 2.5)],
        &[1.0, 0.2],
    );
    check(
        &[priced(10.0, 0.0, 10.0), priced(2.0, 9.0, 2.0)],
        &[1.0, 0.2],
    );
    check(
        &[
            priced(10.0, 0.0, 10.0),
            Card {
                quality: Some(0.3),
                ..Card::default()
            },
        ],
        &[1.0, 0.3],
    );
    check(&[Card::default()], &[0.5]);
}

fn any_standing() -> impl Strategy<Value = ConversationState> {
    let numbers = (0_u64..20, 0_u64..20, 0_u64..20_000, 0_u64..20_000);
    let rest = (
        proptest::option::of(0.0..1.0),
        proptest::option::of(0_u64..600),
        any::<bool>(),
        any::<bool>(),
    );
    (numbers, rest).prop_map(
        |((turns, switches, history_tokens, context_tokens), rest)| {
            let (warmth, idle, tool_loop, previous_response) = rest;
            let idle_for = idle.map(Duration::from_secs);
            ConversationState {
                turns,
                switches,
                history_tokens,
                context_tokens,
                warmth,
                idle_for,
                tool_loop,
                previous_response,
            }
        },
    )
}

fn any_contender() -> impl Strategy<Value = ModelEvidence> {
    (
        proptest::option::of(-1.0..2.0),
        0.0..=1.0,
        0_u64..4,
        0_u64..4,
        0_u64..4,
    )
        .prop_map(|(base, pressure, good, under, failed)| ModelEvidence {
            base,
            pressure,
            counts: Counts {
                good,
                under,
                failed,
                ..Counts::default()
            },
            ..ModelEvidence::default()
        })
}

proptest! {
    #[test]
    fn a_winner_is_a_contender_and_locks_hold(
        contenders in proptest::collection::vec(any_contender(), 1..6),
        (base, proposal) in (0_usize..6, 0_usize..6),
        current in proptest::option::of(0_usize..8),
        (state, session) in (any_standing(), any::<bool>()),
    ) {
        let count = contenders.len();
        let scope = if session { Scope::Session } else { Scope::Conversation };
        let (state, tuning) = (&state, &Tuning::default());
        let (base, proposal) = (base % count, proposal % count);
        let question = Question { contenders: &contenders, base, proposal, current, state, tuning, scope };
        let verdict = decide(&question);
        prop_assert!(verdict.winner < count);
        prop_assert!((0.0..=1.0).contains(&verdict.confidence));
        if let Some(current) = current.filter(|&current| current < count)
            && (state.tool_loop || state.previous_response)
        {
            prop_assert_eq!(verdict.winner, current);
        }
    }
}

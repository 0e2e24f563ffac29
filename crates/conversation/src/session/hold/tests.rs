//! What a session does with a choice; and the guarantee, over random sessions.

use super::*;
use crate::credential::Secret;
use crate::session::budget::Turn;
use crate::session::context::PromptTokens;
use crate::session::settings;
use crate::session::{SessionRef, Source};
use crate::{ConversationKey, Timestamp};
use proptest::prelude::*;
use selection::card::Tokens;

const SMALL: Prices = Prices {
    prompt: 0.15,
    cached: 0.015,
    cache_write: 0.15,
    completion: 0.6,
};
const LARGE: Prices = Prices {
    prompt: 3.0,
    cached: 0.3,
    cache_write: 3.75,
    completion: 15.0,
};

fn policy(change: impl Fn(&mut settings::Sessions)) -> Policy {
    let mut settings = settings::Sessions::default();
    change(&mut settings);
    Policy::build(&settings, Secret::new(*b"test")).unwrap()
}

fn context(sessions: &Sessions, turn: Turn, tokens: PromptTokens, now: u64) -> SessionContext {
    let session = SessionRef {
        key: ConversationKey(1),
        source: Source::Header,
        thread: 1,
    };
    let now = Timestamp::from_seconds(now);
    SessionContext {
        session,
        turn,
        conversation: sessions.find(session.key, session.thread, now),
        turn_state: None,
        degraded: None,
        principal: 0,
        recipe: "default".into(),
        tokens,
    }
}

const USER: Turn = Turn {
    phase: Phase::UserTurn,
    sealed: false,
    same_turn: false,
    explicit: true,
};
const LOOP: Turn = Turn {
    phase: Phase::ToolLoop,
    ..USER
};
const SEALED: Turn = Turn {
    sealed: true,
    ..USER
};
const COMPACTION: Turn = Turn {
    phase: Phase::Compaction,
    ..USER
};

/// One session whose requests are offered models by name.
struct Play {
    policy: Policy,
    sessions: Sessions,
    now: u64,
}

impl Play {
    fn new(policy: Policy) -> Self {
        Self {
            policy,
            sessions: Sessions::default(),
            now: 1_000,
        }
    }

    fn ask(
        &mut self,
        turn: Turn,
        offers: &[(&str, Option<Prices>)],
        proposed: usize,
        allowed: &[&str],
    ) -> (String, SessionOutcome) {
        let offers: Vec<ModelOffer<'_>> = offers
            .iter()
            .map(|&(model, prices)| ModelOffer {
                model,
                prices,
                score: None,
            })
            .collect();
        let tokens = PromptTokens {
            most: 10_000,
            least: 1_000,
        };
        let context = context(&self.sessions, turn, tokens, self.now);
        let allows = |model: &str| allowed.contains(&model);
        let input = ChoiceInput {
            policy: &self.policy,
            sessions: &self.sessions,
            offers: &offers,
            proposed,
            any: self.policy.any,
            allows: &allows,
        };
        let (chosen, outcome) = hold(&context, &input);
        let model = match chosen {
            Chosen::Offer(index) => offers[index].model.to_owned(),
            Chosen::Other => context.current().unwrap().to_owned(),
        };
        self.sessions
            .sent(&outcome, &model, Timestamp::from_seconds(self.now));
        (model, outcome)
    }

    #[track_caller]
    fn check(
        &mut self,
        turn: Turn,
        offers: &[(&str, Option<Prices>)],
        proposed: usize,
        expected: &str,
    ) {
        let (model, outcome) = self.ask(turn, offers, proposed, &["other"]);
        let reason = outcome.reason.map_or("", Reason::as_str);
        assert_eq!(
            format!(
                "{model} {} {reason} {}",
                outcome.action.as_str(),
                outcome.degraded.unwrap_or_default()
            )
            .trim(),
            expected
        );
    }
}

const BOTH: [(&str, Option<Prices>); 2] = [("small", Some(SMALL)), ("large", Some(LARGE))];

#[test]
fn locks_hold_whatever_it_would_save() {
    for turn in [
        LOOP,
        SEALED,
        COMPACTION,
        Turn {
            explicit: false,
            ..LOOP
        },
    ] {
        let mut play = Play::new(policy(|_| ()));
        play.check(USER, &BOTH, 1, "large new");
        play.now += 100_000;
        let reason = budget::lock(&turn).unwrap().as_str();
        play.check(turn, &BOTH, 0, &format!("large hold {reason}"));
        play.check(turn, &BOTH, 1, &format!("large same {reason}"));
    }
}

#[test]
fn a_lock_that_cannot_be_kept_shows() {
    let mut play = Play::new(policy(|_| ()));
    play.check(USER, &BOTH, 1, "large new");
    play.check(
        LOOP,
        &BOTH[..1],
        0,
        "small switch not_eligible locked_model_unavailable",
    );
    let mut fresh = Play::new(policy(|_| ()));
    fresh.check(
        SEALED,
        &BOTH,
        0,
        "small new  provider_state_of_unknown_model",
    );
}

#[test]
fn policy_wins_unless_any_model_may_be_held() {
    let other = [("other", Some(LARGE))];
    let mut candidates = Play::new(policy(|_| ()));
    candidates.check(USER, &other, 0, "other new");
    candidates.check(
        LOOP,
        &BOTH,
        0,
        "small switch not_eligible locked_model_unavailable",
    );
    let mut any = Play::new(policy(|settings| settings.hold = "any".into()));
    any.check(USER, &other, 0, "other new");
    any.check(LOOP, &BOTH, 0, "other hold tool_loop");
    let (model, outcome) = any.ask(LOOP, &BOTH, 0, &[]);
    assert_eq!(
        (model.as_str(), outcome.degraded),
        ("small", Some("locked_model_unavailable")),
        "a boundary wins"
    );
}

#[test]
fn a_users_turn_switches_when_it_can_afford_it() {
    let mut play = Play::new(policy(|_| ()));
    play.check(USER, &BOTH, 0, "small new");
    play.check(USER, &BOTH, 1, "small hold budget");
    play.now += 300;
    play.check(USER, &BOTH, 1, "large new idle");
    let mut unpriced = Play::new(policy(|_| ()));
    let bare = BOTH.map(|(model, _)| (model, None));
    unpriced.check(USER, &bare, 0, "small new");
    unpriced.check(USER, &bare, 1, "large switch unpriced");
    unpriced.check(LOOP, &bare, 0, "large hold tool_loop");
}

#[test]
fn helpers_move_nothing() {
    let helper = Turn {
        phase: Phase::Helper,
        ..USER
    };
    let mut play = Play::new(policy(|_| ()));
    play.check(USER, &BOTH, 1, "large new");
    play.check(helper, &BOTH, 1, "large helper");
    play.check(helper, &BOTH, 0, "small helper");
    play.check(LOOP, &BOTH, 0, "large hold tool_loop");
    play.policy.cheapest_helpers = true;
    play.check(helper, &BOTH, 1, "small helper");
}

#[test]
fn observing_changes_nothing() {
    let mut play = Play::new(policy(|settings| settings.mode = "observe".into()));
    play.check(USER, &BOTH, 1, "large new");
    let (model, outcome) = play.ask(LOOP, &BOTH, 0, &[]);
    assert_eq!(
        (model.as_str(), outcome.action, outcome.observed),
        ("small", Action::Hold, true)
    );
}

/// A request of a random session: which model is proposed, what may answer, how long it is, what is
/// seen of its answer.
#[derive(Debug, Clone)]
struct Random {
    turn: Turn,
    proposed: usize,
    missing: Option<usize>,
    said: u64,
    completion: u64,
    cached: bool,
    counted: bool,
    pause: u64,
}

fn random() -> impl Strategy<Value = Random> {
    let turn = prop_oneof![4 => Just(USER), 3 => Just(LOOP), 1 => Just(SEALED)];
    let missing = prop_oneof![8 => Just(None), 1 => (0..3_usize).prop_map(Some)];
    let numbers = (0..3_usize, 100..20_000_u64, 1..2_000_u64, 0..400_u64);
    (
        turn,
        missing,
        numbers,
        any::<bool>(),
        prop::bool::weighted(0.9),
    )
        .prop_map(
            |(turn, missing, (proposed, said, completion, pause), cached, counted)| Random {
                turn,
                proposed,
                missing: missing.filter(|&index| index != proposed),
                said,
                completion,
                cached,
                counted,
                pause,
            },
        )
}

fn prices() -> impl Strategy<Value = Prices> {
    (0.01..20.0_f64, 0.0..1.0_f64, 0.8..1.5_f64, 0.1..80.0_f64).prop_map(
        |(prompt, cached, write, completion)| Prices {
            prompt,
            cached: prompt * cached,
            cache_write: prompt * write,
            completion,
        },
    )
}

proptest! {
    /// After each switch that was wished for, all switches together, the forced ones too, have
    /// really cost at most the budget's share of what the session has really cost. After a pause it
    /// is another session.
    #[test]
    fn switches_never_cost_more_than_the_budget(
        models in prop::array::uniform3(prices()),
        requests in prop::collection::vec(random(), 1..60),
        percent in 0.0..200.0_f64,
    ) {
        let policy = policy(|settings| settings.switch_budget_percent = percent);
        let sessions = Sessions::default();
        let names = ["a", "b", "c"];
        let (mut now, mut history) = (1_000_u64, 0_u64);
        let (mut bill, mut overhead, mut last) = (0.0_f64, 0.0_f64, None);
        for request in &requests {
            now += request.pause;
            let prefix = history;
            history += request.said;
            let offers: Vec<ModelOffer<'_>> = (0..3)
                .filter(|&index| request.missing != Some(index))
                .map(|index| ModelOffer { model: names[index], prices: Some(models[index]), score: None })
                .collect();
            let proposed = offers.iter().position(|offer| offer.model == names[request.proposed]).unwrap();
            // What is estimated beforehand errs to either side.
            let tokens = PromptTokens { most: history * 2, least: history / 2 };
            let context = context(&sessions, request.turn, tokens, now);
            let allows = |_: &str| false;
            let input = ChoiceInput {
                policy: &policy,
                sessions: &sessions,
                offers: &offers,
                proposed,
                any: false,
                allows: &allows,
            };
            let (chosen, outcome) = hold(&context, &input);
            let Chosen::Offer(taken) = chosen else { panic!("no other model may be held") };
            let (model, price) = (offers[taken].model, offers[taken].prices.unwrap());
            if outcome.restarts {
                (bill, overhead) = (0.0, 0.0);
            }
            if outcome.action == Action::Switch {
                overhead += prefix as f64 * (price.prompt.max(price.cache_write) - price.cached).max(0.0);
                let wished = !matches!(outcome.reason, Some(Reason::NotEligible | Reason::Unpriced));
                prop_assert!(!wished || overhead <= percent / 100.0 * bill + 1.0, "{overhead} of {bill}: {outcome:?}");
            }
            sessions.sent(&outcome, model, Timestamp::from_seconds(now));
            // Only who answered last has the last answer in its cache.
            let cached = if request.cached && last == Some(model) { prefix } else { 0 };
            last = Some(model);
            let tokens = Tokens { prompt: history, cached, written: 0, completion: request.completion };
            bill += price.cost(tokens) * 1e6;
            history += request.completion;
            if request.counted {
                sessions.answered(outcome.ticket.unwrap(), model, tokens);
            }
        }
    }

    /// No request in a tool loop, and none with sealed state, goes to another model while its own
    /// may answer.
    #[test]
    fn locked_requests_never_switch(
        models in prop::array::uniform3(prices()),
        requests in prop::collection::vec(random(), 1..60),
    ) {
        let mut play = Play::new(policy(|_| ()));
        let offers = [("a", Some(models[0])), ("b", Some(models[1])), ("c", Some(models[2]))];
        let mut last: Option<String> = None;
        for request in &requests {
            play.now += request.pause;
            let (model, _) = play.ask(request.turn, &offers, request.proposed, &[]);
            if let Some(last) = last.filter(|_| request.turn != USER) {
                prop_assert_eq!(&model, &last);
            }
            last = Some(model);
        }
    }
}

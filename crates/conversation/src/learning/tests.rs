//! Requests through the whole run: outcomes change choices, conversations stay, and what is never
//! allowed is never chosen.

use super::beta::Sampler;
use super::context::RequestContext;
use super::input::LearningInput;
use super::outcome::LearningOutcome;
use super::policy::{Mode, Policy};
use super::reference::ConversationState;
use super::requests::Judge;
use super::rows::Verdict;
use super::*;
use crate::store::InMemory;
use crate::testing::Document;
use crate::{Record, StoreError};
use futures_util::FutureExt as _;
use proptest::prelude::*;
use selection::algorithms::r#static::Static;
use selection::algorithms::{Candidates, Selection};
use selection::candidate::Candidate;
use selection::pool::Pool;
use std::sync::Arc;

const DOCUMENT: &str = "
version: v0.3
providers:
  defaults: {default_model: a}
  models:
    - {name: a, backend_refs: [{endpoint: 'b:1'}]}
    - {name: b, backend_refs: [{endpoint: 'b:1'}]}
    - {name: c, backend_refs: [{endpoint: 'b:1'}]}
    - {name: bare, backend_refs: [{endpoint: 'b:1'}]}
routing:
  modelCards: [{name: a}, {name: b}, {name: c}]
  decisions:
    - {name: d, priority: 1, tier: 3, modelRefs: [{model: a}, {model: b}, {model: bare}], DECISION}
    - {name: e, priority: 2, tier: 3, modelRefs: [{model: c}]}
global: {router: {learning: {enabled: true, LEARNING}}}
";

/// A decision with its policy and what was learnt.
struct World {
    policy: Policy,
    candidates: Candidates,
    experience: Experience,
    recipe: Arc<str>,
    decision: Arc<str>,
    eligible: Vec<usize>,
    forbidden: Vec<&'static str>,
    now: Instant,
}

/// One request.
#[derive(Clone, Copy, Default)]
struct Turn<'a> {
    session: &'a str,
    caller: &'a str,
    id: &'a str,
    state: ConversationState,
}

fn document(decision: &str, learning: &str) -> Document {
    let text = DOCUMENT
        .replace("DECISION", decision)
        .replace("LEARNING", learning);
    Document::read(&text)
}

impl World {
    fn new(decision: &str, learning: &str) -> Self {
        let document = document(decision, learning);
        let written = &document.routing.decisions[0];
        let pool = Pool::default();
        let candidate = |model_ref: &_| Candidate::new(Clone::clone(model_ref), &document, &pool);
        let known = written.model_refs.iter().map(candidate).collect();
        let selector = Box::new(Static::new("d", Vec::new()));
        Self {
            policy: document.policies().remove(0),
            candidates: Candidates::new("d", known, "static", Some(selector)),
            experience: Experience::default(),
            recipe: "default".into(),
            decision: "d".into(),
            eligible: vec![0, 1, 2],
            forbidden: Vec::new(),
            now: Instant::now(),
        }
    }

    /// The algorithm takes the first eligible candidate.
    fn choose(&self, turn: Turn<'_>, seed: u64) -> (Selection, LearningOutcome) {
        let headers = [
            ("x-session-id", turn.session),
            ("x-conversation-id", "c"),
            ("x-request-id", turn.id),
        ];
        let names = ["a", "b", "bare"];
        let own = |name: &str| names.iter().position(|own| *own == name);
        let allows = |name: &str| {
            own(name).is_none_or(|index| self.eligible.contains(&index))
                && !self.forbidden.contains(&name)
        };
        let input = LearningInput {
            policy: &self.policy,
            recipe: &self.recipe,
            decision: &self.decision,
            tier: 3,
            candidates: &self.candidates,
            eligible: &self.eligible,
            allows: &allows,
            caller: turn.caller,
            request: RequestContext {
                headers: &headers,
                previous_response: false,
            },
            state: turn.state,
            now: self.now,
        };
        let base = self.candidates.select(
            &selection::algorithms::SelectionRequest::default(),
            &self.eligible,
        );
        self.experience
            .advise(&input, base, &mut Sampler::seeded(seed))
    }

    fn model(&self, selection: &Selection) -> String {
        let candidate = selection
            .candidate
            .and_then(|index| self.candidates.model_refs().get(index));
        selection
            .held
            .as_deref()
            .map_or_else(|| candidate.unwrap().model.clone(), str::to_owned)
    }

    /// A request goes on; what is remembered of it is remembered.
    fn send(&self, turn: Turn<'_>) -> (String, LearningOutcome) {
        let (selection, mut outcome) = self.choose(turn, 1);
        let model = self.model(&selection);
        outcome.settle(&model, &self.policy);
        self.experience
            .sent(outcome.record.as_ref().unwrap(), self.now);
        (model, outcome)
    }

    fn judge(&self, id: &str, judge: Judge<'_>, verdict: Verdict) -> Result<Judged, NotJudged> {
        let judgement = Judgement {
            request: id,
            judge,
            verdict,
            score: 0.0,
            model: None,
            key: None,
        };
        self.experience.judge(&judgement, self.policy.ttl, self.now)
    }

    /// So many outcomes of a model in this decision.
    fn teach(&self, model: &str, verdict: Verdict, times: u64) {
        let place = Place {
            recipe: self.recipe.clone(),
            decision: self.decision.clone(),
            tier: 3,
            model: model.into(),
        };
        self.experience
            .rows()
            .judge(&place, Counts::of(verdict, times));
    }
}

fn words(outcome: &LearningOutcome) -> Vec<String> {
    outcome
        .steps
        .iter()
        .map(|step| {
            let (part, action) = (step.part.as_str(), step.action.as_str());
            format!("{part} {action} {}", step.reason.as_str())
        })
        .collect()
}

#[test]
fn outcomes_change_the_choice() {
    let world = World::new("", "protection: {enabled: false}");
    world.teach("a", Verdict::Good, 60);
    world.teach("b", Verdict::Good, 20);
    world.teach("b", Verdict::Underpowered, 20);
    let (first, outcome) = world.send(Turn {
        id: "r1",
        caller: "ada",
        ..Turn::default()
    });
    assert_eq!(
        (first.as_str(), outcome.request_id.as_deref()),
        ("a", Some("r1"))
    );
    assert_eq!(
        world.judge("r1", Judge::Caller("eve"), Verdict::Underpowered),
        Err(NotJudged::Unknown)
    );
    let counted = Judged {
        updated: 3,
        duplicate: false,
    };
    assert_eq!(
        world.judge("r1", Judge::Caller("ada"), Verdict::Underpowered),
        Ok(counted)
    );
    assert_eq!(
        world
            .judge("r1", Judge::Caller("ada"), Verdict::Underpowered)
            .unwrap()
            .updated,
        0
    );
    assert_eq!(words(&outcome), ["adaptation keep_base base_best"]);
    assert_eq!(
        world.send(Turn::default()).0,
        "a",
        "one outcome is not enough"
    );
    for key in ["k1", "k2", "k2"] {
        let (judge, verdict) = (Judge::Operator, Verdict::Underpowered);
        let judgement = Judgement {
            request: "r1",
            judge,
            verdict,
            score: 100.0,
            model: Some("a"),
            key: Some(key),
        };
        world
            .experience
            .judge(&judgement, world.policy.ttl, world.now)
            .unwrap();
    }
    for seed in 0..50 {
        let (selection, outcome) = world.choose(Turn::default(), seed);
        assert_eq!(world.model(&selection), "b");
        assert_eq!(words(&outcome), ["adaptation propose_switch sampled_win"]);
    }
    // Another decision of the tier has no row of its own and finds the tier's.
    let other = Place {
        decision: "other".into(),
        recipe: "default".into(),
        tier: 3,
        model: "b".into(),
    };
    assert_eq!(
        world.experience.rows().find(&other).unwrap().counts.good,
        20
    );
}

#[test]
fn a_conversation_keeps_its_model() {
    let mut world = World::new("", "");
    let turn = Turn {
        session: "s",
        caller: "ada",
        ..Turn::default()
    };
    world.teach("a", Verdict::Good, 60);
    world.teach("b", Verdict::Good, 20);
    world.teach("b", Verdict::Underpowered, 20);
    assert_eq!(world.send(turn).0, "a");
    // Far better now, but its tool loop stays together, even after a pause.
    world.teach("a", Verdict::Underpowered, 300);
    world.teach("b", Verdict::Good, 300);
    let tools = Turn {
        state: ConversationState {
            tool_loop: true,
            ..ConversationState::default()
        },
        ..turn
    };
    for pause in [1, 3_600] {
        world.now += Duration::from_secs(pause);
        let (model, outcome) = world.send(tools);
        let expected = "protection hold_current hard_lock=tool_loop";
        assert_eq!(
            (model.as_str(), words(&outcome).last().unwrap().as_str()),
            ("a", expected)
        );
    }
    // Another caller's session of that name is another one.
    let (model, outcome) = world.send(Turn {
        caller: "bob",
        ..turn
    });
    assert_eq!(
        (model.as_str(), words(&outcome)[1].as_str()),
        ("b", "protection establish_baseline new_conversation")
    );
    // The next turn of the user is rescued.
    let (model, outcome) = world.send(turn);
    assert_eq!(
        (model.as_str(), words(&outcome)[1].as_str()),
        ("b", "protection rescue_switch rescue_underpowered_model")
    );
    let (model, _) = world.send(tools);
    assert_eq!(model, "b");
}

#[test]
fn a_model_from_elsewhere_is_held_while_it_is_allowed() {
    let mut world = World::new("", "adaptation: {candidate_set: tier}");
    for model in ["a", "b"] {
        world.teach(model, Verdict::Underpowered, 50);
    }
    world.teach("c", Verdict::Good, 50);
    let turn = Turn {
        session: "s",
        ..Turn::default()
    };
    let (selection, _) = world.choose(turn, 1);
    assert_eq!(
        (selection.held.as_deref(), selection.candidate),
        (Some("c"), Some(0))
    );
    assert_eq!(&*selection.reason, "learning: adaptation=sampled_win");
    assert_eq!(world.send(turn).0, "c");
    let state = ConversationState {
        tool_loop: true,
        ..ConversationState::default()
    };
    assert_eq!(world.send(Turn { state, ..turn }).0, "c");
    world.forbidden.push("c");
    let (model, outcome) = world.send(Turn { state, ..turn });
    let expected = "protection establish_baseline current_model_not_allowed";
    assert_eq!(
        (model.as_str(), words(&outcome).last().unwrap().as_str()),
        ("a", expected)
    );
}

#[test]
fn modes_and_missing_identity() {
    let check = |decision: &str, session: &str, expected: (&str, &[&str])| {
        let world = World::new(decision, "");
        world.teach("a", Verdict::Underpowered, 50);
        world.teach("b", Verdict::Good, 50);
        let (model, outcome) = world.send(Turn {
            session,
            ..Turn::default()
        });
        assert_eq!(
            (model.as_str(), words(&outcome)),
            (
                expected.0,
                expected.1.iter().map(|it| (*it).to_owned()).collect()
            )
        );
    };
    let wins = "adaptation propose_switch sampled_win";
    check(
        "",
        "",
        ("b", &[wins, "protection allow_sampling missing_identity"]),
    );
    check(
        "",
        "s",
        (
            "b",
            &[wins, "protection establish_baseline new_conversation"],
        ),
    );
    let bypassed: &[&str] = &[
        "adaptation bypass decision_bypass",
        "protection bypass decision_bypass",
    ];
    check("adaptations: {mode: bypass}", "s", ("a", bypassed));
    let observed: &[&str] = &[
        "adaptation observe observe_only",
        "protection observe observe_only",
    ];
    check("adaptations: {mode: observe}", "s", ("a", observed));
    let one: &[&str] = &[
        "adaptation observe observe_only",
        "protection establish_baseline new_conversation",
    ];
    check(
        "adaptations: {adaptation: {mode: observe}}",
        "s",
        ("a", one),
    );
}

#[test]
fn answers_teach_speed_cache_and_failures() {
    let world = World::new("", "");
    let (_, mut outcome) = world.send(Turn {
        session: "s",
        ..Turn::default()
    });
    let mut record = outcome.record.take().unwrap();
    Arc::make_mut(&mut record).prices = Some(Prices {
        prompt: 2.0,
        cached: 0.5,
        cache_write: 2.0,
        completion: 9.0,
    });
    let tokens = Tokens {
        prompt: 1_000,
        cached: 400,
        written: 0,
        completion: 500,
    };
    let total = Some(Duration::from_millis(700));
    world.experience.observe(
        &record,
        &Served {
            status: 200,
            total,
            tokens: Some(tokens),
            ..Served::default()
        },
    );
    world.experience.observe(
        &record,
        &Served {
            status: 503,
            total,
            ..Served::default()
        },
    );
    world.experience.observe(
        &record,
        &Served {
            status: 400,
            ..Served::default()
        },
    );
    let row = world.experience.rows().find(&record.place).unwrap();
    assert!(
        (row.latency - 0.7).abs() < 1e-9 && (row.cache - 0.4).abs() < 1e-9,
        "{row:?}"
    );
    assert!(
        (row.input_cost - (600.0 * 2.0 + 400.0 * 0.5) / 2_000.0).abs() < 1e-9,
        "{row:?}"
    );
    assert_eq!(
        row.counts,
        Counts {
            failed: 1,
            ..Counts::default()
        }
    );
    let found = world
        .experience
        .find(record.conversation.unwrap(), world.policy.ttl, world.now);
    assert_eq!(found.record.unwrap().warmth, Some(0.4));
}

#[test]
fn a_decision_without_candidates_is_left_alone() {
    let world = World::new("", "");
    let nothing = Selection {
        candidate: None,
        method: "default",
        ..world.candidates.select_any()
    };
    let (empty, outcome) = {
        let input = LearningInput {
            policy: &world.policy,
            recipe: &world.recipe,
            decision: &world.decision,
            tier: 0,
            candidates: &world.candidates,
            eligible: &[],
            allows: &|_| true,
            caller: "",
            request: RequestContext::NOTHING,
            state: ConversationState::default(),
            now: world.now,
        };
        world
            .experience
            .advise(&input, nothing.clone(), &mut Sampler::seeded(1))
    };
    assert_eq!((empty, outcome), (nothing, LearningOutcome::default()));
}

#[test]
fn an_old_conversation_is_forgotten() {
    let mut world = World::new("", "");
    let turn = Turn {
        session: "s",
        ..Turn::default()
    };
    let (_, outcome) = world.send(turn);
    let key = outcome.record.unwrap().conversation.unwrap();
    let find = |now| world.experience.find(key, world.policy.ttl, now).record;
    assert_eq!(find(world.now).unwrap().requests, 1);
    let late = world.now + world.policy.ttl + Duration::from_secs(1);
    assert_eq!(find(late), None);
    assert_eq!(world.experience.size().conversations, 0);
    world.now = late;
    world.send(turn);
    assert_eq!(
        world
            .experience
            .find(key, world.policy.ttl, late)
            .record
            .unwrap()
            .requests,
        1
    );
}

#[test]
fn the_younger_record_wins() {
    let world = World::new("", "");
    let (_, outcome) = world.send(Turn {
        session: "s",
        ..Turn::default()
    });
    let key = outcome.record.unwrap().conversation.unwrap();
    let find = || {
        world
            .experience
            .find(key, world.policy.ttl, world.now)
            .record
            .unwrap()
    };
    let own = find();
    let adopt = |at| {
        world.experience.conversations.adopt(
            key,
            &Record {
                requests: 7,
                at,
                ..own.clone()
            },
        );
        find().requests
    };
    assert_eq!(adopt(Timestamp(own.at.0 - 1)), 1);
    assert_eq!(adopt(Timestamp(own.at.0 + 1)), 7);
}

#[test]
fn replicas_learn_together() {
    let (one, two, shelf) = (
        World::new("", ""),
        World::new("", ""),
        Arc::new(InMemory::default()),
    );
    for world in [&one, &two] {
        world.experience.share(shelf.clone(), world.policy.ttl);
    }
    let exchange = |world: &World| {
        world
            .experience
            .exchange(world.policy.ttl, world.now)
            .now_or_never()
            .unwrap()
            .map_err(|error: StoreError| error.as_str())
    };
    let good = |world: &World| {
        let place = Place {
            recipe: "default".into(),
            decision: "d".into(),
            tier: 3,
            model: "a".into(),
        };
        world
            .experience
            .rows()
            .find(&place)
            .map_or(0, |row| row.counts.good)
    };
    one.teach("a", Verdict::Good, 3);
    two.teach("a", Verdict::Good, 4);
    assert_eq!(
        (exchange(&one), exchange(&two), exchange(&one)),
        (Ok(()), Ok(()), Ok(()))
    );
    assert_eq!((good(&one), good(&two)), (7, 7));
    shelf.set_away(true);
    two.teach("a", Verdict::Good, 1);
    assert_eq!((exchange(&two), good(&two)), (Err("unavailable"), 8));
    shelf.set_away(false);
    assert_eq!((exchange(&two), exchange(&one)), (Ok(()), Ok(())));
    assert_eq!(
        (good(&one), good(&two)),
        (8, 8),
        "what could not be told was told later, once"
    );
    // A conversation that began at one replica goes on at the other.
    let (_, outcome) = one.send(Turn {
        session: "s",
        ..Turn::default()
    });
    let key = outcome.record.unwrap().conversation.unwrap();
    exchange(&one).unwrap();
    let recalled = two
        .experience
        .recall(key, &two.policy, two.now, two.now)
        .now_or_never()
        .unwrap();
    assert!(recalled.is_ok());
    assert_eq!(
        two.experience
            .find(key, two.policy.ttl, two.now)
            .record
            .unwrap()
            .requests,
        1
    );
    shelf.set_away(true);
    let unknown = two
        .experience
        .recall(ConversationKey(1), &two.policy, two.now, two.now)
        .now_or_never()
        .unwrap();
    assert_eq!(unknown.unwrap_err().as_str(), "unavailable");
}

#[test]
fn memory_is_bounded() {
    let few = |count| NonZeroUsize::new(count).unwrap();
    let mut world = World::new("", "");
    world.experience = Experience::bounded(few(10), few(20), few(30));
    for index in 0..2_000 {
        let name = index.to_string();
        world.send(Turn {
            session: &name,
            caller: "ada",
            id: &name,
            ..Turn::default()
        });
        world.teach(&name, Verdict::Good, 1);
        let size = world.experience.size();
        assert!(
            size.rows <= 10 && size.conversations <= 20 && size.requests <= 30,
            "{size:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever was learnt and said, the winner may serve the request, and observing changes
    /// nothing.
    #[test]
    fn the_winner_is_allowed_and_observing_changes_nothing(
        outcomes in proptest::collection::vec((0_usize..4, 0_usize..4, 1_u64..20), 0..12),
        turns in proptest::collection::vec((0_usize..3, any::<bool>(), any::<u64>()), 1..12),
        kept in proptest::sample::subsequence(vec![0_usize, 1, 2], 1..=3),
        (set, forbid_c) in (0_usize..3, any::<bool>()),
    ) {
        let set = ["decision", "tier", "global"][set];
        let general = format!("adaptation: {{candidate_set: {set}}}");
        let mut world = World::new("", &general);
        let mut observer = World::new("adaptations: {mode: observe}", &general);
        let models = ["a", "b", "c", "bare"];
        let verdicts = [Verdict::Good, Verdict::Underpowered, Verdict::Overpowered, Verdict::Failed];
        for (model, verdict, times) in outcomes {
            world.teach(models[model], verdicts[verdict], times);
            observer.teach(models[model], verdicts[verdict], times);
        }
        // A conversation may have begun where more was allowed.
        world.send(Turn { session: "s0", ..Turn::default() });
        world.eligible.clone_from(&kept);
        observer.eligible = kept.clone();
        if forbid_c {
            world.forbidden.push("c");
        }
        for (session, tool_loop, seed) in turns {
            let session = ["s0", "s1", ""][session];
            let turn = Turn { session, state: ConversationState { tool_loop, ..ConversationState::default() }, ..Turn::default() };
            let (selection, mut outcome) = world.choose(turn, seed);
            let model = world.model(&selection);
            let own = ["a", "b", "bare"].iter().position(|name| *name == model);
            let allowed = own.map_or(model == "c" && !forbid_c && set != "decision", |index| kept.contains(&index));
            let recalled = session == "s0" && model == "c" && !forbid_c;
            prop_assert!(allowed || recalled, "{} {:?}", model, outcome.steps);
            outcome.settle(&model, &world.policy);
            world.experience.sent(outcome.record.as_ref().unwrap(), world.now);
            let base = observer.candidates.select(&selection::algorithms::SelectionRequest::default(), &observer.eligible);
            let (observed, outcome) = observer.choose(turn, seed);
            prop_assert_eq!(&observed, &base);
            prop_assert!(outcome.steps.iter().all(|step| step.mode == Mode::Observe));
            observer.experience.sent(outcome.record.as_ref().unwrap(), observer.now);
        }
    }
}

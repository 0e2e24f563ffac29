//! Candidates narrowed by what cards say.

use super::*;
use crate::candidate::ModelRef;
use crate::pool::Pool;
use crate::testing::Models;

const CARDS: &str = "providers:
  models: [{name: plain}, {name: silent}, {name: tools}, {name: all, reasoning_family: x}, {name: tiny}]
  defaults: {reasoning_families: {x: {type: reasoning_effort, parameter: y}}}
routing:
  modelCards:
    - {name: plain, context_window_size: 1000, capabilities: [chat]}
    - {name: silent, context_window_size: 4000}
    - {name: tools, capabilities: [chat, Tool-Calling]}
    - {name: all, context_window_size: 2000, capabilities: [tools, VISION, reasoning]}
    - {name: tiny, context_window_size: 100, capabilities: [tools]}
";

fn narrowed(document: &str, names: &[&str], demand: &Demand) -> String {
    let document = Models::read(document);
    let guard = Guard::of(&document);
    let pool = Pool::default();
    let model_ref = |name: &&str| ModelRef {
        model: (*name).into(),
        ..ModelRef::default()
    };
    let candidates = names
        .iter()
        .map(|name| Candidate::new(model_ref(name), &document, &pool));
    let candidates: Vec<Candidate> = candidates.collect();
    let mut eligible = Eligible::all(candidates.len());
    let requirements = Requirements::default();
    let outcome = guard.narrow(
        &mut eligible,
        &candidates,
        demand,
        &requirements,
        Instant::now(),
    );
    let kept: Vec<&str> = eligible.kept().iter().map(|&index| names[index]).collect();
    let dropped = eligible
        .dropped()
        .iter()
        .map(|dropped| format!(" -{}={}", dropped.model, dropped.by));
    let refused = outcome
        .err()
        .map_or_else(String::new, |barrier| format!(" ! {barrier}"));
    format!("{}{}{refused}", kept.join(" "), dropped.collect::<String>())
}

#[track_caller]
fn check(names: &[&str], demand: &Demand, expected: &str) {
    assert_eq!(narrowed(CARDS, names, demand), expected);
}

const EVERYONE: [&str; 4] = ["plain", "silent", "tools", "all"];

#[test]
fn abilities_count_where_the_document_names_them() {
    let nothing = Demand::default();
    check(&EVERYONE, &nothing, "plain silent tools all");
    check(
        &EVERYONE,
        &Demand {
            tools: true,
            ..nothing
        },
        "silent tools all -plain=ability:tools",
    );
    let images = Demand {
        images: true,
        ..nothing
    };
    check(
        &EVERYONE,
        &images,
        "silent all -plain=ability:vision -tools=ability:vision",
    );
    check(
        &["plain"],
        &images,
        " -plain=ability:vision ! ability:vision",
    );
    let mute = CARDS.replace("VISION", "wit");
    assert_eq!(
        narrowed(&mute, &EVERYONE, &images),
        "plain silent tools all"
    );
}

#[test]
fn attachments_ask_for_their_abilities() {
    let cards = CARDS.replace("[chat]", "[chat, audio]");
    let demand = |audio, video, documents| Demand {
        audio,
        video,
        documents,
        ..Demand::default()
    };
    #[track_caller]
    fn check(cards: &str, demand: &Demand, expected: &str) {
        assert_eq!(narrowed(cards, &["plain", "all"], demand), expected);
    }
    check(
        &cards,
        &demand(true, false, false),
        "plain -all=ability:audio",
    );
    check(
        &cards,
        &demand(false, true, false),
        "all -plain=ability:video",
    );
    check(
        &cards,
        &demand(false, false, true),
        "all -plain=ability:documents",
    );
    let reads = CARDS.replace("[chat]", "[chat, pdf]");
    check(
        &reads,
        &demand(false, false, true),
        "plain -all=ability:documents",
    );
    check(CARDS, &demand(true, false, false), "plain all");
}

#[test]
fn reasoning_is_preferred_not_demanded() {
    let reasoning = Demand {
        reasoning: true,
        ..Demand::default()
    };
    check(
        &["plain", "all", "tools"],
        &reasoning,
        "all -plain=ability:reasoning -tools=ability:reasoning",
    );
    check(&["plain", "tools"], &reasoning, "plain tools");
}

#[test]
fn a_window_is_judged_by_the_cautious_estimate_while_somebody_is_left() {
    let tokens = |tokens, least_tokens| Demand {
        tokens,
        least_tokens,
        ..Demand::default()
    };
    check(&["plain", "all"], &tokens(1000, 10), "plain all");
    check(
        &["plain", "all"],
        &tokens(1001, 10),
        "all -plain=context_window:1001>1000",
    );
    check(&["plain", "all"], &tokens(9000, 900), "plain all");
    check(
        &["plain", "all"],
        &tokens(9000, 1500),
        "all -plain=context_window:1500>1000",
    );
    check(
        &["plain", "all"],
        &tokens(9000, 2001),
        " -plain=context_window:2001>1000 -all=context_window:2001>2000 ! context_window:2001>2000",
    );
    // Of unknown size: it may fit.
    check(
        &["plain", "tools"],
        &tokens(9000, 2001),
        "tools -plain=context_window:9000>1000",
    );
    let both = Demand {
        tools: true,
        ..tokens(500, 500)
    };
    check(
        &["plain", "tiny"],
        &both,
        " -plain=ability:tools -tiny=context_window:500>100 ! context_window:500>100",
    );
}

#[test]
fn the_least_estimate_is_below_the_cautious_one() {
    let mut prompt = Prompt::default();
    (
        prompt.tokens.text_bytes,
        prompt.tokens.structured_bytes,
        prompt.tokens.output_reserve,
    ) = (6000, 60_000, 500);
    (prompt.tokens.images, prompt.attached.images) = (1, 1);
    prompt.reasoning_effort = Some("high".into());
    let demand = Demand::of(&prompt, &TokenRatio::default());
    assert_eq!(
        (demand.tokens, demand.least_tokens),
        (1500 + 60_000 + 8192 + 500, 11_500)
    );
    assert!(demand.images && demand.reasoning && !demand.tools);
    prompt.reasoning_effort = Some("none".into());
    assert!(!Demand::of(&prompt, &TokenRatio::default()).reasoning);
}

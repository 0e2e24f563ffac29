//! What documents get wrong about learning.

use super::{check_policy, environment, policy};

const DECISION: &str = "  decisions:\n    - {name: d, modelRefs: [{model: small}]";

fn check_global(learning: &str, expected: &[&str]) {
    check_policy(
        &format!("{DECISION}}}\nglobal: {{router: {{learning: {{enabled: true, {learning}}}}}}}\n"),
        expected,
    );
}

#[test]
fn the_block() {
    check_global(
        "adaptation: {candidate_set: tier, strategy: routing_sampling}",
        &[],
    );
    check_global(
        "adaptation: {candidate_set: tear}",
        &["10 error `tear` is not known here"],
    );
    check_global(
        "adaptation: {strategy: linucb}",
        &["10 error `linucb` is not known here; known: routing_sampling"],
    );
    check_global(
        "protection: {scope: user}",
        &["10 error `user` is not known here"],
    );
    let tuning = "protection: {tuning: {switch_margin: -1, stability_weight: -0.5}}";
    check_global(
        tuning,
        &[
            "10 warning counts as omitted",
            "10 warning counts as omitted",
        ],
    );
    check_global(
        "protection: {identity: {headers: {session: 'a b'}}}",
        &["10 error cannot be a header's name"],
    );
    let same = "protection: {identity: {headers: {session: X-Conversation-Id}}}";
    check_global(same, &["10 warning every session is one conversation"]);
    check_global(
        "state_store: {backend: memory, redis: {address: 'h:1'}}",
        &["10 warning is not read"],
    );
    check_global(
        "state_store: {backend: file}",
        &["10 error `file` is not known here"],
    );
    check_global(
        "state_store: {backend: redis}",
        &["10 error needs an address"],
    );
    check_global(
        "state_store: {backend: redis, redis: {address: 'h:1'}}",
        &[],
    );
}

#[test]
fn a_decision() {
    let check = |own: &str, enabled: bool, expected: &[&str]| {
        let global = format!("global: {{router: {{learning: {{enabled: {enabled}}}}}}}\n");
        check_policy(
            &format!("{DECISION}, adaptations: {{{own}}}}}\n{global}"),
            expected,
        );
    };
    check("mode: observe", true, &[]);
    check(
        "mode: obsrve",
        true,
        &["9 error `obsrve` is not known here"],
    );
    check(
        "adaptation: {mode: off}",
        true,
        &["9 error `off` is not known here"],
    );
    check(
        "protection: {switch_margin: -2}",
        true,
        &["9 warning counts as omitted"],
    );
    check("mode: observe", false, &["9 note has no effect"]);
    let bare = "  decisions:\n    - {name: d, modelRefs: [{model: bare}]}\nglobal: {router: {learning: {enabled: true}}}\n";
    let document = policy(bare).replace("location: here}", "location: here}\n    - {name: bare}");
    let problems = crate::config::check(&document, &environment).problems;
    super::expect(
        &document,
        &problems,
        &["10 warning `bare` has no model card"],
    );
}

//! Places, principals and headers of runs.

use super::*;
use signals::families::Identity;

#[test]
fn who_asks_survives_the_way_back() {
    let check = |user: &str, groups: &[&str]| {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        let asks = Identity {
            user: user.to_owned(),
            groups,
        };
        assert_eq!(identity(&principal(&asks).unwrap()), asks);
    };
    check("", &[]);
    check("ada", &[]);
    check("ada", &["dev", "ops, and more"]);
    let forged = Identity {
        user: "ada\u{1f}admin".to_owned(),
        groups: Vec::new(),
    };
    assert_eq!(identity(&principal(&forged).unwrap()).groups, [""; 0]);
    let long = Identity {
        user: "x".repeat(PRINCIPAL_MAX + 1),
        groups: Vec::new(),
    };
    assert_eq!(principal(&long), None);
}

#[test]
fn places_are_given_back() {
    let looper = Looper::default();
    let first = looper.enter(2).unwrap();
    let _second = looper.enter(2).unwrap();
    assert!(looper.enter(2).is_none() && looper.enter(2).is_none());
    assert_eq!(looper.running(), 2);
    drop(first);
    assert!(looper.enter(2).is_some());
    assert_eq!(looper.running(), 1);
}

#[test]
fn the_clients_headers_go_on_and_none_that_speaks_for_us() {
    let generation = crate::engine::tests::preloaded("", inference::fake::Fake::default());
    let settings = &generation.router.settings;
    for name in [
        "authorization",
        "x-case",
        "user-agent",
        "x-session-id",
        "openai-organization",
        "x-request-id",
    ] {
        assert!(goes_on(name, settings), "{name}");
    }
    let kept = [
        ":path",
        "host",
        "content-length",
        "accept",
        "x-vsr-internal-auth",
        "x-vsr-debug",
        "x-vsr-skip-processing",
        "x-selected-model",
        "x-merit-attempt-model",
        "x-envoy-attempt-count",
        "x-forwarded-for",
        "x-authz-user-id",
        "x-user-openai-key",
    ];
    for name in kept {
        assert!(!goes_on(name, settings), "{name}");
    }
    assert_eq!(
        &*Runs::default().endpoint,
        "http://localhost:8899/v1/chat/completions"
    );
}

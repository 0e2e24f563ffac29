//! Tests of the ledger.

use super::*;
use crate::record::Tokens;

#[test]
fn a_decisions_key_names_its_recipe() {
    for (recipe, decision, expected) in [
        ("default", "a b", "a b"),
        ("", "a", "a"),
        ("r", "", ""),
        ("r x", "a:b", "r%20x::a%3Ab"),
        ("r", "ü", "r::%C3%BC"),
    ] {
        assert_eq!(decision_key(recipe, decision), expected);
    }
}

#[test]
fn measures_are_in_their_order() {
    for (place, measure) in Measure::ALL.into_iter().enumerate() {
        assert_eq!(measure as usize, place, "{measure:?}");
    }
}

#[test]
fn tokens_have_parts() {
    let record = DecisionRecord {
        tokens: Some(Tokens {
            input: 1_000,
            cached_input: 600,
            cache_write: 100,
            output: 200,
            reasoning: 50,
            estimated: true,
        }),
        ..DecisionRecord::default()
    };
    let sums = Sums::of(&record);
    assert_eq!(sums.get(Measure::PromptTokens), 300);
    assert_eq!(sums.get(Measure::AnswerTokens), 150);
    assert_eq!((sums.input_tokens(), sums.output_tokens()), (1_000, 200));
    assert_eq!(sums.get(Measure::Estimated), 1);
    assert_eq!(sums.get(Measure::Priced), 0);
}

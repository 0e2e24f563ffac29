//! Texts for the head that tells whether an answer rests on facts about the world.
//!
//! Few turns are labelled for it, so sets that were made for something else stand beside them with
//! little weight: searched questions and questions of exams ask for facts; sums and orders to an
//! assistant do not.

use super::{DEEP, Recipe};
use crate::data::{self, DataError, Row};
use crate::optimise::Fit;
use crate::part::Shares;
use inference::catalog::Task;
use std::path::Path;

const NEEDED: &str = "needs_fact_check";
const UNNEEDED: &str = "no_fact_check_needed";

/// Intents that ask for facts about the world.
const FACTS: &[&str] = &[
    "definition",
    "exchange_rate",
    "calories",
    "distance",
    "nutrition_info",
    "timezone",
    "international_visa",
    "vaccines",
    "plug_type",
    "fun_fact",
];

/// Intents with texts that ask for facts and texts that do not.
const UNCLEAR: &[&str] = &[
    "cook_time",
    "mpg",
    "gas_type",
    "ingredient_substitution",
    "tire_pressure",
    "w2",
    "traffic",
    "restaurant_reviews",
    "weather",
    "time",
    "travel_alert",
    "ingredients_list",
    "carry_on",
    "insurance",
    "jump_start",
    "oil_change_how",
    "tire_change",
    "improve_credit_score",
    "rollover_401k",
    "taxes",
    "credit_score",
    "interest_rate",
    "apr",
    "date",
    "next_holiday",
    "meaning_of_life",
    "recipe",
    "food_last",
    "travel_suggestion",
    "restaurant_suggestion",
    "flight_status",
    "international_fees",
    "how_busy",
    "measurement_conversion",
    "oos",
];

pub(super) fn recipe(data: &Path, corpus: &Path) -> Result<Recipe, DataError> {
    let mut recipe = Recipe::for_task(Task::FactCheck, Fit { epochs: 20, ..DEEP });
    recipe.dresses = true;
    recipe.weights = vec![("searched", 0.1), ("intents", 0.1), ("exams", 0.1)];
    let beside = Shares { test: 10, tune: 0 };
    recipe.shares = vec![
        ("turns", Shares { test: 15, tune: 20 }),
        ("searched", beside),
        ("intents", beside),
        ("exams", beside),
    ];
    recipe.add(&data::read(&corpus.join("fact_check.jsonl"))?, |row| {
        Some((row.label.clone(), "turns".into()))
    })?;
    let searched = data::read(&data.join("questions_nq_open_dev.jsonl.gz"))?;
    recipe.add(&searched, |row| {
        sampled(row, 40).then(|| (NEEDED.to_owned(), "searched".to_owned()))
    })?;
    recipe.add(&data::read(&data.join("intents_clinc150.json.gz"))?, intent)?;
    recipe.add(&data::read(&data.join("domain.jsonl.gz"))?, exam)?;
    Ok(recipe)
}

fn intent(row: &Row) -> Option<(String, String)> {
    let clear = row.part.as_deref() == Some("train") && !UNCLEAR.contains(&row.label.as_str());
    let label = if FACTS.contains(&row.label.as_str()) {
        NEEDED
    } else {
        UNNEEDED
    };
    (clear && sampled(row, 24)).then(|| (label.to_owned(), "intents".to_owned()))
}

fn exam(row: &Row) -> Option<(String, String)> {
    let short = row.text.len() < 140;
    let (label, percent) = match row.label.as_str() {
        "math" => (UNNEEDED, 60),
        "history" | "health" | "biology" | "other" | "law" if short => (NEEDED, 40),
        _ => return None,
    };
    sampled(row, percent).then(|| (label.to_owned(), "exams".to_owned()))
}

/// Chooses so many of a hundred texts, always the same.
fn sampled(row: &Row, percent: u64) -> bool {
    let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = row.text.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32 & 0xffff
        < percent * 0x1_0000 / 100
}

//! Counts and sums, as the API shows them.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::record::{FAMILIES, lifecycle_name, ranked, units};
use crate::ledger::{Measure, Sums};
use crate::record::Lifecycle;
use crate::store::Aggregate;

/// Models that are listed by requests.
const MODELS: usize = 10;
/// Names that tokens are broken down by.
const BROKEN_DOWN: usize = 8;

/// Returns an aggregate as the API shows it.
#[must_use]
pub fn aggregate(found: &Aggregate) -> Value {
    let requests = |sums: &Sums| sums.get(Measure::Requests);
    let by = |sums: &BTreeMap<String, Sums>| {
        ranked(
            sums.iter()
                .map(|(name, sums)| (name.clone(), requests(sums))),
        )
    };
    let mut models = by(&found.models);
    models.truncate(MODELS);
    json!({
        "object": "router_replay.aggregate",
        "record_count": number(requests(&found.sums)),
        "lifecycle": lifecycle(found),
        "summary": summary(found),
        "summary_by_currency": by_currency(found),
        "model_selection": values(&models),
        "decision_distribution": values(&by(&found.decisions)),
        "signal_distribution": values(&signals(found)),
        "token_volume": {
            "input_tokens": number(found.sums.input_tokens()),
            "output_tokens": number(found.sums.output_tokens()),
            "total_tokens": number(tokens(&found.sums)),
            "excluded_record_count": number(requests(&found.sums) - found.sums.get(Measure::Counted)),
        },
        "token_breakdown": {
            "by_decision": breakdown(&found.decisions),
            "by_selected_model": breakdown(&found.models),
        },
        "available_recipes": found.available.recipes,
        "available_decisions": found.available.decisions,
        "available_models": found.available.models,
    })
}

fn lifecycle(found: &Aggregate) -> Value {
    let states = [
        Lifecycle::Completed,
        Lifecycle::Failed,
        Lifecycle::Aborted,
        Lifecycle::InProgress,
        Lifecycle::Unspecified,
    ];
    let counts = states.map(|state| {
        let count = found.lifecycle.get(&i32::from(state)).copied();
        let name = lifecycle_name(state).to_owned();
        (name, count.unwrap_or_default().into())
    });
    counts.into_iter().collect::<Map<_, _>>().into()
}

/// One currency's sums, where there is one alone; of several, the one with most records, since
/// currencies are not added together.
fn summary(found: &Aggregate) -> Value {
    let compared = |sums: &Sums| sums.get(Measure::Compared);
    let main = found.spend.iter().max_by_key(|(_, sums)| compared(sums));
    let none = Sums::default();
    let (currency, sums) = main.map_or(("", &none), |(name, sums)| (name.as_str(), sums));
    spend(found, currency, sums)
}

fn by_currency(found: &Aggregate) -> Vec<Value> {
    let all = found.spend.iter();
    all.map(|(currency, sums)| spend(found, currency, sums))
        .collect()
}

fn spend(found: &Aggregate, currency: &str, sums: &Sums) -> Value {
    let counted = sums.get(Measure::Compared);
    let mut summary = json!({
        "total_saved": units(sums.saved_nanos()),
        "baseline_spend": units(sums.get(Measure::BaselineNanos)),
        "actual_spend": units(sums.get(Measure::ComparedNanos)),
        "cost_record_count": number(counted),
        "excluded_record_count": number(found.sums.get(Measure::Requests) - counted),
    });
    if let Some(members) = summary.as_object_mut()
        && !currency.is_empty()
    {
        members.insert("currency".to_owned(), currency.into());
    }
    summary
}

/// The reference's families in its order, then the others; those without a match are left out.
fn signals(found: &Aggregate) -> Vec<(String, i128)> {
    let known = FAMILIES.iter().map(|family| (*family).to_owned());
    let others = found.signals.keys().cloned();
    let others = others.filter(|family| !FAMILIES.contains(&family.as_str()));
    let counted = known.chain(others).filter_map(|family| {
        let count = *found.signals.get(&family)?;
        Some((family, i128::from(count)))
    });
    let mut counted: Vec<_> = counted.collect();
    counted.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    counted
}

fn values(ranked: &[(String, i128)]) -> Vec<Value> {
    let values = ranked.iter();
    values
        .map(|(name, value)| json!({"name": name, "value": number(*value)}))
        .collect()
}

fn breakdown(sums: &BTreeMap<String, Sums>) -> Vec<Value> {
    let all = ranked(sums.iter().map(|(name, sums)| (name.clone(), tokens(sums))));
    let with_tokens = all.into_iter().filter(|(_, total)| *total > 0);
    with_tokens
        .take(BROKEN_DOWN)
        .map(|(name, total)| {
            let key = if name == "Unknown" { "" } else { &name };
            let parts = sums.get(key).or_else(|| sums.get(&name)).copied();
            let parts = parts.unwrap_or_default();
            json!({
                "name": name,
                "value": number(total),
                "input_tokens": number(parts.input_tokens()),
                "output_tokens": number(parts.output_tokens()),
                "total_tokens": number(total),
            })
        })
        .collect()
}

fn tokens(sums: &Sums) -> i128 {
    sums.input_tokens() + sums.output_tokens()
}

/// Returns an integer for JSON, which has no larger ones than 64 bits here.
fn number(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

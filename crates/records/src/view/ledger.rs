//! The ledger as the API shows it: integers as texts, so that no client rounds them.

use serde_json::{Map, Value, json};

use super::query::Ledger;
use crate::ledger::{LedgerKey, LedgerRow, Measure, Rows};
use crate::record::Moment;

/// Returns a ledger's rows and, for each currency, their sum.
#[must_use]
pub fn ledger(asked: &Ledger, rows: &[LedgerRow]) -> Value {
    let mut totals = Rows::default();
    for row in rows {
        totals.add(String::new(), row.currency.clone(), &row.sums);
    }
    let totals = totals.finish();
    json!({
        "object": "merit.ledger",
        "by": name(asked.by),
        "from": asked.times.start.to_string(),
        "to": (asked.times.end < Moment::MAX).then(|| asked.times.end.to_string()),
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
        "totals": totals.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(row: &LedgerRow) -> Value {
    let sums = Measure::ALL.map(|measure| {
        let value = row.sums.get(measure).to_string();
        (measure.name().to_owned(), Value::String(value))
    });
    let mut members: Map<String, Value> = sums.into_iter().collect();
    for (name, value) in [
        ("input_tokens", row.sums.input_tokens()),
        ("output_tokens", row.sums.output_tokens()),
        ("cost_nanos", row.sums.nanos()),
        ("saved_nanos", row.sums.saved_nanos()),
    ] {
        members.insert(name.to_owned(), Value::String(value.to_string()));
    }
    json!({"key": row.key, "currency": row.currency, "sums": members})
}

fn name(by: LedgerKey) -> &'static str {
    match by {
        LedgerKey::All => "all",
        LedgerKey::Caller => "caller",
        LedgerKey::Session => "session",
        LedgerKey::Decision => "decision",
        LedgerKey::Model => "model",
        LedgerKey::Request => "request",
    }
}

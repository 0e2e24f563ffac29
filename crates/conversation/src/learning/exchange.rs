//! What replicas tell each other of outcomes and conversations.
//!
//! Counting and remembering never wait for the store: what is new is sent every now and then by
//! [`Experience::exchange`], and only a conversation that is unknown here is looked up while a
//! request waits, until its deadline.

use super::Experience;
use super::policy::Policy;
use super::rows::{Counts, Increment, Place, Row};
use crate::store::{Change, ChangeBy, SharedStore};
use crate::{ConversationKey, StoreError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The table of all rows in a shared store.
const ROWS: &str = "learning:rows";

impl Experience {
    /// Shares what it learns with other replicas; the store keeps conversations for `keep` after
    /// their last request, and rows after their last change.
    pub fn share(&self, store: Arc<dyn SharedStore>, keep: Duration) {
        self.conversations.share(store, keep);
    }

    /// Tells the store what is new here, and takes over what it knows. Without a store it does
    /// nothing. What could not be told is told the next time.
    ///
    /// # Errors
    /// The store is of no use.
    pub async fn exchange(&self, keep: Duration, deadline: Instant) -> Result<(), StoreError> {
        let Some(store) = self.conversations.store() else {
            return Ok(());
        };
        let increments = self.rows().take_increments();
        let changes: Vec<Change> = increments.iter().flat_map(changes).collect();
        match store.exchange(ROWS, &changes, keep, deadline).await {
            Ok(numbers) => self.rows().adopt(gather(&numbers)),
            Err(error) => {
                self.rows().put_back(&increments);
                return Err(error);
            }
        }

        let changed = self.changed().take();
        let entries: Vec<_> = changed
            .iter()
            .filter_map(|&key| self.conversations.entry(key, keep))
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        let saved = store.save(&entries, deadline).await;
        if saved.is_err() {
            self.changed().put_back(changed);
        }
        saved
    }

    /// Looks an unknown conversation up in the store.
    ///
    /// # Errors
    /// The store is of no use; the request goes on with what is known here.
    pub(super) async fn recall(
        &self,
        key: ConversationKey,
        policy: &Policy,
        now: Instant,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let known = self.find(key, policy.ttl, now).record.is_some();
        if known || self.conversations.store().is_none() {
            return Ok(());
        }
        let deadline = deadline.min(Instant::now() + policy.store_timeout);
        self.conversations.refresh(key, deadline).await
    }
}

/// The name of a number: the place of its row, then which number of it.
#[derive(Serialize, Deserialize)]
struct Field<'a>(
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    i64,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
);

/// Returns the changes of a row's numbers: counts are added to, averages are replaced.
fn changes(increment: &Increment) -> Vec<Change> {
    let counts = counts(&increment.counts)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name, ChangeBy::Adding(count)));
    let averages = averages(&increment.row)
        .into_iter()
        .filter(|(_, average)| *average > 0.0)
        .map(|(name, average)| (name, ChangeBy::Setting(average)));
    counts
        .chain(averages)
        .map(|(name, by)| Change {
            name: field(&increment.place, name),
            by,
        })
        .collect()
}

fn counts(counts: &Counts) -> [(&'static str, u64); 4] {
    [
        ("good", counts.good),
        ("under", counts.under),
        ("over", counts.over),
        ("failed", counts.failed),
    ]
}

fn averages(row: &Row) -> [(&'static str, f64); 3] {
    [
        ("input_cost", row.input_cost),
        ("latency", row.latency),
        ("cache", row.cache),
    ]
}

fn field(place: &Place, name: &str) -> String {
    let field = Field(
        (&*place.recipe).into(),
        (&*place.decision).into(),
        place.tier,
        (&*place.model).into(),
        name.into(),
    );
    // Texts and a number: they can always be written.
    serde_json::to_string(&field).unwrap_or_default()
}

/// Assembles rows from their numbers. A number whose name cannot be read, or that this version does
/// not know, is another version's: it is passed over.
fn gather(numbers: &[(String, f64)]) -> Vec<(Place, Row)> {
    let mut rows: HashMap<Place, Row> = HashMap::new();
    let mut unknown = 0_usize;
    for (name, value) in numbers {
        let Ok(Field(recipe, decision, tier, model, number)) = serde_json::from_str(name) else {
            unknown += 1;
            continue;
        };
        let place = Place {
            recipe: (&*recipe).into(),
            decision: (&*decision).into(),
            tier,
            model: (&*model).into(),
        };
        let row = rows.entry(place).or_default();
        match &*number {
            "good" => row.counts.good = *value as u64,
            "under" => row.counts.under = *value as u64,
            "over" => row.counts.over = *value as u64,
            "failed" => row.counts.failed = *value as u64,
            "input_cost" => row.input_cost = *value,
            "latency" => row.latency = *value,
            "cache" => row.cache = *value,
            _ => unknown += 1,
        }
    }
    if unknown > 0 {
        tracing::debug!(unknown, "numbers of another version are passed over");
    }
    rows.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_fields() {
        let place = |decision: &str, model: &str| Place {
            recipe: "default".into(),
            decision: decision.into(),
            tier: 2,
            model: model.into(),
        };
        let odd = place("a \"quoted\" | one\u{1f}", "m,1");
        let row = Row {
            counts: Counts {
                good: 3,
                failed: 1,
                ..Counts::default()
            },
            latency: 0.25,
            ..Row::default()
        };
        let mut numbers = Vec::new();
        for (name, count) in counts(&row.counts) {
            numbers.push((field(&odd, name), count as f64));
        }
        for (name, average) in averages(&row) {
            numbers.push((field(&odd, name), average));
        }
        numbers.push(("not ours".to_owned(), 1.0));
        numbers.push((field(&odd, "of the future"), 1.0));
        assert_eq!(gather(&numbers), [(odd, row)]);
    }
}

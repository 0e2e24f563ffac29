//! A page of records.

use serde_json::{Value, json};

use super::Detail;
use super::query::List;
use super::record::{Shape, record};
use crate::store::Page;

/// Returns a page as the API shows it.
#[must_use]
pub fn list(asked: &List, page: &Page, detail: Detail) -> Value {
    let shape = Shape {
        detail,
        is_reduced: !asked.show_details,
    };
    let data: Vec<Value> = page
        .records
        .iter()
        .map(|kept| record(kept, shape))
        .collect();
    let end = asked.paging.offset.saturating_add(data.len());
    let has_more = u64::try_from(end).unwrap_or(u64::MAX) < page.total && !data.is_empty();
    let mut answer = json!({
        "object": "router_replay.list",
        "count": data.len(),
        "total": page.total,
        "limit": asked.paging.limit,
        "offset": asked.paging.offset,
        "has_more": has_more,
    });
    if let Some(members) = answer.as_object_mut() {
        if has_more {
            members.insert("next_offset".to_owned(), end.into());
        }
        members.insert("data".to_owned(), data.into());
    }
    answer
}

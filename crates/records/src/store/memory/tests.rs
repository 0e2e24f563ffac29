//! Tests of records in memory.

use super::super::contract::{check, sample};
use super::*;

#[tokio::test]
async fn memory_does_what_every_store_must() {
    check(&Memory::default()).await.unwrap();
}

#[tokio::test]
async fn each_decision_has_room_of_its_own() {
    let memory = Memory::new(3);
    let records: Vec<DecisionRecord> = (0..20).map(sample).collect();
    for record in &records {
        let put = Change::Put(Box::new(record.clone()));
        memory.write(&[put]).await.unwrap();
    }
    let all = Paging {
        limit: 100,
        offset: 0,
    };
    let page = memory.list(&Filter::default(), all, false).await.unwrap();
    // Two recipes with two decisions each.
    assert_eq!(page.total, 12);
    let youngest = &page.records[0].record.request_id;
    assert_eq!(youngest, "Request-19");
}

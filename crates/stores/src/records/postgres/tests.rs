//! Tests of what needs no server; the others are in `tests/it/records.rs`.

use super::*;

fn settings() -> Settings {
    Settings {
        host: "127.0.0.1".to_owned(),
        port: 1,
        database: "d".to_owned(),
        user: "u".to_owned(),
        password: String::new(),
        ssl_mode: String::new(),
        table_name: String::new(),
        limit: Duration::from_millis(200),
    }
}

#[test]
fn what_cannot_be_used_is_said() {
    let check = |change: fn(&mut Settings), is_usable: bool| {
        let mut settings = settings();
        change(&mut settings);
        let opened = open(&settings);
        assert_eq!(opened.is_ok(), is_usable, "{:?}", opened.err());
    };
    check(|_| {}, true);
    check(|it| it.table_name = "my_records2".to_owned(), true);
    check(|it| it.table_name = "2records".to_owned(), false);
    check(|it| it.table_name = "a; DROP TABLE b".to_owned(), false);
    check(|it| it.table_name = "a".repeat(41), false);
    check(|it| it.database.clear(), false);
    check(|it| it.user.clear(), false);
    check(|it| it.ssl_mode = "require".to_owned(), true);
    check(|it| it.ssl_mode = "on".to_owned(), false);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away() {
    use records::store::RecordStore as _;
    let store = open(&settings()).unwrap();
    let found = store.get("0").await;
    assert!(matches!(found, Err(StoreError::Away(_))), "{found:?}");
}

//! Tests of the record.

use super::*;

#[test]
fn the_first_end_stays() {
    let mut record = DecisionRecord::begin(Moment(5));
    assert!(!record.is_ended() && is_id(&record.id));
    record.end(Lifecycle::Failed, &"ü".repeat(300), Moment(7));
    record.end(Lifecycle::Completed, "again", Moment(9));
    assert_eq!(record.lifecycle(), Lifecycle::Failed);
    assert_eq!(record.terminal_reason.chars().count(), 256);
    assert_eq!(record.ended_at.map(|it| Moment::from(&it)), Some(Moment(7)));
}

#[test]
fn a_later_form_is_not_read() {
    let mut record = DecisionRecord::begin(Moment::now());
    let same = DecisionRecord::from_bytes(&record.to_bytes()).unwrap();
    assert_eq!(same, record);
    record.version = VERSION + 1;
    let read = DecisionRecord::from_bytes(&record.to_bytes());
    assert!(matches!(read, Err(Unreadable::Version(2))), "{read:?}");
    let read = DecisionRecord::from_bytes(&[0xff, 0xff]);
    assert!(matches!(read, Err(Unreadable::Malformed(_))), "{read:?}");
}

#[test]
fn moments_are_nanoseconds_on_both_sides_of_1970() {
    for (moment, text) in [
        (Moment(0), "1970-01-01T00:00:00Z"),
        (Moment(1_500_000_000), "1970-01-01T00:00:01.500Z"),
        (Moment(-500_000_000), "1969-12-31T23:59:59.500Z"),
    ] {
        assert_eq!(Moment::from(&WireTime::from(moment)), moment);
        let shown: WireTime = moment.to_string().parse().unwrap();
        assert_eq!(shown, text.parse().unwrap(), "{moment}");
    }
}

#[test]
fn ids_are_32_hexadecimal_digits() {
    for (text, expected) in [
        (new_id().as_str(), true),
        ("", false),
        ("0123", false),
        ("zz23456789abcdef0123456789abcdef", false),
    ] {
        assert_eq!(is_id(text), expected, "{text}");
    }
}

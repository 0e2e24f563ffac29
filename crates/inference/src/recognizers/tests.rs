//! Tables of what each recognizer finds and leaves alone, and what holds of all of them.

use super::*;
use proptest::prelude::*;

/// What a policy at the module threshold of 0.9 would see.
#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    check_from(0.9, text, expected);
}

#[track_caller]
fn check_from(threshold: f32, text: &str, expected: &[(&str, &str)]) {
    let scalars: Vec<char> = text.chars().collect();
    let found = find(text);
    let found: Vec<(String, String)> = found
        .iter()
        .filter(|entity| entity.confidence >= threshold)
        .map(|entity| {
            (
                entity.kind.to_string(),
                scalars[entity.start..entity.end].iter().collect(),
            )
        })
        .collect();
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(kind, span)| ((*kind).into(), (*span).into()))
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn check_all(kind: &str, cases: &[(&str, &str)]) {
    for (text, span) in cases {
        check(text, &[(kind, span)]);
    }
}

#[track_caller]
fn check_none(texts: &[&str]) {
    for text in texts {
        check(text, &[]);
    }
}

#[test]
fn finds_emails() {
    check_all(
        "EMAIL_ADDRESS",
        &[
            (
                "write to jane.doe@example.com please",
                "jane.doe@example.com",
            ),
            (
                "<o'brien+news@mail.example.co.uk>",
                "o'brien+news@mail.example.co.uk",
            ),
            ("Mail: a_b%c@x-y.org.", "a_b%c@x-y.org"),
            ("mailto:kim@test.io?subject=hi", "kim@test.io"),
            ("jörg@müller.de, sonst niemand", "jörg@müller.de"),
            ("请写信给li@example.cn谢谢", "li@example.cn"),
            ("(JOHN@EXAMPLE.COM)", "JOHN@EXAMPLE.COM"),
            ("😀bob@example.org😀", "bob@example.org"),
            ("'sam@corp.museum'", "sam@corp.museum"),
        ],
    );
    check_none(&[
        "@anna can you look",
        "user@localhost",
        "lodash@4.17.21",
        "icon@2x.png",
        "a@b",
        "x@.com",
        "git@github.com:org/repo.git",
        "https://user:secret@host.example.com/x",
        "ssh root@db.example.com",
        "@types/node",
        "meet @ 5.pm",
        "a@-b.com",
        "a@b..com",
    ]);
}

#[test]
fn finds_cards() {
    check_all(
        "CREDIT_CARD",
        &[
            ("4111111111111111", "4111111111111111"),
            ("pay with 4111 1111 1111 1111 12/27", "4111 1111 1111 1111"),
            ("5555-5555-5555-4444.", "5555-5555-5555-4444"),
            ("amex 3782 822463 10005", "3782 822463 10005"),
            ("378282246310005", "378282246310005"),
            ("6011111111111117", "6011111111111117"),
            ("3530111333300000", "3530111333300000"),
            ("diners 30569309025904", "30569309025904"),
            ("2223000048400011", "2223000048400011"),
            ("card 41111111 11111111", "41111111 11111111"),
            (
                "4111\u{a0}1111\u{a0}1111\u{a0}1111",
                "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            ),
            ("maestro card 6759649826438453", "6759649826438453"),
        ],
    );
    check_none(&[
        "4111111111111112",
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "order 41111111111111112",
        "1234567812345670",
        "4111111111111111-22",
        "a4111111111111111b2",
        "3fx4111111111111111",
        "v3.x4111111111111111.7",
        "order_4111111111111111",
        "3.4111111111111111",
        "6759649826438453",
    ]);
}

/// People write what signs they like between groups, or between single digits.
#[test]
fn finds_numbers_with_any_sign_between() {
    let groups = ["4111", "1111", "1111", "1111"];
    let amex = ["3782", "822463", "10005"];
    let single = |digits: &str, by: &str| {
        let digits: Vec<String> = digits.chars().map(String::from).collect();
        digits.join(by)
    };
    for by in [" ", "-", ".", "/", "_", "\u{2013}", "\u{A0}"] {
        for written in [
            groups.join(by),
            amex.join(by),
            single("4111111111111111", by),
            single("378282246310005", by),
            single("5555555555554444", by),
        ] {
            for text in [
                written.clone(),
                format!("use {written}, please"),
                format!("（{written}）"),
            ] {
                check(&text, &[("CREDIT_CARD", &written)]);
            }
            let mut other = written.clone();
            other.pop();
            other.push('9');
            check_none(&[&other]);
        }
        let iban = single("DE89370400440532013000", by);
        check(&format!("to {iban}."), &[("IBAN_CODE", &iban)]);
        check_none(&[&single("DE89370400440532013001", by)]);
        let pairs = ["41", "11", "11", "11", "11", "11", "11", "11"].join(by);
        check(&format!("my card {pairs} ok"), &[("CREDIT_CARD", &pairs)]);
        check_none(&[&format!("rows {pairs} ok")]);
    }
    let more = "2 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1";
    check_none(&[
        more,
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 3",
        "[2, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
        "[4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8]",
        "4\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n2",
        "/4111/1111/1111/1111",
        "4111/1111/1111/1111/2222",
        "https://example.com/4111/1111/1111/1111/index.html",
        "a_4111_1111_1111_1111",
        "D E 8 9 is not enough",
    ]);
    let card = "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1";
    check(&format!("card {card} 3"), &[("CREDIT_CARD", card)]);
}

#[test]
fn finds_numbers_whose_digits_stand_apart() {
    let single = |digits: &str, by: &str| {
        let digits: Vec<String> = digits.chars().map(String::from).collect();
        digits.join(by)
    };
    for by in [
        "\n", "\r\n", "  ", "   ", ", ", ",", " - ", "; ", " | ", "\t", "\n\n",
    ] {
        for card in ["4111111111111111", "378282246310005", "5555555555554444"] {
            let written = single(card, by);
            check(&format!("use {written} now"), &[("CREDIT_CARD", &written)]);
        }
        let ssn = single("536904399", by);
        check(&format!("my SSN is {ssn}."), &[("US_SSN", &ssn)]);
        check_none(&[
            &format!("numbers {ssn}."),
            &format!("my SSN {}", single("536904399123", by)),
        ]);
    }
}

#[test]
fn finds_cards_with_letters_beside_them() {
    for (text, card) in [
        ("card4111111111111111x", "4111111111111111"),
        ("4111111111111111x", "4111111111111111"),
        ("x4111111111111111", "4111111111111111"),
        ("pan_5555555555554444", "5555555555554444"),
        ("pay:visa4111-1111-1111-1111ok", "4111-1111-1111-1111"),
        ("cc378282246310005exp", "378282246310005"),
    ] {
        check(text, &[("CREDIT_CARD", card)]);
    }
    check_none(&["x4111111111111112", "x1234567812345670y"]);
}

#[test]
fn finds_numbers_across_texts() {
    let long = "word ".repeat(100);
    let found = |texts: &[&str]| -> Vec<(String, usize)> {
        let across = across(texts).into_iter();
        let mut found: Vec<_> = across
            .map(|it| (it.entity.kind.to_string(), it.ends_in))
            .collect();
        found.dedup();
        found
    };
    let card = |at: usize| vec![("CREDIT_CARD".to_owned(), at)];
    for (texts, expected) in [
        (vec!["my card is 4111 1111", "1111 1111, thanks"], card(1)),
        (vec!["4111", "1111", "1111", "1111"], card(3)),
        (vec!["hello", "41111111", " 11111111 ", "bye"], card(2)),
        (
            vec![&*format!("{long} 4111 1111"), &*format!("1111 1111 {long}")],
            card(1),
        ),
        (vec!["4111 1111 1111 1111", "hello"], vec![]),
        (
            vec!["my ssn is 536-90", "4399"],
            vec![("US_SSN".to_owned(), 1)],
        ),
        (vec!["4111 11", "11 1111 1111"], card(1)),
        (vec!["41111", "11111", "111111"], card(2)),
        (vec!["I have 4111", "1111 of them"], vec![]),
        (
            vec!["DE89 3704 0044", "0532 0130 00"],
            vec![("IBAN_CODE".to_owned(), 1)],
        ),
        (vec![&*format!("4111 1111 {long}"), "1111 1111"], vec![]),
        (vec![], vec![]),
    ] {
        assert_eq!(found(&texts), expected, "{texts:?}");
    }
}

#[test]
fn knows_luhn() {
    for (number, valid) in [
        ("79927398713", true),
        ("79927398710", false),
        ("4532015112830366", true),
        ("4532015112830367", false),
    ] {
        let digits: Vec<u8> = number.bytes().map(|byte| byte - b'0').collect();
        assert_eq!(card::luhn(&digits), valid, "{number}");
    }
}

#[test]
fn finds_ibans() {
    check_all(
        "IBAN_CODE",
        &[
            ("DE89370400440532013000", "DE89370400440532013000"),
            (
                "IBAN DE89 3704 0044 0532 0130 00, danke",
                "DE89 3704 0044 0532 0130 00",
            ),
            ("IBAN:gb82west12345698765432", "gb82west12345698765432"),
            (
                "FR14 2004 1010 0505 0001 3M02 606",
                "FR14 2004 1010 0505 0001 3M02 606",
            ),
            ("ES9121000418450200051332", "ES9121000418450200051332"),
            ("IT60X0542811101000000123456", "IT60X0542811101000000123456"),
            (
                "PT50 0002 0123 1234 5678 9015 4",
                "PT50 0002 0123 1234 5678 9015 4",
            ),
            ("NL91ABNA0417164300", "NL91ABNA0417164300"),
            ("CH93-0076-2011-6238-5295-7", "CH93-0076-2011-6238-5295-7"),
            ("BE68 5390 0754 7034", "BE68 5390 0754 7034"),
            ("NO9386011117947", "NO9386011117947"),
            (
                "BR15 0000 0000 0000 1093 2840 814 P2",
                "BR15 0000 0000 0000 1093 2840 814 P2",
            ),
        ],
    );
    check_none(&[
        "DE89370400440532013001",
        "DE8937040044053201300",
        "XX89370400440532013000",
        "DE893704 00  4405320130 00",
        "DE893704004405320130000",
        "GB82 TEST 1234 5698 7654 32",
        "DE is 89 years old",
    ]);
}

/// A number is the same whatever letters stand beside it.
#[test]
fn finds_numbers_within_texts_of_other_scripts() {
    let numbers = [
        ("CREDIT_CARD", "4111111111111111"),
        ("CREDIT_CARD", "5555-5555-5555-4444"),
        ("IBAN_CODE", "DE89370400440532013000"),
        ("US_SSN", "536-22-1234"),
        ("PHONE_NUMBER", "+14155552671"),
        ("IP_ADDRESS", "203.0.113.77"),
    ];
    let surroundings = [
        ("号码是", "，请帮我查一下"),
        ("我的", "吗"),
        ("番号は", "です"),
        ("カード", "デス"),
        ("번호", "입니다"),
        ("เลขที่", "ครับ"),
        ("ເລກ", "ແມ່ນ"),
        ("លេខ", "គឺ"),
        ("နံပါတ်", "ဖြစ်"),
        ("رقم", "هو"),
        ("מספר", "הוא"),
        ("「", "」"),
    ];
    for (before, after) in surroundings {
        for (kind, number) in numbers {
            check(&format!("{before}{number}{after}"), &[(kind, number)]);
        }
    }
    for text in ["карта4111111111111111", "4111111111111111και"] {
        check(text, &[("CREDIT_CARD", "4111111111111111")]);
    }
    check_none(&["карта4111111111111111и2", "а4111111111111112"]);
}

#[test]
fn finds_numbers_in_digits_of_other_scripts() {
    check_all(
        "CREDIT_CARD",
        &[
            (
                "卡号：４１１１１１１１１１１１１１１１",
                "４１１１１１１１１１１１１１１１",
            ),
            (
                "my card is ４１１１ １１１１ １１１１ １１１１",
                "４１１１ １１１１ １１１１ １１１１",
            ),
            ("my card is ٤١١١ ١١١١ ١١١١ ١١١١", "٤١١١ ١١١١ ١١١١ ١١١١"),
            ("कार्ड ४१११११११११११११११ है", "४१११११११११११११११"),
            ("𝟒𝟏𝟏𝟏 𝟏𝟏𝟏𝟏 𝟏𝟏𝟏𝟏 𝟏𝟏𝟏𝟏", "𝟒𝟏𝟏𝟏 𝟏𝟏𝟏𝟏 𝟏𝟏𝟏𝟏 𝟏𝟏𝟏𝟏"),
            (
                "4111\u{200B}1111\u{200B}1111\u{200B}1111",
                "4111\u{200B}1111\u{200B}1111\u{200B}1111",
            ),
            (
                "x: 4111\u{AD}1111\u{AD}1111\u{AD}1111.",
                "4111\u{AD}1111\u{AD}1111\u{AD}1111",
            ),
            ("4111\u{2060} 1111 1111 1111", "4111\u{2060} 1111 1111 1111"),
        ],
    );
    check(
        "ＩＢＡＮ ＤＥ８９３７０４００４４０５３２０１３０００",
        &[("IBAN_CODE", "ＤＥ８９３７０４００４４０５３２０１３０００")],
    );
    check("جوالي +٩٦٦٥٠١٢٣٤٥٦٧", &[("PHONE_NUMBER", "+٩٦٦٥٠١٢٣٤٥٦٧")]);
    check(
        "ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        &[("EMAIL_ADDRESS", "ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ")],
    );
}

#[test]
fn finds_numbers_whose_groups_stand_apart() {
    check_all(
        "CREDIT_CARD",
        &[
            ("my card is 4111 1111\n1111 1111", "4111 1111\n1111 1111"),
            ("4111-1111-\r\n1111-1111", "4111-1111-\r\n1111-1111"),
            ("4111  1111  1111  1111", "4111  1111  1111  1111"),
            ("4111 - 1111 - 1111 - 1111", "4111 - 1111 - 1111 - 1111"),
            ("4111·1111·1111·1111", "4111·1111·1111·1111"),
            ("| 4111 | 1111 | 1111 | 1111 |", "4111 | 1111 | 1111 | 1111"),
            (
                "<td>4111</td><td>1111</td><td>1111</td><td>1111</td>",
                "4111</td><td>1111</td><td>1111</td><td>1111",
            ),
            (
                "[\"4111\", \"1111\", \"1111\", \"1111\"]",
                "4111\", \"1111\", \"1111\", \"1111",
            ),
            ("4111\n1111\n1111\n1111\n12/27", "4111\n1111\n1111\n1111"),
            (
                "card: 4111, 1111, 1111, 1111, 1234",
                "4111, 1111, 1111, 1111",
            ),
        ],
    );
    check_all(
        "IBAN_CODE",
        &[
            (
                "DE89 3704  0044 0532 0130 00",
                "DE89 3704  0044 0532 0130 00",
            ),
            (
                "DE89 3704 0044\n0532 0130 00",
                "DE89 3704 0044\n0532 0130 00",
            ),
            (
                "DE89 | 3704 | 0044 | 0532 | 0130 | 00",
                "DE89 | 3704 | 0044 | 0532 | 0130 | 00",
            ),
        ],
    );
    check_all(
        "US_SSN",
        &[
            ("536221234 is my social security number", "536221234"),
            ("536-22-\n1234", "536-22-\n1234"),
            ("SSN: 536 - 22 - 1234", "536 - 22 - 1234"),
        ],
    );
    check(
        "call +1 415\n555 2671",
        &[("PHONE_NUMBER", "+1 415\n555 2671")],
    );
    check("host 203.0.\n113.77", &[("IP_ADDRESS", "203.0.\n113.77")]);
    check_none(&[
        "4111, 1111, 1111, 1111, 1234",
        "7, 4111 | 1111 | 1111 | 1112",
        "1998 | 4111 | 1111 | 1111 | 1111",
        "4111\n1111\n1111\n1111\n2222",
        "536 - 22 - 1234",
        "203. 0. 113. 77",
        "0123\n45678\n901",
    ]);
}

#[test]
fn knows_mod_97() {
    for (number, rest) in [
        ("GB82WEST12345698765432", Some(1)),
        ("DE89370400440532013000", Some(1)),
        ("GB00WEST12345698765432", Some(16)),
        ("DE", None),
    ] {
        assert_eq!(iban::mod97(number), rest, "{number}");
    }
}

#[test]
fn finds_addresses() {
    check_all(
        "IP_ADDRESS",
        &[
            ("ping 192.168.1.10", "192.168.1.10"),
            ("from 203.0.113.77:8080 came", "203.0.113.77"),
            ("10.0.0.0/8", "10.0.0.0"),
            ("dns 8.8.8.8.", "8.8.8.8"),
            ("host 4.2.1.3 is down", "4.2.1.3"),
            ("2001:db8::1", "2001:db8::1"),
            (
                "[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:443",
                "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
            ),
            ("fe80::1ff:fe23:4567:890a%eth0", "fe80::1ff:fe23:4567:890a"),
            ("see ::ffff:192.0.2.128", "::ffff:192.0.2.128"),
        ],
    );
    check_none(&[
        "version 10.15.7.2",
        "section 4.2.1.3",
        "see 1.2.3.4 above",
        "v1.2.3.4",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "12:30:45",
        "std::vec",
        "00:1a:2b:3c:4d:5e",
        "127.0.0.1",
        "255.255.255.0",
        "::1",
        "add::dad",
        "a::b",
        "Kapitel 3.1.4.1",
        "firmware 192.168.1.1",
    ]);
}

#[test]
fn finds_social_security_numbers() {
    check_all(
        "US_SSN",
        &[
            ("536-90-4399", "536-90-4399"),
            ("my SSN is 123-45-6789.", "123-45-6789"),
            ("ssn: 536904399", "536904399"),
            ("social security number 536 90 4399", "536 90 4399"),
            ("536\u{2011}90\u{2011}4399", "536\u{2011}90\u{2011}4399"),
        ],
    );
    check_none(&[
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "536904399",
        "part number 536-90-4399",
        "536-90-43999",
        "1536-90-4399",
        "536-90-4399-1",
        "536 90 4399",
        "SSN order 536904399",
    ]);
}

#[test]
fn finds_telephone_numbers() {
    check_all(
        "PHONE_NUMBER",
        &[
            ("+1 415 555 0132", "+1 415 555 0132"),
            ("+49 (0)30 1234567", "+49 (0)30 1234567"),
            ("+442079460958", "+442079460958"),
            ("+33 6 12 34 56 78", "+33 6 12 34 56 78"),
            ("+351 912 345 678", "+351 912 345 678"),
            ("call (212) 555-0187 now", "(212) 555-0187"),
            ("212-555-0187", "212-555-0187"),
            ("212.555.0187", "212.555.0187"),
            ("1-800-555-0199", "1-800-555-0199"),
            ("06 12 34 56 78", "06 12 34 56 78"),
            ("020 7946 0958", "020 7946 0958"),
            ("0171/2345678", "0171/2345678"),
            ("0049 30 1234567", "0049 30 1234567"),
            ("(11) 98765-4321", "(11) 98765-4321"),
            ("my number is 5551234567", "5551234567"),
            ("llámame al 612 345 678", "612 345 678"),
            ("tel:0301234567", "0301234567"),
            ("Text me at 555-0142", "555-0142"),
            ("2125550187 is my cell", "2125550187"),
            ("(030) 1234567", "(030) 1234567"),
        ],
    );
    check_none(&[
        "order 2125550187",
        "2024-01-15",
        "01.02.2024",
        "ISBN 978-3-16-148410-0",
        "ISBN 0-306-40615-2",
        "3.14159265358",
        "1234567.89",
        "ticket 212-555-0187",
        "12345678",
        "$2125550187",
        "10:30:00",
        "tracking number 1Z999AA10123456784",
        "+1000",
        "+ 49 30 123",
        "2019 2020",
        "order number 030 1234567",
        "timestamp 1700000000",
        "555-1234567-22",
        "1 000 000",
        "100 200 300",
        "C++11 2020",
        "room 555 on floor 12",
    ]);
}

#[test]
fn finds_what_a_word_tells() {
    check_all(
        "US_DRIVER_LICENSE",
        &[
            ("driver's license D1234567", "D1234567"),
            ("Drivers License number: S530-4209-0001", "S530-4209-0001"),
        ],
    );
    check_none(&["license key D1234567", "D1234567", "invoice D1234567"]);
    check_all(
        "DATE_TIME",
        &[
            ("born on 12.03.1987", "12.03.1987"),
            ("DOB: 03/12/87", "03/12/87"),
            ("date of birth March 12, 1987", "March 12, 1987"),
            ("nacida el 12 de marzo de 1987", "12 de marzo de 1987"),
            ("geboren am 12. März 1987 in Ulm", "12. März 1987"),
        ],
    );
    check_none(&[
        "on 12.03.1987",
        "March 12, 1987",
        "see example.com",
        "I am 34 years old",
        "Dr. Who",
        "Austin, TX 78701",
        "Monday",
    ]);
}

#[test]
fn tells_weak_types_with_low_confidence() {
    let weak = [
        ("see www.example.com/x", "DOMAIN_NAME", "www.example.com"),
        ("I am 34 years old", "AGE", "34"),
        ("a 7-year-old", "AGE", "7"),
        ("Dr. Who", "TITLE", "Dr."),
        ("Austin, TX 78701", "ZIP_CODE", "78701"),
        ("zip code: 78701-1234", "ZIP_CODE", "78701-1234"),
        ("due 2024-01-15", "DATE_TIME", "2024-01-15"),
        ("localhost is 127.0.0.1", "IP_ADDRESS", "127.0.0.1"),
    ];
    for (text, kind, span) in weak {
        check_from(0.0, text, &[(kind, span)]);
        check(text, &[]);
    }
}

#[test]
fn finds_several_in_one_text() {
    check(
        "Jane (jane@example.com, +44 20 7946 0958) paid 4111 1111 1111 1111 from DE89 3704 0044 0532 0130 00, ssn 536-90-4399, ip 10.1.2.3",
        &[
            ("EMAIL_ADDRESS", "jane@example.com"),
            ("PHONE_NUMBER", "+44 20 7946 0958"),
            ("CREDIT_CARD", "4111 1111 1111 1111"),
            ("IBAN_CODE", "DE89 3704 0044 0532 0130 00"),
            ("US_SSN", "536-90-4399"),
            ("IP_ADDRESS", "10.1.2.3"),
        ],
    );
}

#[test]
fn merges_with_what_a_head_found() {
    let entity = |kind: &str, start, end, confidence| Entity {
        kind: kind.into(),
        confidence,
        start,
        end,
    };
    let rules = vec![
        entity("EMAIL_ADDRESS", 10, 20, 0.99),
        entity("DATE_TIME", 30, 40, 0.5),
    ];
    let head = vec![
        entity("PERSON", 8, 14, 0.95),
        entity("GPE", 0, 5, 0.95),
        entity("STREET_ADDRESS", 35, 50, 0.92),
    ];
    let expected = [
        entity("GPE", 0, 5, 0.95),
        entity("EMAIL_ADDRESS", 10, 20, 0.99),
        entity("STREET_ADDRESS", 35, 50, 0.92),
    ];
    assert_eq!(merge(rules, head), expected);
}

#[test]
fn costs_grow_with_length_only() {
    let patterns = [
        "1",
        "1 ",
        "1-",
        "1.",
        "(1",
        "+1",
        "a@",
        "@",
        "a.",
        ":",
        "1:",
        "1, ",
        "1\n",
        "x1",
        "f:",
        "DE11",
        "DE1 ",
        "@a.",
        "1 2-",
        "4111 ",
        "ssn ",
        "call 1",
        "January 1 ",
        "1 January ",
        "x-",
        "dl# 12345",
        "+1 415 555 0132 ",
        "call 212-555-0187 ",
        "10.1.2.3 ",
    ];
    for pattern in patterns {
        let reads = |length: usize| {
            let text = Text::new(&pattern.repeat(length / pattern.len()));
            scan(&text);
            text.reads.get()
        };
        let (short, long) = (reads(4_000), reads(40_000));
        assert!(
            long < 11 * short + 20_000,
            "{pattern}: {short} reads became {long}"
        );
        assert!(long < 700 * 40_000, "{pattern}: {long} reads");
    }
}

proptest! {
    #[test]
    fn slices_find_what_the_whole_holds(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "Some words that say nothing. ",
                "漢字とカナ、",
                "write to jane@example.com, ",
                "card 4111 1111 1111 1111 ",
                "my IBAN is DE89 3704 0044 0532 0130 00. ",
                "call +1 (415) 555-2671 \n",
                "😀😀 ",
                "10.20.30.40 ",
                "4１１1-1111-1111-1111 ",
            ]),
            0..60,
        ),
        slice in 40_usize..400,
    ) {
        let text = parts.concat();
        prop_assert_eq!(find_in_slices(&text, slice, 300), find_together(&text));
    }

    #[test]
    fn finds_the_same_behind_any_script(before in "[😀äß漢字 \n]{0,12}", after in "[😀漢字 \n]{0,12}") {
        let text = format!("{before} jane@example.com 4111 1111 1111 1111 {after}");
        let shift = before.chars().count() + 1;
        let found: Vec<_> = find(&text).into_iter().map(|entity| (entity.start, entity.end)).collect();
        prop_assert_eq!(found, [(shift, shift + 16), (shift + 17, shift + 36)]);
    }

    #[test]
    fn every_span_verifies_again(text in "([0-9]{1,4}[ .-]?|[A-Z]{2}|@|[a-z]{1,4}\\.?|\\+|: |IBAN |card |ssn ){1,30}") {
        let scalars: Vec<char> = text.chars().collect();
        let mut last = 0;
        for entity in find(&text) {
            prop_assert!(last <= entity.start && entity.start < entity.end && entity.end <= scalars.len());
            last = entity.end;
            let span: String = scalars[entity.start..entity.end].iter().collect();
            let digits: Vec<u8> = span.chars().filter_map(|c| c.to_digit(10)).map(|digit| digit as u8).collect();
            match &*entity.kind {
                "CREDIT_CARD" => prop_assert!(card::luhn(&digits)),
                "IBAN_CODE" => {
                    let whole: String = span.chars().filter(char::is_ascii_alphanumeric).collect();
                    prop_assert_eq!(iban::mod97(&whole.to_uppercase()), Some(1));
                }
                "PHONE_NUMBER" => prop_assert!((7..=16).contains(&digits.len())),
                "US_SSN" => prop_assert_eq!(digits.len(), 9),
                "EMAIL_ADDRESS" => prop_assert_eq!(span.matches('@').count(), 1),
                _ => {}
            }
        }
    }

    #[test]
    fn finds_every_valid_card(middle in proptest::collection::vec(0_u8..10, 14), by in prop_oneof![Just(""), Just(" "), Just("-")]) {
        let mut digits = vec![4];
        digits.extend(middle);
        let check = (0..10).find(|check| card::luhn(&[digits.as_slice(), &[*check]].concat())).unwrap();
        digits.push(check);
        let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().map(|digit| char::from(b'0' + digit)).collect()).collect();
        let number = groups.join(by);
        let found = find(&format!("pay {number} now"));
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!((&*found[0].kind, found[0].start, found[0].end), ("CREDIT_CARD", 4, 4 + number.len()));
    }
}

/// Numbers that the authorities print as examples, or that satisfy the check digits.
#[test]
fn finds_national_numbers() {
    for (kind, texts) in [
        (
            "AU_TFN",
            &["my TFN is 123 456 782", "tax file number: 123456782"][..],
        ),
        ("BR_CNPJ", &["11.222.333/0001-81", "CNPJ 11222333000181"]),
        ("BR_CPF", &["529.982.247-25", "meu cpf é 52998224725"]),
        (
            "CA_SIN",
            &["SIN: 130 692 544", "social insurance number 130692544"],
        ),
        (
            "CN_RESIDENT_ID",
            &["身份证号11010519491231002X", "440524198001010013"],
        ),
        ("DE_TAX_ID", &["86 095 742 719", "Steuer-ID: 86095742719"]),
        ("FR_NIR", &["2 55 08 14 168 025 38", "255081416802538"]),
        ("ES_NIE", &["X1234567L", "x-1234567-l"]),
        ("ES_NIF", &["12345678Z", "12.345.678-Z"]),
        (
            "ID_NIK",
            &["NIK 3171 0150 0590 0001", "nik: 3171015005900001"],
        ),
        ("IN_AADHAAR", &["2341 2341 2346", "आधार संख्या 234123412346"]),
        ("IN_PAN", &["ABCPE1234F", "pan no. abcpe1234f"]),
        (
            "IT_FISCAL_CODE",
            &["RSSMRA85T10A562S", "RSS MRA 85T10 A562S"],
        ),
        (
            "JP_MY_NUMBER",
            &["マイナンバーは1234-5678-9018です", "個人番号 123456789018"],
        ),
        ("KR_RRN", &["900101-1234568", "주민등록번호 9001011234568"]),
        (
            "NL_BSN",
            &["BSN 111222333", "mijn burgerservicenummer: 1112.22.333"],
        ),
        (
            "PL_PESEL",
            &["PESEL 44051401359", "mój pesel to 440514 01359"],
        ),
        ("RU_INN", &["ИНН 7707083893", "инн 500100732259"]),
        ("RU_SNILS", &["112-233-445 95", "СНИЛС 11223344595"]),
        (
            "TH_TNIN",
            &["1-1017-00230-70-8", "เลขบัตรประชาชน 1101700230708"],
        ),
        (
            "TR_TCKN",
            &["TC kimlik no: 10000000146", "tckn 10000000146"],
        ),
        ("UA_RNOKPP", &["РНОКПП 3184710691", "іпн 3184710691"]),
        ("UK_NHS", &["NHS number 943 476 5919", "nhs: 9434765919"]),
        (
            "VN_CCCD",
            &["CCCD 001090012345", "số căn cước công dân 001090012345"],
        ),
    ] {
        for text in texts {
            let found = find(text);
            let found: Vec<&str> = found
                .iter()
                .filter(|entity| entity.confidence >= 0.9)
                .map(|entity| &*entity.kind)
                .collect();
            assert_eq!(found, [kind], "{text}");
        }
    }
}

/// A wrong check digit, a date that is none, or a number with no word near it that says what it is.
#[test]
fn leaves_numbers_that_only_look_national() {
    check_none(&[
        "529.982.247-24",
        "111.111.111-11",
        "11.222.333/0001-80",
        "commit 52998224725",
        "86 095 742 718",
        "身份证号11010519491231002",
        "440524188013010014",
        "2 55 08 14 168 025 37",
        "12345678A",
        "X1234567A",
        "2341 2341 2345",
        "order 2341 2341 2346",
        "abcpe1234f",
        "RSSMRA85T10A562T",
        "901301-1234568",
        "the value 10000000146 overflowed",
        "44051401359",
        "123 456 782",
        "1-1017-00230-70-4",
        "112-233-445 96",
        "1234567890123456",
        "заказ 7707083893",
        "订单号 110105194912310",
        "номер заказа 12345678901",
        "主文件 3171015005900001",
    ]);
}

proptest! {
    /// One wrong digit never passes the schemes that are made to see it.
    #[test]
    fn a_wrong_digit_is_no_national_number(at in 0_usize..11, by in 1_u8..10) {
        for (kind, word, number) in [
            ("DE_TAX_ID", "steuer-id", "86095742719"),
            ("IN_AADHAAR", "aadhaar", "234123412346"),
            ("TR_TCKN", "tckn", "10000000146"),
        ] {
            let mut digits: Vec<u8> = number.bytes().collect();
            digits[at] = b'0' + (digits[at] - b'0' + by) % 10;
            let text = format!("{word} {}", String::from_utf8(digits).unwrap());
            let found = find(&text);
            prop_assert!(!found.iter().any(|it| &*it.kind == kind), "{text}");
        }
    }
}

use super::{checks::*, *};
use proptest::prelude::*;

fn secrets() -> Formats {
    Formats::parse(include_str!("../data/secrets.toml"), Sort::Secret).unwrap()
}

fn personal() -> Formats {
    Formats::parse(include_str!("../data/personal.toml"), Sort::Personal).unwrap()
}

fn ids(formats: &Formats, text: &str) -> Vec<String> {
    formats.find(text).iter().map(|f| format!("{} {}", f.format.id, &text[f.start..f.end])).collect()
}

#[test]
fn there_are_formats_enough_and_no_id_twice() {
    let formats = secrets();
    assert!(formats.iter().count() >= 60);
    for formats in [&formats, &personal()] {
        let mut ids: Vec<&str> = formats.iter().map(|f| f.id.as_str()).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}

#[test]
fn check_digits_tell_identifiers_from_numbers() {
    // Published examples, and the same with one digit changed.
    let cases: [(Check, &str, &str); 20] = [
        (card, "4111 1111 1111 1111", "4111 1111 1111 1112"),
        (iban, "DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 01"),
        (iban, "gb82west12345698765432", "GB82WEST1234569876543"),
        (spain, "12345678Z", "12345678A"),
        (spain, "X1234567L", "X1234567M"),
        (france, "255081416802538", "255081416802539"),
        (germany, "86095742719", "86095742718"),
        (italy, "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
        (brazil, "529.982.247-25", "529.982.247-26"),
        (poland, "44051401359", "44051401358"),
        (netherlands, "111222333", "111222334"),
        (sweden, "19811218-9876", "19811218-9875"),
        (finland, "131052-308T", "131052-308U"),
        (norway, "01010012356", "01010012357"),
        (belgium, "85.07.30-033.28", "85.07.30-033.29"),
        (nhs, "943 476 5919", "943 476 5918"),
        (india, "2341 2341 2346", "2341 2341 2347"),
        (china, "11010519491231002X", "110105194912310021"),
        (turkey, "10000000146", "10000000147"),
        (ssn, "123-45-6789", "000-45-6789"),
    ];
    for (check, right, wrong) in cases {
        assert!(check(right), "{right}");
        assert!(!check(wrong), "{wrong}");
    }
    assert!(!card("0000 0000 0000 0000"));
}

#[test]
fn bech32_follows_its_specification() {
    assert!(bech32("A12UEL5L") && bech32("split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w"));
    assert!(!bech32("split1checkupstagehandshakeupstreamerranterredcaperred2y9e3x"));
}

#[test]
fn personal_data_is_found_with_its_exact_span() {
    let formats = personal();
    for (text, found) in [
        ("write to anna.b+x@mail.example.com, please", "email anna.b+x@mail.example.com"),
        ("pay to DE89 3704 0044 0532 0130 00 today", "iban DE89 3704 0044 0532 0130 00"),
        ("card 4111-1111-1111-1111 expires", "card 4111-1111-1111-1111"),
        ("call +49 (0)30 1234 5678 now", "phone-international +49 (0)30 1234 5678"),
        ("or 905-674-3793.", "phone-us 905-674-3793"),
        ("or (905)674-3793 ext. 12.", "phone-us (905)674-3793 ext. 12"),
        ("dial 001-905-674-3793x44 or", "phone-dialed 001-905-674-3793x44"),
        ("dial 0044 20 7946 0018 or", "phone-dialed 0044 20 7946 0018"),
        ("in Leeds 01632 960001.", "phone-national 01632 960001"),
        ("in Leeds (01632) 960 001.", "phone-national (01632) 960 001"),
        ("in Berlin 030/12345678,", "phone-national 030/12345678"),
        ("in Sydney (02) 5550 1234,", "phone-national (02) 5550 1234"),
        ("in Paris 01 99 00 12 34,", "phone-national 01 99 00 12 34"),
        ("Her SSN: 460-89-9847", "us-ssn 460-89-9847"),
        ("DNI 12345678Z", "es-dni 12345678Z"),
        ("CPF 529.982.247-25", "br-cpf 529.982.247-25"),
        ("from 106.31.73.20 |", "ipv4 106.31.73.20"),
        ("Dear Mrs. Labrie, hello", "name-title Labrie"),
        ("ship to 448 Hickory Lane, Suite 594", "street 448 Hickory Lane, Suite 594"),
    ] {
        assert_eq!(ids(&formats, text), [found], "{text}");
    }
}

#[test]
fn numbers_of_other_kinds_are_no_personal_data() {
    let formats = personal();
    for text in [
        "order 4111111111111112",
        "version 1.2.3.4.5",
        "2026-11-23 10:15:00",
        "sha 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "12345678901",
        "total 1,234,567.89",
        "0.1234 0.5678",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "user@localhost",
        "a@b",
    ] {
        assert!(ids(&formats, text).is_empty(), "{text}: {:?}", ids(&formats, text));
    }
}

#[test]
fn tokens_with_a_wrong_check_are_none() {
    let formats = secrets();
    // Made here, so that no scanner takes this file for a leak.
    let random = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1";
    let token = format!("ghp_{random}{}", crc32_base62_of(random));
    assert_eq!(ids(&formats, &format!("TOKEN={token}")), [format!("github-token {token}")]);
    let wrong = token.replace('a', "b");
    assert!(!ids(&formats, &format!("see {wrong} here")).iter().any(|id| id.starts_with("github")));
}

#[test]
fn placeholders_and_examples_are_no_secrets() {
    let formats = secrets();
    for text in [
        "api_key = \"your-api-key-goes-here-please\"",
        "password: \"${DB_PASSWORD}\"",
        "postgres://user:password@localhost/db",
        "Authorization: Bearer <token goes here>",
        "let token = std::env::var(\"TOKEN\")?;",
        "the private key of the project is to listen",
        "sk_live_",
    ] {
        assert!(ids(&formats, text).is_empty(), "{text}: {:?}", ids(&formats, text));
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_formats(text in "\\PC{0,200}") {
        for formats in [secrets_once(), personal_once()] {
            for found in formats.find(&text) {
                prop_assert!(text.get(found.start..found.end).is_some_and(|value| !value.is_empty()));
            }
        }
    }

    #[test]
    fn checks_accept_any_text(text in "[0-9A-Za-z .-]{0,24}") {
        for check in [luhn, card, iban, spain, france, germany, italy, brazil, poland, netherlands, sweden, finland, norway, belgium,
            nhs, india, china, turkey, ssn, crc32_base62, bech32] {
            let _ = check(&text);
        }
    }
}

fn secrets_once() -> &'static Formats {
    static ONCE: std::sync::LazyLock<Formats> = std::sync::LazyLock::new(secrets);
    &ONCE
}

fn personal_once() -> &'static Formats {
    static ONCE: std::sync::LazyLock<Formats> = std::sync::LazyLock::new(personal);
    &ONCE
}

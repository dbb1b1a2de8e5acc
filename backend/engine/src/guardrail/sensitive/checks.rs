//! Check digits and the like: what tells an identifier from a number of the same shape.

/// Digits of a text as numbers; other signs are left out.
fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Luhn's formula, ISO/IEC 7812-1 annex B.
#[must_use]
pub fn luhn(text: &str) -> bool {
    let digits = digits(text);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &d)| if i % 2 == 1 { if d > 4 { d * 2 - 9 } else { d * 2 } } else { d })
        .sum();
    digits.len() > 1 && digits.iter().any(|&d| d > 0) && sum.is_multiple_of(10)
}

/// A payment card: length and Luhn, and an issuer's first digits (ISO/IEC 7812: 1 to 6; 9 and 0 are not issued to cards).
#[must_use]
pub fn card(text: &str) -> bool {
    let digits = digits(text);
    (12..=19).contains(&digits.len()) && matches!(digits.first(), Some(1..=6 | 8)) && luhn(text)
}

/// IBAN: length of its country and remainder 1 modulo 97, ISO 13616.
#[must_use]
pub fn iban(text: &str) -> bool {
    const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18\
FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30\
NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";
    let compact: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let Some((country, rest)) = compact.split_at_checked(2) else { return false };
    let length = LENGTHS.as_bytes().chunks(4).find(|entry| entry.starts_with(country.as_bytes()));
    let length = length.and_then(|entry| std::str::from_utf8(&entry[2..]).ok()).and_then(|n| n.parse().ok());
    if length != Some(compact.len()) || !rest.as_bytes()[..2].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let remainder = compact[4..].chars().chain(compact[..4].chars()).fold(0, |remainder, c| match c.to_digit(36) {
        Some(value) if value > 9 => (remainder * 100 + value) % 97,
        Some(value) => (remainder * 10 + value) % 97,
        None => remainder,
    });
    remainder == 1
}

/// The sum of digits times weights; digits without a weight are left out.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| d * w).sum()
}

fn varied(digits: &[u32]) -> bool {
    digits.windows(2).any(|pair| pair[0] != pair[1])
}

/// Spain: DNI and NIE, a letter by the remainder modulo 23.
#[must_use]
pub fn spain(text: &str) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let compact: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let Some(letter) = compact.bytes().last() else { return false };
    let number = compact[..compact.len() - 1].replacen('X', "0", 1).replacen('Y', "1", 1).replacen('Z', "2", 1);
    number.len() == 8 && number.parse::<usize>().is_ok_and(|n| LETTERS[n % 23] == letter)
}

/// France: NIR with its key, 97 minus the remainder modulo 97; Corsica's 2A and 2B count as 19 and 18.
#[must_use]
pub fn france(text: &str) -> bool {
    let compact: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let number = compact.to_ascii_uppercase().replacen("2A", "19", 1).replacen("2B", "18", 1);
    let month = number.get(3..5).and_then(|m| m.parse::<u32>().ok());
    let (body, key) = number.split_at_checked(13).unwrap_or_default();
    match (body.parse::<u64>(), key.parse::<u64>(), month) {
        (Ok(body), Ok(key), Some(1..=12 | 20..=42 | 50..=99)) if compact.len() == 15 => 97 - body % 97 == key,
        _ => false,
    }
}

/// Germany: tax id, ISO 7064 MOD 11,10; exactly one digit occurs twice or three times among the first ten.
#[must_use]
pub fn germany(text: &str) -> bool {
    let digits = digits(text);
    if digits.len() != 11 || digits[0] == 0 {
        return false;
    }
    let repeats = (0..10).filter(|n| digits[..10].iter().filter(|d| *d == n).count() > 1).count();
    let product = digits[..10].iter().fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    repeats == 1 && (11 - product) % 10 == digits[10]
}

/// Italy: codice fiscale, check letter by the tables of the decree of 23 December 1976.
#[must_use]
pub fn italy(text: &str) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let code: Vec<u32> = text.chars().filter_map(|c| c.to_digit(36)).map(|v| if v > 9 { v - 10 } else { v }).collect();
    let sum: u32 = code.iter().take(15).enumerate().map(|(i, &v)| if i % 2 == 0 { ODD[v as usize] } else { v }).sum();
    code.len() == 16 && sum % 26 == code[15]
}

/// Brazil: CPF, two check digits modulo 11.
#[must_use]
pub fn brazil(text: &str) -> bool {
    let digits = digits(text);
    let check = |n: usize| {
        let sum: u32 = digits[..n].iter().enumerate().map(|(i, d)| d * u32::try_from(n + 1 - i).unwrap_or(0)).sum();
        sum * 10 % 11 % 10 == digits[n]
    };
    digits.len() == 11 && varied(&digits) && check(9) && check(10)
}

/// Poland: PESEL.
#[must_use]
pub fn poland(text: &str) -> bool {
    let digits = digits(text);
    digits.len() == 11
        && varied(&digits)
        && weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
        && matches!((digits[2] * 10 + digits[3]) % 20, 1..=12)
        && matches!(digits[4] * 10 + digits[5], 1..=31)
}

/// The Netherlands: BSN, the "eleven test".
#[must_use]
pub fn netherlands(text: &str) -> bool {
    let digits = digits(text);
    digits.len() == 9
        && varied(&digits)
        && (weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]) + 11 - digits[8]).is_multiple_of(11)
}

/// Sweden: personnummer, Luhn over its last ten digits.
#[must_use]
pub fn sweden(text: &str) -> bool {
    let digits = digits(text);
    let Some(last) = digits.len().checked_sub(10).and_then(|from| digits.get(from..)) else { return false };
    let day = last[4] * 10 + last[5];
    let number: String = last.iter().filter_map(|&d| char::from_digit(d, 10)).collect();
    matches!(last[2] * 10 + last[3], 1..=12) && matches!(day, 1..=31 | 61..=91) && luhn(&number)
}

/// Finland: henkilötunnus, a sign by the remainder modulo 31.
#[must_use]
pub fn finland(text: &str) -> bool {
    const SIGNS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let Some((body, sign)) = text.split_at_checked(text.len().saturating_sub(1)) else { return false };
    let number: String =
        body.chars().enumerate().filter(|(i, c)| *i != 6 && c.is_ascii_digit()).map(|(_, c)| c).collect();
    number.len() == 9 && number.parse::<usize>().is_ok_and(|n| sign.to_ascii_uppercase().as_bytes() == [SIGNS[n % 31]])
}

/// Norway: fødselsnummer, two check digits modulo 11.
#[must_use]
pub fn norway(text: &str) -> bool {
    let digits = digits(text);
    digits.len() == 11
        && varied(&digits)
        && weighted(&digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Belgium: national register number, 97 minus the remainder modulo 97; a 2 stands before the number for births since 2000.
#[must_use]
pub fn belgium(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let (body, check) = digits.split_at_checked(9).unwrap_or_default();
    match (body.parse::<u64>(), check.parse::<u64>()) {
        (Ok(body), Ok(check)) if digits.len() == 11 => {
            97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check
        }
        _ => false,
    }
}

/// United Kingdom: NHS number, modulo 11.
#[must_use]
pub fn nhs(text: &str) -> bool {
    let digits = digits(text);
    digits.len() == 10
        && varied(&digits)
        && (weighted(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) + digits[9]).is_multiple_of(11)
}

/// India: Aadhaar, Verhoeff's check over the dihedral group of order 10.
#[must_use]
pub fn india(text: &str) -> bool {
    const STEP: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let multiply = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let digits = digits(text);
    let check = digits.iter().rev().enumerate().fold(0, |check, (i, &digit)| {
        let permuted = (0..i % 8).fold(digit, |d, _| STEP[d as usize]);
        multiply(check, permuted)
    });
    digits.len() == 12 && digits[0] > 1 && check == 0
}

/// China: resident identity number, ISO 7064 MOD 11-2.
#[must_use]
pub fn china(text: &str) -> bool {
    let values: Vec<u32> =
        text.chars().map(|c| if c.eq_ignore_ascii_case(&'x') { 10 } else { c.to_digit(10).unwrap_or(0) }).collect();
    values.len() == 18
        && matches!(values[10] * 10 + values[11], 1..=12)
        && matches!(values[12] * 10 + values[13], 1..=31)
        && weighted(&values, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1]) % 11 == 1
}

/// Turkey: T.C. kimlik numarası.
#[must_use]
pub fn turkey(text: &str) -> bool {
    let d = digits(text);
    if d.len() != 11 || d[0] == 0 {
        return false;
    }
    let (odd, even): (u32, u32) = (d[0] + d[2] + d[4] + d[6] + d[8], d[1] + d[3] + d[5] + d[7]);
    (odd * 7 + 10 * 9 - even) % 10 == d[9] && d[..10].iter().sum::<u32>() % 10 == d[10]
}

/// United States: social security number, by the ranges that are never issued (the ones from 900 are tax numbers).
#[must_use]
pub fn ssn(text: &str) -> bool {
    let digits = digits(text);
    let number = |range: std::ops::Range<usize>| digits[range].iter().fold(0, |n, d| n * 10 + d);
    digits.len() == 9 && !matches!(number(0..3), 0 | 666 | 900..) && number(3..5) != 0 && number(5..9) != 0
}

/// The last six signs are the CRC-32 of those between prefix and them, in base 62: GitHub's and npm's tokens.
#[must_use]
pub fn crc32_base62(token: &str) -> bool {
    let Some((_, body)) = token.split_once('_') else { return false };
    let parts = body.split_at_checked(body.len().saturating_sub(6));
    parts.is_some_and(|(random, check)| crc32_base62_of(random) == check)
}

/// The six signs that stand behind a token's random part.
#[must_use]
pub fn crc32_base62_of(random: &str) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let crc = crc32(random.as_bytes());
    (0..6).rev().map(|place| char::from(ALPHABET[(crc / 62_u32.pow(place) % 62) as usize])).collect()
}

/// CRC-32 as in ISO 3309.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Bech32, BIP 173.
#[must_use]
pub fn bech32(text: &str) -> bool {
    const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let text = text.to_ascii_lowercase();
    let Some((prefix, data)) = text.rsplit_once('1') else { return false };
    let values = prefix.bytes().map(|b| u32::from(b >> 5)).chain([0]).chain(prefix.bytes().map(|b| u32::from(b & 31)));
    let data = data.chars().filter_map(|c| ALPHABET.find(c)).filter_map(|v| u32::try_from(v).ok());
    let check = values.chain(data).fold(1_u32, |check, value| {
        let top = check >> 25;
        let generators = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let next = ((check & 0x01ff_ffff) << 5) ^ value;
        (0..5).fold(next, |next, i| if (top >> i) & 1 == 1 { next ^ generators[i as usize] } else { next })
    });
    check == 1
}

/// Bits a character, by Shannon.
#[must_use]
pub fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let all = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX)).max(1.0);
    counts.iter().filter(|&&n| n > 0).map(|&n| f64::from(n) / all).map(|share| -share * share.log2()).sum()
}

/// Whether a value is no example, variable or hint at what should stand there.
#[must_use]
pub fn not_placeholder(text: &str) -> bool {
    const HINTS: [&str; 26] = [
        "example",
        "your",
        "xxxx",
        "placeholder",
        "changeme",
        "change_me",
        "dummy",
        "sample",
        "insert",
        "replace",
        "todo",
        "redacted",
        "****",
        "....",
        "<",
        "${",
        "{{",
        "$(",
        "%(",
        "process.env",
        "os.environ",
        "getenv",
        "secrets.",
        "vault:",
        "test_",
        "foobar",
    ];
    let lower = text.to_ascii_lowercase();
    let plain = [
        "password", "passwd", "pass", "secret", "user", "admin", "token", "string", "none", "null", "true", "false",
        "postgres",
    ];
    !HINTS.iter().any(|hint| lower.contains(hint))
        && !plain.contains(&lower.as_str())
        && !lower.starts_with(['$', '%', '{', '['])
        && lower.bytes().any(|b| b != lower.as_bytes()[0])
}

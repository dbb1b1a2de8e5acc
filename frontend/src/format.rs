//! Figures and times as a reader sees them. No clock: the present is an argument.

const THIN: char = '\u{202f}';
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY: i64 = 86_400;

/// A count with thin spaces between groups of three digits: `12 031`.
#[must_use]
pub fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        out.push('−');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 asset`, `12 assets`.
#[must_use]
pub fn counted(n: i64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A share in 0..=1 as per cent: `0.6 %`, `15 %`; below one per cent with one decimal.
#[must_use]
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value > 0.0 && value < 0.95 { format!("{value:.1}{THIN}%") } else { format!("{value:.0}{THIN}%") }
}

/// A risk figure in 0..=100 without decimals; a risk that is not zero is never shown as 0.
#[must_use]
pub fn risk(value: f64) -> String {
    if value > 0.0 && value < 0.5 { "<1".into() } else { format!("{value:.0}") }
}

/// Points of risk: one decimal below ten.
#[must_use]
pub fn points(value: f64) -> String {
    if value.abs() < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// Bytes in decimal units: `412 MB`.
#[must_use]
pub fn bytes(n: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = n as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" || value >= 10.0 { format!("{value:.0}{THIN}{unit}") } else { format!("{value:.1}{THIN}{unit}") }
}

/// Seconds since 1970 of an RFC 3339 time, of a day (`2026-11-23`), or `None` for anything else.
#[must_use]
pub fn seconds(time: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let days = days_from_civil(number(0..4)?, number(5..7)?, number(8..10)?);
    if time.len() == 10 {
        return Some(days * DAY);
    }
    let clock = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let zone = time.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.split_at_checked(1) {
        Some(("Z" | "z", _)) => 0,
        Some((sign @ ("+" | "-"), rest)) => {
            let (hours, minutes) = rest.split_once(':')?;
            let value = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if sign == "-" { -value } else { value }
        }
        _ => return None,
    };
    Some(days * DAY + clock - offset)
}

/// Days since 1970 of a date in the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// (year, month, day) of a number of days since 1970; the inverse of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a month is 1 to 12")]
    (year, month as usize, doy - (153 * mp + 2) / 5 + 1)
}

fn month(month: usize) -> &'static str {
    MONTHS.get(month.wrapping_sub(1)).copied().unwrap_or("?")
}

/// `23 Nov`.
#[must_use]
pub fn day_month(seconds: i64) -> String {
    let (_, m, d) = civil_from_days(seconds.div_euclid(DAY));
    format!("{d} {}", month(m))
}

/// `23 Nov 2026`.
#[must_use]
pub fn day(seconds: i64) -> String {
    let (y, m, d) = civil_from_days(seconds.div_euclid(DAY));
    format!("{d} {} {y}", month(m))
}

/// `2026-11-23`, as date inputs take it.
#[must_use]
pub fn iso_day(seconds: i64) -> String {
    let (y, m, d) = civil_from_days(seconds.div_euclid(DAY));
    format!("{y:04}-{m:02}-{d:02}")
}

/// `Mon`.
#[must_use]
pub fn weekday(seconds: i64) -> &'static str {
    let index = (seconds.div_euclid(DAY) + 3).rem_euclid(7);
    usize::try_from(index).ok().and_then(|i| WEEKDAYS.get(i)).copied().unwrap_or("?")
}

/// `23 Nov 2026, 05:46 UTC`.
#[must_use]
pub fn date_time(seconds: i64) -> String {
    format!("{}, {} UTC", day(seconds), clock(seconds))
}

/// `05:46`.
#[must_use]
pub fn clock(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(DAY);
    format!("{:02}:{:02}", of_day / 3600, of_day / 60 % 60)
}

/// `2026-11-23T05:46:12Z`, as the API takes it.
#[must_use]
pub fn iso(seconds: i64) -> String {
    format!("{}T{}:{:02}Z", iso_day(seconds), clock(seconds), seconds.rem_euclid(60))
}

/// Milliseconds since 1970 of an RFC 3339 time, or `None` for anything else.
#[must_use]
pub fn millis(time: &str) -> Option<i64> {
    let fraction = time.get(19..)?.strip_prefix('.').unwrap_or_default();
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).chain(std::iter::repeat(b'0')).take(3);
    Some(seconds(time)? * 1000 + digits.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

/// A length of time of milliseconds: `0.4 ms`, `540 ms`, `1.92 s`, `4 min`.
#[must_use]
pub fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 9.95 => format!("{ms:.1}{THIN}ms"),
        ms if ms < 999.5 => format!("{ms:.0}{THIN}ms"),
        ms if ms < 59_995.0 => format!("{:.2}{THIN}s", ms / 1000.0),
        #[expect(clippy::cast_possible_truncation, reason = "what is longer than the age of the universe saturates")]
        ms => span((ms / 1000.0) as i64),
    }
}

/// An amount in US dollars; what is not zero is never shown as 0.
#[must_use]
pub fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.01 { "<$0.01".into() } else { format!("${amount:.2}") }
}

/// A length of time in its largest unit: `4 min`, `3 h`, `12 d`.
#[must_use]
pub fn span(seconds: i64) -> String {
    match seconds.max(0) {
        s @ ..60 => format!("{s} s"),
        s @ 60..5400 => format!("{} min", (s + 30) / 60),
        s @ 5400..172_800 => format!("{} h", (s + 1800) / 3600),
        s => format!("{} d", s / DAY),
    }
}

/// How long ago, in words: `just now`, `4 min ago`.
#[must_use]
pub fn ago(now: i64, then: i64) -> String {
    if now - then < 10 { "just now".into() } else { format!("{} ago", span(now - then)) }
}

/// Browser and system that a `User-Agent` header names, as `Firefox on Windows`; the header itself where it names none that is
/// known here. The order decides: each browser also names those that it wants to be taken for.
#[must_use]
pub fn user_agent(header: &str) -> String {
    let named =
        |all: &[(&str, &'static str)]| all.iter().find(|(mark, _)| header.contains(mark)).map(|(_, name)| *name);
    let browser = named(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = named(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => header.to_owned(),
    }
}

/// The first letters of the first two words of a name, for the round badge.
#[must_use]
pub fn initials(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.filter_map(|word| word.chars().next()).take(2).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let t = seconds("2026-11-23T05:46:12.345678Z").unwrap();
        assert_eq!(t, 1_795_412_772);
        assert_eq!(seconds("2026-11-23T06:46:12+01:00"), Some(t));
        assert_eq!(seconds("2026-11-23T05:46:12.345678+00:00"), Some(t));
        assert_eq!(date_time(t), "23 Nov 2026, 05:46 UTC");
        assert_eq!(weekday(t), "Mon");
        assert_eq!(iso(t), "2026-11-23T05:46:12Z");
        assert_eq!(millis("2026-11-23T05:46:12.345678Z"), Some(t * 1000 + 345));
        assert_eq!(millis("2026-11-23T05:46:12.5+00:00"), Some(t * 1000 + 500));
        assert_eq!(millis("2026-11-23T05:46:12Z"), Some(t * 1000));
        assert_eq!(day_month(seconds("2024-02-29").unwrap()), "29 Feb");
        assert_eq!(iso_day(seconds("1969-12-31").unwrap()), "1969-12-31");
        for broken in ["", "yesterday", "2026-11-23T", "2026-11-23T05:46:12", "ä026-11-23"] {
            assert_eq!(seconds(broken), None, "{broken}");
        }
    }

    #[test]
    fn spans_use_their_largest_unit() {
        assert_eq!(
            [30, 90, 5399, 5400, 7200, 172_800, 31 * DAY].map(span),
            ["30 s", "2 min", "90 min", "2 h", "2 h", "2 d", "31 d"]
        );
        assert_eq!(ago(100, 95), "just now");
        assert_eq!(
            [0.41, 540.2, 1918.0, 61_000.0].map(duration),
            ["0.4\u{202f}ms", "540\u{202f}ms", "1.92\u{202f}s", "1 min"]
        );
        assert_eq!([0.0, 0.004, 12.5].map(dollars), ["$0.00", "<$0.01", "$12.50"]);
    }

    #[test]
    fn browsers_have_names() {
        for (header, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:132.0) Gecko/20100101 Firefox/132.0",
                "Firefox on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.0 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", ""),
        ] {
            assert_eq!(user_agent(header), name);
        }
    }

    #[test]
    fn figures_carry_their_unit() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(-5), "−5");
        assert_eq!(percent(0.006), "0.6\u{202f}%");
        assert_eq!(percent(0.15), "15\u{202f}%");
        assert_eq!(percent(0.0), "0\u{202f}%");
        assert_eq!(risk(0.2), "<1");
        assert_eq!(bytes(412_000_000), "412\u{202f}MB");
        assert_eq!(bytes(1_500), "1.5\u{202f}kB");
        assert_eq!(initials("Ines Okafor"), "IO");
        assert_eq!(initials("<script>"), "S");
    }
}

//! Query strings: the state of lists lives in the address, so that a view can be linked, reloaded and read without JavaScript.

use std::fmt::Write;

/// The parameters of a query string, in their order; a key may stand more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `a=1&b=2`, with or without a leading `?`. Empty values are dropped: an empty field of a form is no filter.
    #[must_use]
    pub fn parse(search: &str) -> Self {
        Self(
            search
                .trim_start_matches('?')
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| (decode(key), decode(value)))
                .collect(),
        )
    }

    /// Takes pairs as they are, without the empty values.
    #[must_use]
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The first value of a key, or the empty string.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }

    /// All values of a key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// All values of a key that are words of a vocabulary; others are ignored.
    pub fn words<T: std::str::FromStr>(&self, key: &str) -> Option<Vec<T>> {
        let words: Vec<T> = self.all(key).filter_map(|word| word.parse().ok()).collect();
        (!words.is_empty()).then_some(words)
    }

    /// Whether the key has this value.
    #[must_use]
    pub fn has(&self, key: &str, value: &str) -> bool {
        self.all(key).any(|v| v == value)
    }

    /// All pairs.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// With the key set to this one value; an empty value removes the key.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut params = self.without(key);
        if !value.is_empty() {
            params.0.push((key.to_owned(), value.to_owned()));
        }
        params
    }

    /// Without the key.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self(self.0.iter().filter(|(k, _)| k != key).cloned().collect())
    }

    /// Without one value of the key.
    #[must_use]
    pub fn without_value(&self, key: &str, value: &str) -> Self {
        Self(self.0.iter().filter(|(k, v)| k != key || v != value).cloned().collect())
    }

    /// Only the keys that are listed.
    #[must_use]
    pub fn only(&self, keys: &[&str]) -> Self {
        Self(self.0.iter().filter(|(k, _)| keys.contains(&k.as_str())).cloned().collect())
    }

    /// The address of a path with these parameters.
    #[must_use]
    pub fn on(&self, path: &str) -> String {
        let mut url = path.to_owned();
        for (i, (key, value)) in self.0.iter().enumerate() {
            url.push(if i == 0 { '?' } else { '&' });
            url.push_str(&encode(key));
            url.push('=');
            url.push_str(&encode(value));
        }
        url
    }
}

/// Percent-encodes all but unreserved characters.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Decodes percent-encoding and `+`; what is no valid encoding stays as it is.
#[must_use]
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        let hex = text.get(i + 1..i + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                out.push(value);
                i += 2;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_string_reads_back() {
        let params = Params::parse("?severity=HIGH&severity=LOW&search=a+%26%20b&empty=");
        assert_eq!(params.all("severity").collect::<Vec<_>>(), ["HIGH", "LOW"]);
        assert_eq!(params.get("search"), Some("a & b"));
        assert_eq!(params.get("empty"), None);
        assert_eq!(params.on("/findings"), "/findings?severity=HIGH&severity=LOW&search=a%20%26%20b");
        assert_eq!(Params::parse("severity=HIGH").with("severity", "").on("/x"), "/x");
        assert_eq!(params.without_value("severity", "LOW").all("severity").collect::<Vec<_>>(), ["HIGH"]);
    }

    #[test]
    fn broken_encodings_do_not_break_the_page() {
        assert_eq!(decode("%"), "%");
        assert_eq!(decode("%zz"), "%zz");
        assert_eq!(decode("a%C3%A4%"), "aä%");
        assert_eq!(decode("%E4ä"), "\u{fffd}ä");
        assert_eq!(encode("ä/="), "%C3%A4%2F%3D");
    }
}

//! What makes two reports' findings the same finding.
//!
//! A fingerprint is made from the asset and from parts that an importer declares stable (a rule, a file, a snippet), never
//! from line numbers, run ids or the attack's text. It is the first 128 bits of SHA-256, written as 32 lowercase hex digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Separates fingerprints from every other use of SHA-256, and from those of a later scheme.
const DOMAIN: &[u8] = b"stance-fingerprint/1\0";

/// Identity of a finding across reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of a problem on the asset `(kind, key)`, told apart by `parts`.
    ///
    /// Each part is hashed with its length, so different lists of parts never meet by concatenation.
    #[must_use]
    pub fn of(asset: (&str, &str), parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        for part in [asset.0, asset.1].iter().chain(parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> [u8; 16] {
        self.0
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A text that is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 32 lowercase hexadecimal digits")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(NotAFingerprint);
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAFingerprint)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_form_is_stable() {
        // sha256("stance-fingerprint/1\0" ‖ len‖"MODEL" ‖ len‖"m" ‖ len‖"rule"), first half: a change here re-opens every finding.
        let fingerprint = Fingerprint::of(("MODEL", "m"), &["rule"]);
        assert_eq!(fingerprint.to_string(), "9254b2e8f33a080f97fd3c77c381068c");
        assert_eq!(serde_json::to_value(fingerprint).unwrap(), fingerprint.to_string());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "00", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert_eq!(text.parse::<Fingerprint>(), Err(NotAFingerprint), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_from_every_form(bytes: [u8; 16]) {
            let fingerprint = Fingerprint::from_bytes(bytes);
            prop_assert_eq!(fingerprint.as_bytes(), bytes);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
            let json = serde_json::to_string(&fingerprint).unwrap();
            prop_assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
        }

        #[test]
        fn different_parts_never_meet(a in prop::collection::vec("[ab|]{0,3}", 0..4), b in prop::collection::vec("[ab|]{0,3}", 0..4)) {
            let of = |parts: &[String]| Fingerprint::of(("MODEL", "m"), &parts.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(of(&a) == of(&b), a == b);
        }
    }
}

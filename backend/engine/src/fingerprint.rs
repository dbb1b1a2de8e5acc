//! What makes two reports' findings the same finding.
//!
//! A fingerprint is made from parts that an importer declares stable (a rule, a file, a snippet), never from line numbers, run
//! ids or the attack's text. It says which problem of its asset a finding is; which asset that is the inventory says, because
//! an asset may go by several keys. It is the first 128 bits of SHA-256, written as 32 lowercase hex digits.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Separates fingerprints from every other use of SHA-256, and from those of a later scheme.
const DOMAIN: &[u8] = b"stance-fingerprint/1\0";

/// Identity of a finding across reports, within its asset. Two of different assets are different, but may have the same text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    problem: [u8; 16],
    /// Tells apart the assets of one program's fingerprints, and is never kept; zero in one that was read from its text.
    asset: u64,
}

impl Fingerprint {
    /// The fingerprint of a problem on the asset `(kind, key)`, told apart by `parts`.
    ///
    /// Each part is hashed with its length, so different lists of parts never meet by concatenation.
    #[must_use]
    pub fn of(asset: (&str, &str), parts: &[&str]) -> Self {
        let mut known = DefaultHasher::new();
        asset.hash(&mut known);
        Self { problem: digest(parts), asset: known.finish() }
    }

    /// What is told apart within an asset, as the text says it.
    #[must_use]
    pub const fn as_bytes(&self) -> [u8; 16] {
        self.problem
    }
}

fn digest(parts: &[&str]) -> [u8; 16] {
    // Hashing many small pieces costs more than putting them together.
    let mut text = Vec::with_capacity(DOMAIN.len() + parts.iter().map(|part| 8 + part.len()).sum::<usize>());
    text.extend_from_slice(DOMAIN);
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    let digest = Sha256::digest(&text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.problem))
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
        let mut problem = [0; 16];
        hex::decode_to_slice(text, &mut problem).map_err(|_| NotAFingerprint)?;
        Ok(Self { problem, asset: 0 })
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
        // sha256("stance-fingerprint/1\0" ‖ len‖"rule"), first half: a change here re-opens every finding.
        let fingerprint = Fingerprint::of(("MODEL", "m"), &["rule"]);
        assert_eq!(fingerprint.to_string(), "08676564061b7966d90e0d5ab99c810e");
        assert_eq!(serde_json::to_value(fingerprint).unwrap(), fingerprint.to_string());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "00", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert_eq!(text.parse::<Fingerprint>(), Err(NotAFingerprint), "{text}");
        }
    }

    #[test]
    fn the_same_problem_of_another_asset_differs_though_its_text_does_not() {
        let of = |key| Fingerprint::of(("MODEL", key), &["rule"]);
        assert_ne!(of("a"), of("b"));
        assert_eq!(of("a").to_string(), of("b").to_string());
    }

    proptest! {
        #[test]
        fn reads_back_from_every_form(bytes: [u8; 16]) {
            let fingerprint = Fingerprint { problem: bytes, asset: 0 };
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

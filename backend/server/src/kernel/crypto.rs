//! Randomness, digests and seals. Secrets are stored as the digests made here; those that must be used again, sealed in a [`Vault`].

use super::{Error, Kind, Result};
use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use sha2::{Digest, Sha256};
use stance_shared::TenantId;
use std::{io::Write as _, path::Path, sync::Arc};

/// SHA-256 of the bytes.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A secret with 256 bits of randomness in URL-safe letters, after a prefix that secret scanners can recognize.
#[must_use]
pub fn random_secret(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// A secret in the clear, for as long as it takes to use it. It can not be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself: for the wire, never for a log, an answer or the audit.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret as it is stored: version (1 byte), mark of the key (4), nonce (12), ChaCha20-Poly1305 (RFC 8439) of the text with the
/// tenant's id as associated data, so that one organization's secret opens for no other.
#[derive(Clone, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

const VERSION: u8 = 1;
const MARK: usize = 4;

/// Seals the secrets that Stance must use again (signing keys of webhooks, passwords of mail servers) with the installation's key.
/// Secrets that are only compared are hashed instead.
#[derive(Clone)]
pub struct Vault {
    key: Option<Arc<Key>>,
}

struct Key {
    aead: LessSafeKey,
    mark: [u8; MARK],
}

impl Vault {
    /// A vault without a key: it says so whenever it is used.
    #[must_use]
    pub const fn closed() -> Self {
        Self { key: None }
    }

    /// A vault with this key of 32 bytes.
    ///
    /// # Errors
    /// Never for 32 bytes; the cipher says so by type only.
    pub fn with_key(bytes: &[u8; 32]) -> Result<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| Error::internal("the key does not fit"))?;
        let mut mark = [0; MARK];
        mark.copy_from_slice(&sha256(bytes)[..MARK]);
        Ok(Self { key: Some(Arc::new(Key { aead: LessSafeKey::new(key), mark })) })
    }

    /// Reads the key from a file of 64 hexadecimal digits.
    ///
    /// # Errors
    /// A sentence for the operator, without the file's content.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("the secret key file {}", path.display()))?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| {
            anyhow::anyhow!(
                "the secret key file {} must hold 64 hexadecimal digits, as `openssl rand -hex 32` makes them",
                path.display()
            )
        })?;
        Self::with_key(&bytes).map_err(Error::for_operator)
    }

    /// Reads `secret.key` in the data directory; makes it, readable by its owner only, when it is not there.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn in_directory(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("secret.key");
        if !path.exists() {
            // Whole or not at all, also when the machine stops meanwhile or another process does the same. Its mode is 0600.
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            writeln!(file, "{}", hex::encode(rand::random::<[u8; 32]>()))?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(&path) {
                Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error.error.into());
                }
                _ => {}
            }
        }
        Self::from_file(&path)
    }

    /// # Errors
    /// `UNAVAILABLE` when the installation has no key.
    pub fn seal(&self, tenant: TenantId, secret: &Secret) -> Result<Sealed> {
        let key = self.key()?;
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = vec![VERSION];
        sealed.extend(key.mark);
        sealed.extend(nonce);
        let mut text = secret.expose().as_bytes().to_vec();
        key.aead
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(tenant.0.as_bytes()), &mut text)
            .map_err(|_| Error::internal("a secret could not be sealed"))?;
        sealed.extend(text);
        Ok(Sealed(sealed))
    }

    /// # Errors
    /// `UNAVAILABLE` when the installation has no key, or another one than the secret was sealed with.
    pub fn open(&self, tenant: TenantId, sealed: &Sealed) -> Result<Secret> {
        let key = self.key()?;
        let broken = || Error::internal("a sealed secret is damaged");
        let (head, text) = sealed.0.split_at_checked(1 + MARK + NONCE_LEN).ok_or_else(broken)?;
        if head[0] != VERSION {
            return Err(broken());
        }
        if head[1..=MARK] != key.mark {
            return Err(Error::new(
                Kind::Unavailable,
                "The secret was sealed with another key than this process has. Give all of them the same --secret-key-file, or enter the secret again.",
            ));
        }
        let nonce = Nonce::try_assume_unique_for_key(&head[1 + MARK..]).map_err(|_| broken())?;
        let mut text = text.to_vec();
        let text = key.aead.open_in_place(nonce, Aad::from(tenant.0.as_bytes()), &mut text).map_err(|_| broken())?;
        String::from_utf8(text.to_vec()).map(Secret).map_err(|_| broken())
    }

    fn key(&self) -> Result<&Key> {
        self.key.as_deref().ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                "This installation has no key to seal secrets with. Its operator starts every server and worker with --secret-key-file FILE.",
            )
        })
    }
}

/// HMAC-SHA256 (RFC 2104) in lower-case hexadecimal digits.
#[must_use]
pub fn hmac_sha256(key: &Secret, message: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    hex::encode(hmac::sign(&key, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: TenantId = TenantId(uuid::Uuid::from_u128(1));
    const THEIRS: TenantId = TenantId(uuid::Uuid::from_u128(2));

    #[test]
    fn what_was_sealed_opens_with_the_same_key_for_the_same_organization_only() {
        let vault = Vault::with_key(&[7; 32]).unwrap();
        let secret = Secret::new("pässword".into());
        let sealed = vault.seal(OURS, &secret).unwrap();
        assert_eq!(vault.open(OURS, &sealed).unwrap(), secret);
        assert_ne!(vault.seal(OURS, &secret).unwrap(), sealed, "a nonce is used once");
        assert!(!sealed.0.windows(6).any(|bytes| bytes == b"ssword"));
        assert_eq!(vault.open(THEIRS, &sealed).unwrap_err().kind, Kind::Internal);
        let other = Vault::with_key(&[8; 32]).unwrap();
        assert!(other.open(OURS, &sealed).unwrap_err().public.contains("another key"));
        for at in 0..sealed.0.len() {
            let mut damaged = sealed.clone();
            damaged.0[at] ^= 1;
            assert!(vault.open(OURS, &damaged).is_err(), "byte {at}");
        }
        assert!(vault.open(OURS, &Sealed(vec![VERSION; 10])).is_err());
        assert!(Vault::closed().seal(OURS, &secret).unwrap_err().public.contains("--secret-key-file"));
        assert!(!format!("{secret:?} {sealed:?}").contains("ssword"));
    }

    #[test]
    fn the_key_of_a_data_directory_is_made_once_and_closed_to_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let sealed = Vault::in_directory(folder.path()).unwrap().seal(OURS, &Secret::new("x".into())).unwrap();
        assert_eq!(Vault::in_directory(folder.path()).unwrap().open(OURS, &sealed).unwrap().expose(), "x");
        let path = folder.path().join("secret.key");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "not a key").unwrap();
        let told = Vault::in_directory(folder.path()).err().unwrap().to_string();
        assert!(told.contains("64 hexadecimal digits") && !told.contains("not a key"), "{told}");
    }

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let signed = hmac_sha256(&Secret::new("Jefe".into()), b"what do ya want for nothing?");
        assert_eq!(signed, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}

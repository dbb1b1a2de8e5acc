//! Passwords: which are accepted (NIST SP 800-63B), how they are kept (argon2id with OWASP's parameters).

use super::Email;
use crate::kernel::{Error, Kind, Result};
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _, password_hash::phc::PasswordHash};
use std::{sync::OnceLock, time::Duration};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// Fewest characters.
pub const SHORTEST: usize = 12;
/// Most characters: bounds the work, and is far above any passphrase.
pub const LONGEST: usize = 256;

/// Passwords that are tried first by everybody and long enough to pass otherwise; compared without digits and signs
/// at the end.
const COMMON: &[&str] = &[
    "1234567890",
    "0123456789",
    "0987654321",
    "9876543210",
    "12345678910",
    "123456789a",
    "a123456789",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "q1w2e3r4t5",
    "qwertyuiop",
    "qwertyuiop[]",
    "qwerty12345",
    "asdfghjkl;",
    "zxcvbnm123",
    "1111111111",
    "0000000000",
    "1234512345",
    "1122334455",
    "123123123",
    "password",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "passwordpassword",
    "mypassword",
    "yourpassword",
    "thepassword",
    "newpassword",
    "changeme",
    "changemenow",
    "changeit",
    "letmein",
    "letmeinnow",
    "welcome",
    "welcomehome",
    "administrator",
    "admin",
    "adminadmin",
    "rootroot",
    "superuser",
    "iloveyou",
    "iloveyouforever",
    "trustnoone",
    "trustno1",
    "basketball",
    "football",
    "baseball",
    "princess",
    "sunshine",
    "superman",
    "spiderman",
    "starwars",
    "michaeljordan",
    "liverpoolfc",
    "manchesterunited",
    "abcdefghij",
    "abcdefghijk",
    "abcdefghijklmnopqrstuvwxyz",
    "abc123456789",
    "qazwsxedcrfv",
    "correcthorsebatterystaple",
    "security",
    "default",
    "defaultpassword",
    "temporary",
    "testtest",
    "testpassword",
    "stancestance",
    "stance",
];

/// Whether a new password may be used.
///
/// # Errors
/// `BAD_INPUT` naming `field` and the rule.
pub fn check(field: &str, password: &str, email: &Email, organization: &str) -> Result<()> {
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Err(Error::field(field, format!("must have {SHORTEST} to {LONGEST} characters")));
    }
    let folded = password.to_lowercase();
    if folded == email.as_str() || folded == email.local_part() || folded == organization.trim().to_lowercase() {
        return Err(Error::field(field, "must not be your e-mail address or the organization's name"));
    }
    let stem = folded.trim_end_matches(|c: char| !c.is_alphabetic());
    let mut letters = folded.chars();
    let first = letters.next();
    if COMMON.contains(&folded.as_str()) || COMMON.contains(&stem) || letters.all(|c| Some(c) == first) {
        return Err(Error::field(field, "is among the passwords that are guessed first; choose another"));
    }
    Ok(())
}

/// At most so many are hashed at once: each takes 19 MiB and a core for tens of milliseconds.
static HASHING: Semaphore = Semaphore::const_new(4);
/// How long to wait for a turn before giving up.
const PATIENCE: Duration = Duration::from_secs(10);

async fn hashing<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let busy = |_| Error::new(Kind::Unavailable, "Too many people sign in at this moment. Try again.");
    let _turn = timeout(PATIENCE, HASHING.acquire()).await.map_err(busy)?.map_err(Error::internal)?;
    spawn_blocking(work).await.map_err(Error::internal)?
}

fn hash_now(password: &str) -> Result<String> {
    // argon2id, 19 MiB, 2 passes, 1 lane: OWASP's recommendation, and the library's default.
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|error| Error::internal(error.to_string()))?.to_string())
}

/// The password's hash in PHC form, with a salt of its own.
///
/// # Errors
/// `UNAVAILABLE` when too many are being hashed.
pub async fn hash(password: String) -> Result<String> {
    hashing(move || hash_now(&password)).await
}

/// Whether the password is the stored one. Without a stored one a dummy is checked, so that the work is the same.
///
/// # Errors
/// `UNAVAILABLE` when too many are being hashed.
pub async fn verify(stored: Option<String>, password: String) -> Result<bool> {
    static DUMMY: OnceLock<String> = OnceLock::new();
    #[cfg(test)]
    tests::note(&password);
    hashing(move || {
        // Before the branch, so that not even the first unknown account takes longer.
        let dummy = DUMMY.get_or_init(|| hash_now("no account has it").unwrap_or_default());
        let known = stored.is_some();
        let stored = stored.as_deref().unwrap_or(dummy);
        let parsed = PasswordHash::new(stored).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
    })
    .await
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Passwords whose check did the work, in any test of the process.
    pub static CHECKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

    pub fn note(password: &str) {
        CHECKED.lock().unwrap().push(password.to_owned());
    }

    #[test]
    fn weak_ones_are_refused_by_name() {
        let email = Email::parse("ana.longname@example.com").unwrap();
        let refused = |password: &str| check("password", password, &email, "Acme Industries").is_err();
        for wrong in [
            "short",
            "ninechars",
            "Password123!",
            "aaaaaaaaaaaa",
            "1234567890",
            "Ana.LongName@example.com",
            "ana.longname",
            "acme industries",
        ] {
            assert!(refused(wrong), "{wrong}");
        }
        assert!(refused(&"ab".repeat(129)));
        for good in ["tinkerbell moss 41", "äöüäöüäöüäöß", &"ab".repeat(128)] {
            assert!(!refused(good), "{good}");
        }
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_with_the_recommended_parameters_and_verifies() {
        let stored = hash("tinkerbell moss".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, hash("tinkerbell moss".into()).await.unwrap(), "salted");
        assert!(verify(Some(stored.clone()), "tinkerbell moss".into()).await.unwrap());
        assert!(!verify(Some(stored), "tinkerbell mosS".into()).await.unwrap());
    }

    #[tokio::test]
    async fn nothing_fits_no_account() {
        assert!(!verify(None, "no account has it".into()).await.unwrap());
        assert!(CHECKED.lock().unwrap().iter().any(|password| password == "no account has it"));
    }
}

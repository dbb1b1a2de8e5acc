//! Time and ids. Both are taken from [`Clock`], so that a test can set them.

use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::{Timestamp, Uuid};

/// Where "now" comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until it is set (tests).
    Fixed(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self::Fixed(Arc::new(Mutex::new(at)))
    }

    /// The time, in UTC, cut to microseconds as PostgreSQL keeps it.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            #[expect(clippy::disallowed_methods, reason = "the one home of the machine's clock")]
            Self::System => Utc::now(),
            Self::Fixed(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        };
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// Moves a fixed clock; does nothing to the machine's.
    pub fn advance(&self, by: chrono::Duration) {
        if let Self::Fixed(at) = self {
            *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    /// A new time-ordered id (UUID version 7).
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one home of ids; keeps order within a millisecond")]
            Self::System => Uuid::now_v7(),
            Self::Fixed(_) => {
                let now = self.now();
                let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
                // Time stands still, order does not: later ids are greater.
                static COUNTER: AtomicU64 = AtomicU64::new(0);
                let counter = u128::from(COUNTER.fetch_add(1, Ordering::Relaxed));
                Uuid::new_v7(Timestamp::from_unix_time(seconds, now.timestamp_subsec_nanos(), counter, 42))
            }
        }
    }
}

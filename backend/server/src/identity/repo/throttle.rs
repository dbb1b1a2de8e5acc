//! Failed sign-ins fill a bucket per account and one per address, which leak with time; a full one refuses.
//! The buckets are rows, so the limit holds over all processes. Keys are hashes: no address is kept longer than needed.
//!
//! A place is taken before the password is checked and given back when it was right, so that guesses made at the same
//! time count. A refused attempt takes no place: it does not prolong the wait.

use crate::kernel::{Clock, Db, Error, Result, crypto::sha256, db::SystemReason};
use sqlx::PgConnection;
use std::time::Duration;

struct Bucket {
    kind: &'static str,
    /// How many failures it holds.
    size: f64,
    /// How many leak in a second.
    leak: f64,
}

/// Ten guesses, then one a minute: about 1,450 a day.
const ACCOUNT: Bucket = Bucket { kind: "account", size: 10.0, leak: 1.0 / 60.0 };
/// Wider, because many people may share an address; still narrow for trying one password on many accounts.
const ADDRESS: Bucket = Bucket { kind: "address", size: 50.0, leak: 1.0 / 6.0 };

fn key(bucket: &Bucket, value: &str) -> [u8; 32] {
    sha256(format!("stance-throttle/1 {} {value}", bucket.kind))
}

/// Takes a place in both buckets.
///
/// # Errors
/// `RATE_LIMITED` with the time until a place is free.
pub async fn enter(db: &Db, clock: &Clock, account: &str, address: &str) -> Result<()> {
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    // Always in this order, so that two attempts can not wait for each other.
    for (bucket, value) in [(&ADDRESS, address), (&ACCOUNT, account)] {
        if !value.is_empty() {
            fill(tx.conn(), bucket, value, clock).await?;
        }
    }
    tx.commit().await
}

/// Gives the places back: the password was right.
///
/// # Errors
/// When the database fails.
pub async fn leave(db: &Db, account: &str, address: &str) -> Result<()> {
    let (account, address) = (key(&ACCOUNT, account), key(&ADDRESS, address));
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    sqlx::query!("update sign_in_throttle set failures = greatest(0, failures - 1) where key = $1", &address[..])
        .execute(tx.conn())
        .await?;
    sqlx::query!("delete from sign_in_throttle where key = $1", &account[..]).execute(tx.conn()).await?;
    tx.commit().await
}

/// Forgets buckets that have run empty.
///
/// # Errors
/// When the database fails.
pub async fn sweep(conn: &mut PgConnection, clock: &Clock) -> Result<()> {
    let empty = clock.now() - chrono::Duration::hours(1);
    sqlx::query!("delete from sign_in_throttle where updated_at < $1", empty).execute(conn).await?;
    Ok(())
}

async fn fill(conn: &mut PgConnection, bucket: &Bucket, value: &str, clock: &Clock) -> Result<()> {
    let key = key(bucket, value);
    let filled = sqlx::query_scalar!(
        "insert into sign_in_throttle as t (key, failures, updated_at) values ($1, 1, $2)
         on conflict (key) do update
         set failures = greatest(0, t.failures - $3 * greatest(0, extract(epoch from $2 - t.updated_at)::float8)) + 1,
             updated_at = greatest(t.updated_at, $2)
         where t.failures - $3 * greatest(0, extract(epoch from $2 - t.updated_at)::float8) + 1 <= $4
         returning failures",
        &key[..],
        clock.now(),
        bucket.leak,
        bucket.size,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if filled.is_some() {
        return Ok(());
    }
    let wait = sqlx::query_scalar!(
        r#"select (failures + 1 - $3) / $2 - extract(epoch from $4 - updated_at)::float8 as "wait!"
           from sign_in_throttle where key = $1"#,
        &key[..],
        bucket.leak,
        bucket.size,
        clock.now(),
    )
    .fetch_optional(conn)
    .await?;
    let seconds = wait.unwrap_or(1.0).ceil().clamp(1.0, bucket.size / bucket.leak);
    Err(Error::rate_limited(Duration::from_secs_f64(seconds)))
}

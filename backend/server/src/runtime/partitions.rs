//! A partition of `event` for each day: made before it is written to, dropped when nobody keeps it any more.

use crate::kernel::{Db, Result};
use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::AssertSqlSafe;
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// Days whose partition this process knows to be there.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeSet<NaiveDate>>);

impl Known {
    /// Makes the partitions of these times, where they are not there yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure(&self, db: &Db, times: impl Iterator<Item = DateTime<Utc>>) -> Result<()> {
        let days: BTreeSet<NaiveDate> = times.map(|at| at.date_naive()).collect();
        let missing: Vec<NaiveDate> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            days.difference(&known).copied().collect()
        };
        for day in missing {
            make(db, day).await?;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(day);
        }
        Ok(())
    }
}

/// The name of a day's partition.
fn name(day: NaiveDate) -> String {
    format!("event_{}", day.format("%Y%m%d"))
}

/// Partitions belong to the owner of the schema, who alone may make tables: so this is no tenant's transaction.
async fn make(db: &Db, day: NaiveDate) -> Result<()> {
    let (name, next) = (name(day), day + Days::new(1));
    // Several may come at once: the second waits for the first. Whether it is there is then asked by the statement that makes it, which
    // looks anew; `to_regclass` would answer from what this connection remembers.
    let sql = format!(
        "do $$ begin
             if to_regclass('public.{name}') is null then
                 perform pg_advisory_xact_lock(hashtextextended('partition:{name}', 0));
                 create table if not exists {name} partition of event for values from ('{day} 00:00:00+00') to ('{next} 00:00:00+00');
             end if;
         end $$"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(db.pool()).await?;
    Ok(())
}

/// Drops the partitions of days before `first`. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn drop_before(db: &Db, first: NaiveDate) -> Result<usize> {
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'public.event'::regclass and c.relname < $1 order by 1",
    )
    .bind(name(first))
    .fetch_all(db.pool())
    .await?;
    for name in &names {
        sqlx::query(AssertSqlSafe(format!("drop table if exists {name}"))).execute(db.pool()).await?;
    }
    Ok(names.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing;

    #[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
    async fn those_who_come_at_once_all_find_the_day(pool: sqlx::PgPool) {
        let db = testing::server_db(&pool).await;
        let first: DateTime<Utc> = "2027-01-01T00:00:00Z".parse().unwrap();
        for day in 0..20 {
            // Each as a process of its own, which knows of no day.
            let at = first + Days::new(day);
            let makers: Vec<Known> = (0..8).map(|_| Known::default()).collect();
            let made =
                futures::future::join_all(makers.iter().map(|known| known.ensure(&db, std::iter::once(at)))).await;
            assert!(made.iter().all(Result::is_ok), "{day}: {made:?}");
        }
    }
}

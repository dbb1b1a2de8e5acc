//! Laying down the database: the queue's tables, ours, and what the tenant role may do with the queue.

use crate::kernel::db;
use apalis_postgres::PostgresStorage;
use sqlx::PgPool;

/// Any number; all Stance processes use the same.
const MIGRATION_LOCK: i64 = 0x5374_616e_6365;

/// Brings the database to this version. Safe to run from many processes at once and again and again.
///
/// # Errors
/// When a migration fails or the database is newer than this program.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::Error> {
    // One connection for everything: a session lock belongs to its connection, and a pool of one must do.
    let mut conn = pool.acquire().await?;
    sqlx::query("select pg_advisory_lock($1)").bind(MIGRATION_LOCK).execute(&mut *conn).await?;
    let result = run(&mut conn).await;
    sqlx::query("select pg_advisory_unlock($1)").bind(MIGRATION_LOCK).execute(&mut *conn).await?;
    result
}

async fn run(conn: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
    // `set local` is of no use across the migrations' own transactions; the extension's notices are of no use at all.
    sqlx::query("set client_min_messages to warning").execute(&mut *conn).await?;
    PostgresStorage::migrations().run(&mut *conn).await?;
    db::MIGRATOR.run(&mut *conn).await?;
    for grant in GRANTS {
        sqlx::query(*grant).execute(&mut *conn).await?;
    }
    sqlx::query("reset client_min_messages").execute(&mut *conn).await?;
    Ok(())
}

/// A tenant's transaction may add a job and see none; only system transactions look at the queue.
const GRANTS: &[&str] = &[
    "grant usage on schema apalis to stance_app, stance_system",
    "grant insert on apalis.jobs to stance_app",
    "grant select, insert, update, delete on apalis.jobs, apalis.workers to stance_system",
];

//! SQL on browser sessions. All in system transactions: a session is not of one tenant.

use crate::kernel::{Result, Role};
use chrono::{DateTime, Duration, Utc};
use sqlx::PgConnection;
use stance_shared::{TenantId, UserId};
use uuid::Uuid;

/// A row to be.
pub struct NewSession<'a> {
    pub id_hash: &'a [u8],
    pub id: Uuid,
    pub user: Option<UserId>,
    pub data: &'a serde_json::Value,
    pub address: &'a str,
    pub user_agent: &'a str,
    pub now: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub async fn insert(conn: &mut PgConnection, session: &NewSession<'_>) -> Result<()> {
    sqlx::query!(
        "insert into session (id_hash, id, user_id, data, created_at, last_seen_at, expires_at, user_agent, address)
         values ($1, $2, $3, $4, $5, $5, $6, $7, $8)",
        session.id_hash,
        session.id,
        session.user.map(|id| id.0),
        session.data,
        session.now,
        session.expires_at,
        session.user_agent,
        session.address,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes what a session holds. One that has ended stays ended.
pub async fn set_data(
    conn: &mut PgConnection,
    id_hash: &[u8],
    data: &serde_json::Value,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!("update session set data = $2 where id_hash = $1 and expires_at > $3", id_hash, data, now)
        .execute(conn)
        .await?;
    Ok(())
}

/// What a session holds, and until when.
pub async fn data(
    conn: &mut PgConnection,
    id_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<(serde_json::Value, DateTime<Utc>)>> {
    let row = sqlx::query!("select data, expires_at from session where id_hash = $1 and expires_at > $2", id_hash, now)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| (row.data, row.expires_at)))
}

/// Notes that the session is in use.
pub async fn touch(
    conn: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
    idle: Duration,
    absolute: Duration,
) -> Result<()> {
    sqlx::query!(
        "update session set last_seen_at = $2, expires_at = least($3, created_at + $4::float8 * interval '1 second')
         where id = $1 and last_seen_at < $2",
        id,
        now,
        now + idle,
        absolute.num_seconds() as f64,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Who comes by a session, in the organization that it is in, as of now.
pub struct Asker {
    pub session: Uuid,
    pub user: UserId,
    pub email: String,
    pub tenant: TenantId,
    pub role: Role,
    pub last_seen_at: DateTime<Utc>,
}

/// One query for session, person, membership and role.
pub async fn asker(conn: &mut PgConnection, id_hash: &[u8], now: DateTime<Utc>) -> Result<Option<Asker>> {
    let row = sqlx::query!(
        "select s.id, s.last_seen_at, u.id as user_id, u.email, m.tenant_id, m.role
         from session s
         join app_user u on u.id = s.user_id
         join membership m on m.user_id = s.user_id and m.tenant_id = (s.data->>'tenant')::uuid
         where s.id_hash = $1 and s.expires_at > $2",
        id_hash,
        now,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Asker {
            session: row.id,
            user: UserId(row.user_id),
            email: row.email,
            tenant: TenantId(row.tenant_id),
            role: super::stored_role(&row.role)?,
            last_seen_at: row.last_seen_at,
        })
    })
    .transpose()
}

/// A session as its owner sees it.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub user_agent: String,
    pub address: String,
}

/// A person's sessions, the one seen last first, at most 100.
pub async fn of_user(conn: &mut PgConnection, user: UserId, now: DateTime<Utc>) -> Result<Vec<Session>> {
    Ok(sqlx::query_as!(
        Session,
        "select id, created_at, last_seen_at, user_agent, address from session
         where user_id = $1 and expires_at > $2 order by last_seen_at desc, id limit 100",
        user.0,
        now,
    )
    .fetch_all(conn)
    .await?)
}

/// Ends one of a person's sessions; returns whether there was one.
pub async fn delete_of_user(conn: &mut PgConnection, user: UserId, id: Uuid) -> Result<bool> {
    let done = sqlx::query!("delete from session where user_id = $1 and id = $2", user.0, id).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all of a person's sessions but one; returns how many.
pub async fn delete_others(conn: &mut PgConnection, user: UserId, but: Option<Uuid>) -> Result<u64> {
    let done = sqlx::query!("delete from session where user_id = $1 and id is distinct from $2", user.0, but)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

pub async fn delete(conn: &mut PgConnection, id_hash: &[u8]) -> Result<()> {
    sqlx::query!("delete from session where id_hash = $1", id_hash).execute(conn).await?;
    Ok(())
}

/// Removes the ended ones; returns how many.
pub async fn sweep(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64> {
    Ok(sqlx::query!("delete from session where expires_at <= $1", now).execute(conn).await?.rows_affected())
}

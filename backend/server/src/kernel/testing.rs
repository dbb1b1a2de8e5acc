//! Shared builders of tests.

use super::{Actor, Clock, Ctx, Db, Role};
use sqlx::{PgPool, postgres::PgPoolOptions};
use stance_shared::{TenantId, UserId};

/// A clock that stands at a fixed time.
#[must_use]
pub fn clock() -> Clock {
    Clock::fixed("2026-11-01T12:00:00Z".parse().unwrap())
}

/// Makes an organization named by its slug, with an owner `owner@{slug}.example` whose context is returned.
/// Lays down the job queue too, where it is not yet.
pub async fn organization(pool: &PgPool, clock: &Clock, slug: &str) -> Ctx {
    crate::jobs::migrate(pool).await.unwrap();
    let tenant = TenantId(clock.new_id());
    sqlx::query("insert into organization (tenant_id, name, slug, created_at) values ($1, $2, $2, $3)")
        .bind(tenant.0)
        .bind(slug)
        .bind(clock.now())
        .execute(pool)
        .await
        .unwrap();
    let user = user(pool, clock, &format!("owner@{slug}.example")).await;
    member(pool, clock, tenant, user, Role::Owner).await
}

/// Makes a person who can not sign in.
pub async fn user(pool: &PgPool, clock: &Clock, email: &str) -> UserId {
    let user = UserId(clock.new_id());
    sqlx::query("insert into app_user (id, email, name, password_hash, created_at) values ($1, $2, $2, '', $3)")
        .bind(user.0)
        .bind(email)
        .bind(clock.now())
        .execute(pool)
        .await
        .unwrap();
    user
}

/// Makes the person a member and returns their context.
pub async fn member(pool: &PgPool, clock: &Clock, tenant: TenantId, user: UserId, role: Role) -> Ctx {
    sqlx::query("insert into membership (tenant_id, user_id, role, joined_at) values ($1, $2, $3, $4)")
        .bind(tenant.0)
        .bind(user.0)
        .bind(role.as_str())
        .bind(clock.now())
        .execute(pool)
        .await
        .unwrap();
    let label =
        sqlx::query_scalar("select email from app_user where id = $1").bind(user.0).fetch_one(pool).await.unwrap();
    Ctx {
        tenant,
        actor: Actor::User { id: user, label },
        role,
        scopes: None,
        session: None,
        request_id: "test".into(),
        clock: clock.clone(),
    }
}

/// The same person with another role (in the context only).
#[must_use]
pub fn acting_as(ctx: &Ctx, role: Role) -> Ctx {
    Ctx { role, ..ctx.clone() }
}

/// The door to the test's database.
#[must_use]
pub fn db(pool: &PgPool) -> Db {
    Db::from_pool(pool.clone())
}

/// The same with as many connections as a server has: a test's own pool has five, and each queue's listener keeps one.
pub async fn server_db(pool: &PgPool) -> Db {
    let options = PgPoolOptions::new().max_connections(20);
    Db::from_pool(options.connect_with((*pool.connect_options()).clone()).await.unwrap())
}

/// Asks again and again until there is an answer; fails when there is none within 30 s.
pub async fn until<T>(what: &str, answer: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..1500 {
        if let Some(found) = answer().await {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}

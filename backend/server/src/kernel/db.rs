//! The database's door. There is no connection without a context and a permission, and no tenant data without a tenant.

use super::{Ctx, Permission, Result};
use sqlx::{
    Acquire as _, PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;

/// Stance's schema. Forward only: a released migration is never edited.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Makes a transaction one of a tenant (`$1`). Compiling plans (`jit`) costs more than it saves in queries of milliseconds.
const ENTER: &str = "select set_config('role', 'stance_app', true), set_config('app.tenant_id', $1, true), set_config('jit', 'off', true)";

/// The pool of connections, which only this module can reach.
#[derive(Clone, Debug)]
pub struct Db {
    pool: PgPool,
}

/// Why a transaction may cross tenants. Each use is one line here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemReason {
    /// Sign-in, sessions and tokens: the tenant is not known before.
    Identity,
    /// The first organization, from set-up form or command line.
    Bootstrap,
    /// Jobs and sweeps look for work in all tenants.
    Jobs,
    /// Health, metrics and start-up checks.
    Operations,
}

/// A transaction that sees one tenant. Rolled back unless committed.
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    ctx: Ctx,
}

/// A transaction that sees all tenants, for the reasons of [`SystemReason`]. Rolled back unless committed.
pub struct SystemTx {
    tx: Transaction<'static, Postgres>,
}

impl Db {
    /// Opens a pool of at most `connections`.
    ///
    /// # Errors
    /// When the database does not answer within ten seconds.
    pub async fn connect(options: PgConnectOptions, connections: u32) -> Result<Self, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::query("set timezone to 'UTC'").execute(&mut *connection).await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// Open connections, and how many of them are idle.
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        (self.pool.size(), u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX))
    }

    /// Whether this program's migrations are all there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_migrated(&self) -> Result<bool> {
        let applied: Vec<i64> =
            sqlx::query_scalar("select version from _sqlx_migrations where success").fetch_all(&self.pool).await?;
        Ok(MIGRATOR.iter().all(|migration| applied.contains(&migration.version)))
    }

    /// Wraps a pool made elsewhere (tests).
    #[must_use]
    pub const fn from_pool(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The bare pool, for the job queue's own tables and `LISTEN`.
    #[must_use]
    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Opens a transaction on the context's tenant for one permission; read-only when the permission only reads.
    ///
    /// # Errors
    /// `FORBIDDEN` before any SQL when the actor lacks the permission.
    pub async fn begin(&self, ctx: &Ctx, permission: Permission) -> Result<TenantTx> {
        ctx.require(permission)?;
        let start = if permission.reads_only() { "begin read only" } else { "begin" };
        let mut tx = self.pool.begin_with(start).await?;
        sqlx::query(ENTER).bind(ctx.tenant.to_string()).execute(&mut *tx).await?;
        Ok(TenantTx { tx, ctx: ctx.clone() })
    }

    /// Opens a transaction over all tenants.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_system(&self, reason: SystemReason) -> Result<SystemTx> {
        #[expect(clippy::disallowed_methods, reason = "the one home of bare transactions")]
        let mut tx = self.pool.begin().await?;
        sqlx::query("select set_config('role', 'stance_system', true)").execute(&mut *tx).await?;
        tracing::trace!(?reason, "system transaction");
        Ok(SystemTx { tx })
    }

    /// Closes the pool; waits for connections in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl TenantTx {
    /// The connection, for the slices' repositories.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Who opened it.
    #[must_use]
    pub const fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// The same transaction, in which somebody else acts from now on: history and audit name them.
    #[must_use]
    pub fn acting_as(mut self, actor: super::Actor) -> Self {
        self.ctx.actor = actor;
        self
    }

    /// Refuses unless the actor also holds another permission.
    ///
    /// # Errors
    /// `FORBIDDEN`.
    pub fn also_require(&self, permission: Permission) -> Result<()> {
        self.ctx.require(permission)
    }

    /// A savepoint inside the transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn savepoint(&mut self) -> Result<Transaction<'_, Postgres>> {
        #[expect(clippy::disallowed_methods, reason = "a savepoint, not a bare transaction")]
        Ok(self.tx.begin().await?)
    }

    /// Ends it without effect, at once: its locks are free when this returns.
    ///
    /// # Errors
    /// When the database fails; then nothing happened either.
    pub async fn rollback(self) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }

    /// # Errors
    /// When the database fails; then nothing happened.
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}

impl SystemTx {
    /// The connection, for the listed modules' repositories.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Becomes a transaction of one tenant, for use cases that create the tenant first.
    ///
    /// # Errors
    /// `FORBIDDEN`, or when the database fails.
    pub async fn into_tenant(mut self, ctx: &Ctx, permission: Permission) -> Result<TenantTx> {
        ctx.require(permission)?;
        sqlx::query(ENTER).bind(ctx.tenant.to_string()).execute(self.conn()).await?;
        Ok(TenantTx { tx: self.tx, ctx: ctx.clone() })
    }

    /// # Errors
    /// When the database fails; then nothing happened.
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}

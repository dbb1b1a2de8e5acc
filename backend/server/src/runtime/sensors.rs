//! Sensors: what tells Stance of events, each with a token of its own.

use crate::{
    audit,
    identity::tokens::{self, NewToken},
    inventory,
    kernel::{Ctx, Db, Error, Permission, Result, Role, error::OnConstraint as _, text},
    live::{self, Topic},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use stance_shared::{AssetId, SensorId, TokenId};
use uuid::Uuid;

/// Something that tells Stance of events.
#[derive(Clone, Debug)]
pub struct Sensor {
    pub id: SensorId,
    pub name: String,
    /// What it watches: events that name no agent are of this asset.
    pub asset: AssetId,
    pub token: TokenId,
    pub version: String,
    /// The policy that it says it enforces.
    pub policy_hash: Option<String>,
    pub silent_after_s: i32,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// How many it told since it was registered, repeated ones too.
    pub events: i64,
}

/// Whether a sensor gives signs of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "SensorState")]
pub enum State {
    Alive,
    /// Without a sign of life for longer than it may be.
    Silent,
    NeverSeen,
}

impl Sensor {
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> State {
        match self.last_seen_at {
            None => State::NeverSeen,
            Some(last) if now - last > chrono::Duration::seconds(i64::from(self.silent_after_s)) => State::Silent,
            Some(_) => State::Alive,
        }
    }
}

/// All sensors that are not retired, by name.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn list(db: &Db, ctx: &Ctx) -> Result<Vec<Sensor>> {
    by_ids(db, ctx, None).await
}

/// Sensors by id, retired ones too; all that are not retired when no ids are given.
///
/// # Errors
/// `FORBIDDEN`, or when the database fails.
pub async fn by_ids(db: &Db, ctx: &Ctx, ids: Option<&[SensorId]>) -> Result<Vec<Sensor>> {
    let mut tx = db.begin(ctx, Permission::SensorRead).await?;
    let ids: Option<Vec<Uuid>> = ids.map(|ids| ids.iter().map(|id| id.0).collect());
    Ok(sqlx::query_as!(
        Sensor,
        r#"select s.id as "id: SensorId", s.name, a.root_id as "asset: AssetId", s.token_id as "token: TokenId", s.version, s.policy_hash,
               s.silent_after_s, s.last_seen_at, s.created_at, s.events
           from sensor s join asset a on a.id = s.asset_id
           where ($1::uuid[] is null and s.retired_at is null) or s.id = any($1) order by s.name, s.id"#,
        ids.as_deref()
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Registers a sensor and makes its token. Returns the secret, which is kept nowhere.
///
/// # Errors
/// `FORBIDDEN` without `sensor:write` and `token:create`; `BAD_INPUT` naming the field; `CONFLICT` for a name that is taken.
pub async fn register(
    db: &Db,
    ctx: &Ctx,
    name: &str,
    asset: AssetId,
    silent_after_s: Option<i32>,
) -> Result<(Sensor, String)> {
    ctx.require(Permission::SensorWrite)?;
    let name = text::line("name", name, 100)?;
    let silent_after_s = silent_after_s.unwrap_or(300);
    if !(30..=86_400).contains(&silent_after_s) {
        return Err(Error::field("silentAfterSeconds", "must be 30 to 86400"));
    }
    if inventory::service::by_ids(db, ctx, &[asset]).await?.is_empty() {
        return Err(Error::field("asset", "must be an asset of this organization"));
    }
    let mut tx = db.begin(ctx, Permission::TokenCreate).await?;
    let token = NewToken {
        name: format!("Sensor {name}"),
        role: Role::Sensor,
        scopes: Vec::new(),
        expires_at: None,
        agent: None,
    };
    let (token, secret) = tokens::create_in(&mut tx, token).await?;
    let id = SensorId(ctx.new_id());
    sqlx::query!(
        "insert into sensor (tenant_id, id, name, asset_id, token_id, silent_after_s, created_at) values ($1, $2, $3, $4, $5, $6, $7)",
        ctx.tenant.0,
        id.0,
        name,
        asset.0,
        token.id.0,
        silent_after_s,
        ctx.now()
    )
    .execute(tx.conn())
    .await
    .on_constraint("sensor_name", || Error::conflict("There is a sensor of this name."))?;
    let detail = json!({ "name": name, "asset": asset, "token": token.id });
    let entry = audit::Entry { action: "sensor.registered", target_kind: "sensor", target_id: id.to_string(), detail };
    audit::record(&mut tx, entry).await?;
    live::notify(&mut tx, Topic::Sensor, id.0).await?;
    tx.commit().await?;
    let sensor = by_ids(db, ctx, Some(&[id])).await?.pop().ok_or_else(|| Error::not_found("sensor"))?;
    Ok((sensor, secret))
}

/// Ends a sensor and its token. False: it was retired before.
///
/// # Errors
/// `FORBIDDEN` without `sensor:write` and `token:revoke`; `NOT_FOUND`.
pub async fn retire(db: &Db, ctx: &Ctx, id: SensorId) -> Result<bool> {
    ctx.require(Permission::SensorWrite)?;
    let sensor = by_ids(db, ctx, Some(&[id])).await?.pop().ok_or_else(|| Error::not_found("sensor"))?;
    tokens::revoke(db, ctx, sensor.token).await?;
    let mut tx = db.begin(ctx, Permission::SensorWrite).await?;
    let now = ctx.now();
    let done = sqlx::query!("update sensor set retired_at = $2 where id = $1 and retired_at is null", id.0, now)
        .execute(tx.conn())
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let detail = json!({ "name": sensor.name });
    let entry = audit::Entry { action: "sensor.retired", target_kind: "sensor", target_id: id.to_string(), detail };
    audit::record(&mut tx, entry).await?;
    live::notify(&mut tx, Topic::Sensor, id.0).await?;
    tx.commit().await?;
    Ok(true)
}

/// What is told back to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// `None`: the token is no registered sensor's.
    pub sensor: Option<SensorId>,
    /// The policy that should be enforced; `None`: the built-in preset.
    pub policy_hash: Option<String>,
}

/// A sign of life, by the sensor's own token. Whoever is no registered sensor only learns of the policy for all agents.
///
/// # Errors
/// `FORBIDDEN` without `event:ingest` and `policy:read`; `BAD_INPUT` naming the field.
pub async fn heartbeat(db: &Db, ctx: &Ctx, version: &str, policy_hash: Option<&str>) -> Result<Heard> {
    let version = match version.trim() {
        "" => String::new(),
        version => text::line("version", version, 100)?,
    };
    let is_hash =
        |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !policy_hash.is_none_or(is_hash) {
        return Err(Error::field("policyHash", "must be 64 hexadecimal digits, in lower case"));
    }
    ctx.require(Permission::PolicyRead)?;
    let mut tx = db.begin(ctx, Permission::EventIngest).await?;
    let (token, now) = (ctx.actor.id().unwrap_or_default(), ctx.now());
    let found = sqlx::query!(
        r#"update sensor s set last_seen_at = $2, version = $3, policy_hash = $4 from asset a
           where s.token_id = $1 and s.retired_at is null and a.id = s.asset_id
           returning s.id as "id: SensorId", a.root_id as "asset: AssetId""#,
        token,
        now,
        version,
        policy_hash
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.commit().await?;
    let (sensor, asset) = found.map_or((None, AssetId(Uuid::nil())), |row| (Some(row.id), row.asset));
    let expected = super::policies::expected_hashes(db, ctx, &[asset]).await?;
    Ok(Heard { sensor, policy_hash: expected.into_iter().next().and_then(|(_, hash)| hash) })
}

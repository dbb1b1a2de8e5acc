//! What agents may call: taking it away, and giving it back.

use super::grants_repo as repo;
use crate::kernel::{Permission, Result, TenantTx};
use crate::live::{self, Topic};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stance_shared::{AssetId, RelationId};

/// A relation "may call" between an agent and a tool, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    pub id: RelationId,
    pub agent: AssetId,
    pub agent_name: String,
    pub tool: AssetId,
    pub tool_name: String,
    pub source: String,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
}

/// What the agents may call, with all that became part of them.
///
/// # Errors
/// When the database fails.
pub async fn of(tx: &mut TenantTx, agents: &[AssetId]) -> Result<Vec<Grant>> {
    repo::of(tx, agents).await
}

/// Takes grants away, in the caller's transaction, which audits it. Those that are gone already are passed over.
///
/// # Errors
/// `FORBIDDEN` without `asset:write`, or when the database fails.
pub async fn revoke(tx: &mut TenantTx, grants: &[Grant]) -> Result<()> {
    tx.also_require(Permission::AssetWrite)?;
    repo::revoke(tx, grants).await?;
    told(tx, grants).await
}

/// Gives grants back that [`revoke`] took. Those that somebody gave back already are passed over.
///
/// # Errors
/// `FORBIDDEN` without `asset:write`, or when the database fails.
pub async fn restore(tx: &mut TenantTx, grants: &[Grant]) -> Result<()> {
    tx.also_require(Permission::AssetWrite)?;
    repo::restore(tx, grants).await?;
    told(tx, grants).await
}

async fn told(tx: &mut TenantTx, grants: &[Grant]) -> Result<()> {
    let mut assets: Vec<_> = grants.iter().flat_map(|grant| [grant.agent.0, grant.tool.0]).collect();
    assets.sort_unstable();
    assets.dedup();
    live::notify_all(tx, Topic::Asset, &assets).await
}

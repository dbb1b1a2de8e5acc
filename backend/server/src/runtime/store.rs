//! Writing events: what they name becomes part of the inventory, and they are counted by the statement that writes them.

use super::{
    domain::{AgentRef, Seen, Teller},
    partitions, repo,
};
use crate::{
    inventory::{self, Manner, Named, NewAsset, Patch},
    jobs::{Job, Queue},
    kernel::{Ctx, Db, Permission, Result, TenantTx},
    live::{self, Topic},
    scoring,
};
use stance_importers::{AssetRecord, AssetRef, events::assets};
use stance_shared::{AssetId, RelationKind};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How the inventory calls what events taught it.
pub const SOURCE: &str = "stance-runtime";

/// What a write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events that are new.
    pub new: usize,
    /// Events that were there already.
    pub repeated: usize,
}

/// Writes events of one organization, all or none, in a transaction of their own.
///
/// # Errors
/// When the database fails; then nothing was written.
pub async fn write(
    db: &Db,
    ctx: &Ctx,
    known: &partitions::Known,
    seen: &[Seen],
    described: &[AssetRecord],
) -> Result<Written> {
    if seen.is_empty() && described.is_empty() {
        return Ok(Written::default());
    }
    known.ensure(db, seen.iter().map(|event| event.at)).await?;
    let mut tx = db.begin(ctx, Permission::EventIngest).await?;
    let named = Names::learn(&mut tx, seen, described).await?;
    // One event told twice in one call is one.
    let mut ids = BTreeSet::new();
    let rows: Vec<repo::Row<'_>> =
        seen.iter().filter(|event| ids.insert(event.id)).map(|event| named.place(event)).collect();
    let new = repo::insert(&mut tx, &rows).await?;
    let mut sensors: BTreeMap<Uuid, i64> = BTreeMap::new();
    for sensor in rows.iter().filter_map(|row| row.sensor_id) {
        *sensors.entry(sensor).or_default() += 1;
    }
    repo::heard_of(&mut tx, &sensors).await?;
    if new > 0 {
        live::notify(&mut tx, Topic::Event, ctx.tenant.0).await?;
    }
    // What passed and has no detection fits no rule on events; what it consumed is looked at by the sweep.
    if new > 0 && seen.iter().any(Seen::is_noted) {
        Queue::enqueue_once(&mut tx, Job::Correlate).await?;
    }
    tx.commit().await?;
    Ok(Written { new, repeated: seen.len() - new })
}

/// What the keys in events mean.
struct Names {
    agents: BTreeMap<String, AssetId>,
    tools: BTreeMap<AssetRef, AssetId>,
}

impl Names {
    /// Finds agents, models and tools by their keys, and notes those that nobody knew: shadow AI.
    async fn learn(tx: &mut TenantTx, seen: &[Seen], described: &[AssetRecord]) -> Result<Self> {
        let mut agents: BTreeMap<String, AssetRef> = BTreeMap::new();
        let mut tools = BTreeSet::new();
        let mut uses = BTreeSet::new();
        let mut delegations = BTreeSet::new();
        for event in seen {
            let agent = match &event.agent {
                Some(AgentRef::Key(key)) => {
                    Some(agents.entry(key.clone()).or_insert_with(|| assets::agent(key)).clone())
                }
                _ => None,
            };
            tools.extend(tool_of(event));
            if let (Some(agent), Some(model)) = (&agent, &event.model) {
                uses.insert((agent.clone(), assets::model(model)));
            }
            let to = event.detail.as_ref().and_then(|detail| detail.get("to")).and_then(|to| to.as_str());
            if let (Some(agent), Some(to)) = (agent, to) {
                delegations.insert((agent, assets::agent(to)));
            }
        }
        let models = seen.iter().filter_map(|event| event.model.as_deref()).map(assets::model);
        let mut wanted: BTreeMap<AssetRef, NewAsset> = BTreeMap::new();
        for asset in agents.values().cloned().chain(tools.iter().cloned()).chain(models) {
            wanted.entry(asset.clone()).or_insert_with(|| NewAsset { asset, patch: Patch::default() });
        }
        for (_, to) in &delegations {
            let asset = to.clone();
            wanted.entry(asset.clone()).or_insert_with(|| NewAsset { asset, patch: Patch::default() });
        }
        let told: BTreeSet<&AssetRef> = described.iter().map(|record| &record.asset).collect();
        for record in described {
            let (asset, patch) = (record.asset.clone(), Patch::from(record));
            wanted.insert(asset.clone(), NewAsset { asset, patch });
        }
        let keys: Vec<AssetRef> = wanted.keys().cloned().collect();
        let mut ids: BTreeMap<AssetRef, Named> =
            inventory::service::named_in_tx(tx, &keys).await?.into_iter().collect();
        // What is known already and of which nothing more is said is left alone: events come by the thousand.
        let unknown: Vec<NewAsset> =
            wanted.into_values().filter(|new| told.contains(&new.asset) || !ids.contains_key(&new.asset)).collect();
        if !unknown.is_empty() {
            let manner = Manner::Discovered { tool: SOURCE.to_owned(), version: String::new(), report: None };
            let upserted = inventory::service::upsert_in_tx(tx, &unknown, &manner).await?;
            ids.extend(upserted.ids);
        }
        let edge = |kind| {
            let ids = &ids;
            move |(from, to): &(AssetRef, AssetRef)| Some((*ids.get(from)?, kind, *ids.get(to)?))
        };
        let edges: Vec<_> = (uses.iter().filter_map(edge(RelationKind::UsesModel)))
            .chain(delegations.iter().filter_map(edge(RelationKind::DelegatesTo)))
            .filter(|(from, _, to)| from.asset != to.asset)
            .collect();
        let new = repo::unrelated(tx, &edges).await?;
        if !new.is_empty() {
            inventory::service::relate_in_tx(tx, &new, SOURCE).await?;
            let dirty: Vec<AssetId> = new.iter().map(|(from, ..)| from.asset).collect();
            scoring::mark_dirty(tx, &dirty).await?;
        }
        Ok(Self {
            agents: agents.into_iter().filter_map(|(key, asset)| Some((key, ids.get(&asset)?.asset))).collect(),
            tools: tools.into_iter().filter_map(|tool| Some((tool.clone(), ids.get(&tool)?.asset))).collect(),
        })
    }

    fn place<'a>(&self, event: &'a Seen) -> repo::Row<'a> {
        let agent = match &event.agent {
            Some(AgentRef::Known(id)) => Some(*id),
            Some(AgentRef::Key(key)) => self.agents.get(key).copied(),
            None => match event.teller {
                Teller::Sensor { watches, .. } => Some(watches),
                Teller::Guard | Teller::Unnamed(_) => None,
            },
        };
        let sensor_id = match event.teller {
            Teller::Sensor { id, .. } => Some(id.0),
            Teller::Guard | Teller::Unnamed(_) => None,
        };
        let tool_id = tool_of(event).and_then(|tool| self.tools.get(&tool)).map(|id| id.0);
        repo::Row { event, sensor_id, agent_id: agent.map(|id| id.0), tool_id }
    }
}

/// The tool of an event. One without a server is its agent's own.
fn tool_of(event: &Seen) -> Option<AssetRef> {
    let agent = match &event.agent {
        Some(AgentRef::Key(key)) => key.as_str(),
        _ => "",
    };
    event.tool.as_ref().map(|tool| assets::tool(agent, tool))
}

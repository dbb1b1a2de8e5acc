//! What a request fetches across slices, in batches: one query per kind of thing, however many rows ask for it.
//!
//! To add one: a key type that is asked for nowhere else (a typed id, or a struct around one) and an `impl Loader<Key>`
//! which calls one function of a slice's service; it opens one transaction per batch.

use crate::{
    findings, identity, imports, incidents, inventory,
    kernel::{Ctx, Db, telemetry},
    notify, playbooks, runtime, scoring,
};
use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
use futures::future::try_join_all;
use stance_engine::risk::CheckResult;
use stance_shared::{
    AgentSessionId, AssetId, ChannelId, ContainmentId, DecisionId, DeliveryId, EnforcementPointId, EventId, FindingId,
    IncidentId, PlaybookId, PlaybookRunId, PolicyId, ReportId, RuleId, SensorId, UserId,
};
use std::{collections::HashMap, hash::Hash, sync::Arc};

/// The request's loaders: each thing is fetched once per request.
pub type Loaders = DataLoader<Batch, HashMapCache>;

/// In whose name batches are fetched.
pub struct Batch {
    pub db: Db,
    pub asker: Ctx,
}

pub(super) fn new(db: Db, asker: Ctx) -> Loaders {
    DataLoader::with_cache(Batch { db, asker }, telemetry::spawn, HashMapCache::default())
}

impl Loader<AssetId> for Batch {
    type Value = inventory::Asset;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[AssetId]) -> Result<HashMap<AssetId, Self::Value>, Self::Error> {
        Ok(inventory::service::by_ids(&self.db, &self.asker, ids).await?)
    }
}

impl Loader<UserId> for Batch {
    type Value = identity::Person;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[UserId]) -> Result<HashMap<UserId, Self::Value>, Self::Error> {
        let people = identity::members::people(&self.db, &self.asker, ids).await?;
        Ok(people.into_iter().map(|person| (person.id, person)).collect())
    }
}

/// The relations of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelationsOf(pub AssetId);

impl Loader<RelationsOf> for Batch {
    type Value = Vec<inventory::Relation>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[RelationsOf]) -> Result<HashMap<RelationsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = inventory::service::relations(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, relations)| (RelationsOf(id), relations)).collect())
    }
}

/// The aliases of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AliasesOf(pub AssetId);

impl Loader<AliasesOf> for Batch {
    type Value = Vec<inventory::Alias>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[AliasesOf]) -> Result<HashMap<AliasesOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = inventory::aliases::of(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, aliases)| (AliasesOf(id), aliases)).collect())
    }
}

/// Who said what of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProvenanceOf(pub AssetId);

impl Loader<ProvenanceOf> for Batch {
    type Value = Vec<inventory::Provenance>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[ProvenanceOf]) -> Result<HashMap<ProvenanceOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = inventory::provenance::of(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, provenance)| (ProvenanceOf(id), provenance)).collect())
    }
}

/// What may be the same as an asset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlikeOf(pub AssetId);

impl Loader<AlikeOf> for Batch {
    type Value = Vec<AssetId>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[AlikeOf]) -> Result<HashMap<AlikeOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = inventory::aliases::alike(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, alike)| (AlikeOf(id), alike)).collect())
    }
}

/// The last lines of an asset's history.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HistoryOf(pub AssetId, pub i64);

impl Loader<HistoryOf> for Batch {
    type Value = Vec<inventory::Change>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[HistoryOf]) -> Result<HashMap<HistoryOf, Self::Value>, Self::Error> {
        by_argument(
            keys,
            |key| (key.1, key.0),
            |limit, ids| async move {
                let found = inventory::service::history(&self.db, &self.asker, &ids, limit).await?;
                Ok(found.into_iter().map(|(id, changes)| (HistoryOf(id, limit), changes)).collect())
            },
        )
        .await
    }
}

impl Loader<EventId> for Batch {
    type Value = runtime::events::Event;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[EventId]) -> Result<HashMap<EventId, Self::Value>, Self::Error> {
        let events = runtime::events::by_ids(&self.db, &self.asker, ids).await?;
        Ok(events.into_iter().map(|event| (event.id, event)).collect())
    }
}

impl Loader<PlaybookId> for Batch {
    type Value = playbooks::Playbook;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[PlaybookId]) -> Result<HashMap<PlaybookId, Self::Value>, Self::Error> {
        let found = playbooks::by_ids(&self.db, &self.asker, ids).await?;
        Ok(found.into_iter().map(|playbook| (playbook.id, playbook)).collect())
    }
}

impl Loader<PlaybookRunId> for Batch {
    type Value = playbooks::Run;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[PlaybookRunId]) -> Result<HashMap<PlaybookRunId, Self::Value>, Self::Error> {
        let found = playbooks::runs_by_ids(&self.db, &self.asker, ids).await?;
        Ok(found.into_iter().map(|run| (run.id, run)).collect())
    }
}

/// The versions of a playbook.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlaybookVersionsOf(pub PlaybookId);

impl Loader<PlaybookVersionsOf> for Batch {
    type Value = Vec<playbooks::Version>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[PlaybookVersionsOf]) -> Result<HashMap<PlaybookVersionsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for version in playbooks::versions(&self.db, &self.asker, &ids).await? {
            found.entry(PlaybookVersionsOf(version.playbook)).or_default().push(version);
        }
        Ok(found)
    }
}

/// The newest runs of a playbook.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunsOfPlaybook(pub PlaybookId);

impl Loader<RunsOfPlaybook> for Batch {
    type Value = Vec<playbooks::Run>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[RunsOfPlaybook]) -> Result<HashMap<RunsOfPlaybook, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for run in playbooks::newest_runs(&self.db, &self.asker, &[], &ids).await? {
            found.entry(RunsOfPlaybook(run.playbook)).or_default().push(run);
        }
        Ok(found)
    }
}

/// The newest runs of an incident.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunsOfIncident(pub IncidentId);

impl Loader<RunsOfIncident> for Batch {
    type Value = Vec<playbooks::Run>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[RunsOfIncident]) -> Result<HashMap<RunsOfIncident, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for run in playbooks::newest_runs(&self.db, &self.asker, &ids, &[]).await? {
            if let Some(incident) = run.incident {
                found.entry(RunsOfIncident(incident)).or_default().push(run);
            }
        }
        Ok(found)
    }
}

/// The newest containments of an incident.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContainmentsOfIncident(pub IncidentId);

impl Loader<ContainmentsOfIncident> for Batch {
    type Value = Vec<runtime::containment::views::Containment>;
    type Error = async_graphql::Error;

    async fn load(
        &self,
        keys: &[ContainmentsOfIncident],
    ) -> Result<HashMap<ContainmentsOfIncident, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for containment in runtime::containment::views::of_incidents(&self.db, &self.asker, &ids).await? {
            if let Some(incident) = containment.incident {
                found.entry(ContainmentsOfIncident(IncidentId(incident))).or_default().push(containment);
            }
        }
        Ok(found)
    }
}

/// The text that a run was started with, and what is known of its steps.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepsOf(pub PlaybookRunId);

impl Loader<StepsOf> for Batch {
    type Value = (Arc<stance_engine::playbook::Playbook>, Vec<playbooks::StepRecord>);
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[StepsOf]) -> Result<HashMap<StepsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = playbooks::steps_of(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, playbook, records)| (StepsOf(id), (playbook, records))).collect())
    }
}

impl Loader<SensorId> for Batch {
    type Value = runtime::sensors::Sensor;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[SensorId]) -> Result<HashMap<SensorId, Self::Value>, Self::Error> {
        let sensors = runtime::sensors::by_ids(&self.db, &self.asker, Some(ids)).await?;
        Ok(sensors.into_iter().map(|sensor| (sensor.id, sensor)).collect())
    }
}

impl Loader<ChannelId> for Batch {
    type Value = notify::domain::Channel;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[ChannelId]) -> Result<HashMap<ChannelId, Self::Value>, Self::Error> {
        let channels = notify::channels::by_ids(&self.db, &self.asker, ids).await?;
        Ok(channels.into_iter().map(|channel| (channel.id, channel)).collect())
    }
}

impl Loader<RuleId> for Batch {
    type Value = notify::domain::Rule;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[RuleId]) -> Result<HashMap<RuleId, Self::Value>, Self::Error> {
        let rules = notify::rules::by_ids(&self.db, &self.asker, ids).await?;
        Ok(rules.into_iter().map(|rule| (rule.id, rule)).collect())
    }
}

/// What a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentsOf(pub DeliveryId);

impl Loader<ContentsOf> for Batch {
    type Value = Vec<notify::domain::Told>;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[ContentsOf]) -> Result<HashMap<ContentsOf, Self::Value>, Self::Error> {
        let ids: Vec<DeliveryId> = ids.iter().map(|of| of.0).collect();
        let contents = notify::deliveries::contents(&self.db, &self.asker, &ids).await?;
        Ok(contents.into_iter().map(|(id, told)| (ContentsOf(id), told)).collect())
    }
}

impl Loader<PolicyId> for Batch {
    type Value = runtime::policies::Policy;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[PolicyId]) -> Result<HashMap<PolicyId, Self::Value>, Self::Error> {
        let policies = runtime::policies::by_ids(&self.db, &self.asker, ids).await?;
        Ok(policies.into_iter().map(|policy| (policy.id, policy)).collect())
    }
}

/// The versions of a policy, newest first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionsOf(pub PolicyId);

impl Loader<VersionsOf> for Batch {
    type Value = Vec<runtime::policies::Version>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[VersionsOf]) -> Result<HashMap<VersionsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<VersionsOf, Self::Value> = HashMap::new();
        for version in runtime::policies::versions(&self.db, &self.asker, &ids).await? {
            found.entry(VersionsOf(version.policy)).or_default().push(version);
        }
        Ok(found)
    }
}

/// The hash of the policy in force for an asset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicyHashOf(pub AssetId);

impl Loader<PolicyHashOf> for Batch {
    type Value = String;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[PolicyHashOf]) -> Result<HashMap<PolicyHashOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = runtime::policies::expected_hashes(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().filter_map(|(id, hash)| Some((PolicyHashOf(id), hash?))).collect())
    }
}

impl Loader<ContainmentId> for Batch {
    type Value = runtime::containment::views::Containment;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[ContainmentId]) -> Result<HashMap<ContainmentId, Self::Value>, Self::Error> {
        let found = runtime::containment::views::by_ids(&self.db, &self.asker, ids).await?;
        Ok(found.into_iter().map(|containment| (containment.id, containment)).collect())
    }
}

impl Loader<EnforcementPointId> for Batch {
    type Value = runtime::containment::views::Point;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[EnforcementPointId]) -> Result<HashMap<EnforcementPointId, Self::Value>, Self::Error> {
        let found = runtime::containment::views::points(&self.db, &self.asker, Some(ids)).await?;
        Ok(found.into_iter().map(|point| (point.id, point)).collect())
    }
}

/// How far the points are with a containment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnforcementsOf(pub ContainmentId);

impl Loader<EnforcementsOf> for Batch {
    type Value = Vec<runtime::containment::views::Enforcement>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[EnforcementsOf]) -> Result<HashMap<EnforcementsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<EnforcementsOf, Self::Value> = HashMap::new();
        for enforcement in runtime::containment::views::enforcements(&self.db, &self.asker, &ids).await? {
            found.entry(EnforcementsOf(enforcement.containment)).or_default().push(enforcement);
        }
        Ok(found)
    }
}

impl Loader<AgentSessionId> for Batch {
    type Value = runtime::overview::AgentSession;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[AgentSessionId]) -> Result<HashMap<AgentSessionId, Self::Value>, Self::Error> {
        let sessions = runtime::overview::sessions_by_ids(&self.db, &self.asker, ids).await?;
        Ok(sessions.into_iter().map(|session| (session.id, session)).collect())
    }
}

/// A run, by the agent and the name that an event carries.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionOf(pub AssetId, pub String);

impl Loader<SessionOf> for Batch {
    type Value = runtime::overview::AgentSession;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[SessionOf]) -> Result<HashMap<SessionOf, Self::Value>, Self::Error> {
        let names: Vec<_> = keys.iter().map(|key| (key.0, key.1.clone())).collect();
        let found = runtime::overview::sessions_by_names(&self.db, &self.asker, &names).await?;
        Ok(found.into_iter().map(|((agent, name), session)| (SessionOf(agent, name), session)).collect())
    }
}

/// An agent's traffic of so many hours.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrafficOf(pub AssetId, pub i32);

impl Loader<TrafficOf> for Batch {
    type Value = runtime::overview::AgentTraffic;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[TrafficOf]) -> Result<HashMap<TrafficOf, Self::Value>, Self::Error> {
        by_argument(
            keys,
            |key| (key.1, key.0),
            |hours, ids| async move {
                let found = runtime::overview::of_agents(&self.db, &self.asker, &ids, hours).await?;
                Ok(found.into_iter().map(|traffic| (TrafficOf(traffic.agent, hours), traffic)).collect())
            },
        )
        .await
    }
}

/// The tools that an agent may call, or called.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ToolsOf(pub AssetId);

impl Loader<ToolsOf> for Batch {
    type Value = Vec<runtime::overview::ToolUsage>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[ToolsOf]) -> Result<HashMap<ToolsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<ToolsOf, Self::Value> = HashMap::new();
        for usage in runtime::overview::tool_usage(&self.db, &self.asker, &ids).await? {
            found.entry(ToolsOf(usage.agent)).or_default().push(usage);
        }
        Ok(found)
    }
}

impl Loader<IncidentId> for Batch {
    type Value = incidents::Incident;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[IncidentId]) -> Result<HashMap<IncidentId, Self::Value>, Self::Error> {
        Ok(incidents::reading::by_ids(&self.db, &self.asker, ids).await?)
    }
}

/// Something of an incident that is read for many at once.
macro_rules! of_incidents {
    ($(#[$doc:meta])* $key:ident => $read:path, $value:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $key(pub IncidentId);

        impl Loader<$key> for Batch {
            type Value = $value;
            type Error = async_graphql::Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Self::Value>, Self::Error> {
                let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
                let found = $read(&self.db, &self.asker, &ids).await?;
                Ok(found.into_iter().map(|(id, value)| ($key(id), value)).collect())
            }
        }
    };
}

of_incidents! {
    /// The clocks of an incident.
    ClocksOf => incidents::reading::clocks, Vec<incidents::IncidentClock>
}
of_incidents! {
    /// Who watches an incident.
    WatchersOf => incidents::reading::watchers, Vec<UserId>
}
of_incidents! {
    /// Tickets elsewhere.
    LinksOf => incidents::reading::links, Vec<incidents::reading::Link>
}

/// The newest items of a kind, at most so many.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ItemsOf(pub IncidentId, pub &'static str, pub i64);

impl Loader<ItemsOf> for Batch {
    type Value = Vec<uuid::Uuid>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[ItemsOf]) -> Result<HashMap<ItemsOf, Self::Value>, Self::Error> {
        by_argument(
            keys,
            |key| ((key.1, key.2), key.0),
            |(kind, limit), ids| async move {
                let found = incidents::reading::items(&self.db, &self.asker, &ids, kind, limit).await?;
                Ok(found.into_iter().map(|(id, items)| (ItemsOf(id, kind, limit), items)).collect())
            },
        )
        .await
    }
}

impl Loader<FindingId> for Batch {
    type Value = findings::Finding;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[FindingId]) -> Result<HashMap<FindingId, Self::Value>, Self::Error> {
        Ok(findings::service::by_ids(&self.db, &self.asker, ids).await?)
    }
}

impl Loader<DecisionId> for Batch {
    type Value = findings::Decision;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[DecisionId]) -> Result<HashMap<DecisionId, Self::Value>, Self::Error> {
        Ok(findings::service::decisions(&self.db, &self.asker, ids).await?)
    }
}

/// What a search for a pattern finds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HitsOf(pub String);

impl Loader<HitsOf> for Batch {
    type Value = findings::Search;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[HitsOf]) -> Result<HashMap<HitsOf, Self::Value>, Self::Error> {
        let look = |key: &HitsOf| {
            let key = key.clone();
            async move { Ok((key.clone(), findings::service::look_up(&self.db, &self.asker, &key.0).await?)) }
        };
        try_join_all(keys.iter().map(look)).await.map(|found| found.into_iter().collect())
    }
}

/// The counts of an asset's open findings.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenFindingsOf(pub AssetId);

impl Loader<OpenFindingsOf> for Batch {
    type Value = findings::SeverityCounts;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[OpenFindingsOf]) -> Result<HashMap<OpenFindingsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = findings::service::open_by_asset(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, value)| (OpenFindingsOf(id), value)).collect())
    }
}

/// Who still reports a finding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeenOf(pub FindingId);

impl Loader<SeenOf> for Batch {
    type Value = findings::Seen;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[SeenOf]) -> Result<HashMap<SeenOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = findings::service::seen(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, value)| (SeenOf(id), value)).collect())
    }
}

/// What the scans say of a finding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OccurrencesOf(pub FindingId);

impl Loader<OccurrencesOf> for Batch {
    type Value = Vec<findings::Occurrence>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[OccurrencesOf]) -> Result<HashMap<OccurrencesOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = findings::service::occurrences(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, value)| (OccurrencesOf(id), value)).collect())
    }
}

/// The last lines of a finding's history.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventsOf(pub FindingId, pub i64);

impl Loader<EventsOf> for Batch {
    type Value = Vec<findings::Event>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[EventsOf]) -> Result<HashMap<EventsOf, Self::Value>, Self::Error> {
        by_argument(
            keys,
            |key| (key.1, key.0),
            |limit, ids| async move {
                let found = findings::service::history(&self.db, &self.asker, &ids, limit).await?;
                Ok(found.into_iter().map(|(id, events)| (EventsOf(id, limit), events)).collect())
            },
        )
        .await
    }
}

/// The risk figures of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AssetRiskOf(pub AssetId);

impl Loader<AssetRiskOf> for Batch {
    type Value = scoring::AssetRisk;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[AssetRiskOf]) -> Result<HashMap<AssetRiskOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = scoring::asset_risks(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, risk)| (AssetRiskOf(id), risk)).collect())
    }
}

/// The largest shares of an asset's risk.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SharesOf(pub AssetId, pub i64);

impl Loader<SharesOf> for Batch {
    type Value = scoring::Shares;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[SharesOf]) -> Result<HashMap<SharesOf, Self::Value>, Self::Error> {
        by_argument(
            keys,
            |key| (key.1, key.0),
            |first, ids| async move {
                let found = scoring::shares(&self.db, &self.asker, &ids, first).await?;
                Ok(found.into_iter().map(|(id, shares)| (SharesOf(id, first), shares)).collect())
            },
        )
        .await
    }
}

/// The checks of an asset, with the facts that they look at.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChecksOf(pub AssetId);

impl Loader<ChecksOf> for Batch {
    type Value = (scoring::Facts, Vec<CheckResult>);
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[ChecksOf]) -> Result<HashMap<ChecksOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = scoring::checks(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, checks)| (ChecksOf(id), checks)).collect())
    }
}

/// The last days of an asset's risk.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RiskDaysOf(pub AssetId, pub i32);

impl Loader<RiskDaysOf> for Batch {
    type Value = Vec<scoring::RiskPoint>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[RiskDaysOf]) -> Result<HashMap<RiskDaysOf, Self::Value>, Self::Error> {
        by_argument(
            keys,
            |key| (key.1, key.0),
            |days, ids| async move {
                let found = scoring::asset_history(&self.db, &self.asker, &ids, days).await?;
                Ok(found.into_iter().map(|(id, points)| (RiskDaysOf(id, days), points)).collect())
            },
        )
        .await
    }
}

impl Loader<ReportId> for Batch {
    type Value = imports::Report;
    type Error = async_graphql::Error;

    async fn load(&self, ids: &[ReportId]) -> Result<HashMap<ReportId, Self::Value>, Self::Error> {
        let found = imports::by_ids(&self.db, &self.asker, ids).await?;
        Ok(found.into_iter().map(|report| (report.id, report)).collect())
    }
}

/// The assets that a report is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AssetsOfReport(pub ReportId);

impl Loader<AssetsOfReport> for Batch {
    type Value = Vec<AssetId>;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[AssetsOfReport]) -> Result<HashMap<AssetsOfReport, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = imports::assets(&self.db, &self.asker, &ids).await?;
        Ok(found.into_iter().map(|(id, assets)| (AssetsOfReport(id), assets)).collect())
    }
}

/// Loads keys that carry an argument: one query per different argument, which within a document are few.
async fn by_argument<K, A, I, V, F>(
    keys: &[K],
    split: impl Fn(&K) -> (A, I),
    load: impl Fn(A, Vec<I>) -> F,
) -> async_graphql::Result<HashMap<K, V>>
where
    K: Eq + Hash,
    A: Eq + Hash,
    F: Future<Output = async_graphql::Result<HashMap<K, V>>>,
{
    let mut groups: HashMap<A, Vec<I>> = HashMap::new();
    for (argument, id) in keys.iter().map(split) {
        groups.entry(argument).or_default().push(id);
    }
    let maps = try_join_all(groups.into_iter().map(|(argument, ids)| load(argument, ids))).await?;
    Ok(maps.into_iter().flatten().collect())
}

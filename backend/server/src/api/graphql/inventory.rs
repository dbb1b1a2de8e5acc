//! Assets and their relations.

use super::{
    GraphqlContext as _,
    connection::Connection,
    findings::{self, Finding, FindingFilter, FindingSort, SeverityCounts},
    loaders::{AliasesOf, AlikeOf, HistoryOf, OpenFindingsOf, ProvenanceOf, RelationsOf, ToolsOf, TrafficOf},
    node,
    posture::{self, AssetRisk},
    runtime::{AgentTraffic, ToolUsage},
};
use crate::{
    inventory::{self, Filter, NewAsset, NewRelation, Patch, service},
    kernel::{Error, page::Page},
};
use async_graphql::{
    ComplexObject, Context, Enum, ID, InputObject, Json, MaybeUndefined, Object, Result, SimpleObject,
};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use stance_importers::AssetRef;
use stance_shared::{
    AssetId, AssetKind, Criticality, Environment, Exposure, Grade, Lifecycle, RelationId, RelationKind,
};

/// Something that can be at risk: an application, agent, model, dataset, tool, MCP server, knowledge base or prompt.
#[derive(Clone, Debug)]
pub struct Asset(pub inventory::Asset);

/// The asset with this id, fetched once per request; null when there is none.
pub(super) async fn load(ctx: &Context<'_>, id: AssetId) -> Result<Option<Asset>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Asset))
}

/// An asset that a foreign key says is there.
pub(super) async fn load_existing(ctx: &Context<'_>, id: AssetId) -> Result<Asset> {
    load(ctx, id).await?.ok_or_else(|| Error::not_found("asset").into())
}

#[Object]
impl Asset {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn kind(&self) -> AssetKind {
        self.0.kind
    }

    /// Stable key in the outside world; unique with the kind, whatever its case and spelling.
    async fn external_key(&self) -> &str {
        &self.0.external_key
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn owner(&self) -> Option<&str> {
        self.0.owner.as_deref()
    }

    async fn environment(&self) -> Environment {
        self.0.environment
    }

    async fn exposure(&self) -> Exposure {
        self.0.exposure
    }

    async fn criticality(&self) -> Criticality {
        self.0.criticality
    }

    async fn lifecycle(&self) -> Lifecycle {
        self.0.lifecycle
    }

    async fn tags(&self) -> &[String] {
        &self.0.tags
    }

    async fn attributes(&self) -> Json<&Value> {
        Json(&self.0.attributes)
    }

    async fn first_seen(&self) -> DateTime<Utc> {
        self.0.first_seen
    }

    async fn last_seen(&self) -> DateTime<Utc> {
        self.0.last_seen
    }

    /// By risk unless sorted otherwise, the highest first; `asset` of the filter is ignored.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn findings(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        filter: Option<FindingFilter>,
        sort: Option<FindingSort>,
    ) -> Result<Connection<Finding>> {
        let filter = FindingFilter::read(filter, ctx).await?;
        findings::list(ctx, first, after, crate::findings::Filter { asset: Some(self.0.id), ..filter }, sort).await
    }

    async fn risk(&self, ctx: &Context<'_>) -> Result<AssetRisk> {
        posture::asset_risk(ctx, &self.0).await
    }

    /// Open and in progress.
    async fn open_findings(&self, ctx: &Context<'_>) -> Result<SeverityCounts> {
        Ok(ctx.loaders()?.load_one(OpenFindingsOf(self.0.id)).await?.unwrap_or_default().into())
    }

    /// Both directions, newest first, at most 200.
    #[graphql(complexity = "20 * child_complexity")]
    async fn relations(&self, ctx: &Context<'_>) -> Result<Vec<Relation>> {
        let relations = ctx.loaders()?.load_one(RelationsOf(self.0.id)).await?.unwrap_or_default();
        Ok(relations.into_iter().map(Relation::from).collect())
    }

    /// Assets that were found to be part of this one, oldest first: their keys mean this one.
    #[graphql(complexity = "5 * child_complexity")]
    async fn aliases(&self, ctx: &Context<'_>) -> Result<Vec<AssetAlias>> {
        let aliases = ctx.loaders()?.load_one(AliasesOf(self.0.id)).await?.unwrap_or_default();
        Ok(aliases.into_iter().map(AssetAlias::from).collect())
    }

    /// An agent's tools, declared against used in the last 30 days.
    #[graphql(complexity = "20 * child_complexity")]
    async fn tool_usage(&self, ctx: &Context<'_>) -> Result<Vec<ToolUsage>> {
        let usage = ctx.loaders()?.load_one(ToolsOf(self.0.id)).await?.unwrap_or_default();
        Ok(usage.into_iter().map(ToolUsage).collect())
    }

    /// An agent's traffic of the last `hours`, 1 to 720; null: none.
    async fn runtime(&self, ctx: &Context<'_>, #[graphql(default = 24)] hours: i32) -> Result<Option<AgentTraffic>> {
        Ok(ctx.loaders()?.load_one(TrafficOf(self.0.id, hours)).await?.map(AgentTraffic))
    }

    /// Who said what of it: one entry for each attribute of which anybody said anything, in the order of the attributes.
    #[graphql(complexity = "10 * child_complexity")]
    async fn provenance(&self, ctx: &Context<'_>) -> Result<Vec<AssetProvenance>> {
        let provenance = ctx.loaders()?.load_one(ProvenanceOf(self.0.id)).await?.unwrap_or_default();
        Ok(provenance.into_iter().map(AssetProvenance::from).collect())
    }

    /// Assets that may be the same: of the same kind and name, whatever case, punctuation and path are. At most 8, the riskiest
    /// first.
    #[graphql(complexity = "8 * child_complexity")]
    async fn alike(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        let ids = ctx.loaders()?.load_one(AlikeOf(self.0.id)).await?.unwrap_or_default();
        let mut found = ctx.loaders()?.load_many(ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).map(Asset).collect())
    }

    /// Newest first, at most 100.
    #[graphql(complexity = "first.max(1) as usize * child_complexity")]
    async fn history(&self, ctx: &Context<'_>, #[graphql(default = 50)] first: i32) -> Result<Vec<AssetChange>> {
        let limit = Page::<()>::parse(Some(first), None)?.first;
        let changes = ctx.loaders()?.load_one(HistoryOf(self.0.id, limit)).await?.unwrap_or_default();
        Ok(changes.into_iter().map(AssetChange::from).collect())
    }
}

/// How one asset depends on another; read "from … to".
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Relation {
    #[graphql(owned)]
    pub id: ID,
    kind: RelationKind,
    /// Who says so: the name of a tool, person or token.
    source: String,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    #[graphql(skip)]
    ends: (AssetId, AssetId),
}

#[ComplexObject]
impl Relation {
    #[graphql(name = "from")]
    async fn source_asset(&self, ctx: &Context<'_>) -> Result<Asset> {
        load_existing(ctx, self.ends.0).await
    }

    #[graphql(name = "to")]
    async fn target_asset(&self, ctx: &Context<'_>) -> Result<Asset> {
        load_existing(ctx, self.ends.1).await
    }
}

impl From<inventory::Relation> for Relation {
    fn from(relation: inventory::Relation) -> Self {
        Self {
            id: node::id(relation.id),
            kind: relation.kind,
            source: relation.source,
            first_seen: relation.first_seen,
            last_seen: relation.last_seen,
            ends: (relation.from_id, relation.to_id),
        }
    }
}

/// The relation with this id; null when there is none.
pub(super) async fn load_relation(ctx: &Context<'_>, id: RelationId) -> Result<Option<Relation>> {
    Ok(service::relation(ctx.db()?, ctx.asker()?, id).await?.map(Relation::from))
}

/// An asset that became part of another one.
#[derive(SimpleObject)]
pub struct AssetAlias {
    /// What `splitAsset` takes; asked for by this id, `asset` gives the asset that it is part of.
    id: ID,
    external_key: String,
    name: String,
    /// When it was merged, and by whom.
    at: DateTime<Utc>,
    by: String,
}

impl From<inventory::Alias> for AssetAlias {
    fn from(alias: inventory::Alias) -> Self {
        let inventory::Alias { id, external_key, name, at, by } = alias;
        Self { id: node::id(id), external_key, name, at, by }
    }
}

/// Who says something of an asset.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceKind {
    User,
    Token,
    /// Stance itself.
    System,
    /// A tool whose report mentions the asset.
    Tool,
}

/// What a source says of an attribute.
#[derive(SimpleObject)]
pub struct AssetStatement {
    /// Null: that there is none.
    value: Option<Json<Value>>,
    source_kind: SourceKind,
    /// The name of a tool or token, the address of a person.
    source: String,
    /// Of the tool; empty when it did not say.
    version: String,
    /// In which the tool said so first.
    report_id: Option<ID>,
    /// The key under which it was said, when that is an alias of the asset.
    alias: Option<String>,
    /// Since when the source says so.
    at: DateTime<Utc>,
}

/// Who said an attribute of an asset. What people and tokens declare counts before what tools say, and of each the newest.
#[derive(SimpleObject)]
pub struct AssetProvenance {
    /// `name`, `owner`, `environment`, `exposure`, `criticality` or `lifecycle`; `tag:` and the tag; `attribute:` and its key.
    attribute: String,
    in_force: AssetStatement,
    also_said: Vec<AssetStatement>,
}

impl From<inventory::Statement> for AssetStatement {
    fn from(statement: inventory::Statement) -> Self {
        Self {
            value: statement.value.map(Json),
            source_kind: match statement.source_kind.as_str() {
                "USER" => SourceKind::User,
                "TOKEN" => SourceKind::Token,
                "SYSTEM" => SourceKind::System,
                _ => SourceKind::Tool,
            },
            source: statement.source,
            version: statement.version,
            report_id: statement.report.map(node::id),
            alias: statement.alias,
            at: statement.at,
        }
    }
}

impl From<inventory::Provenance> for AssetProvenance {
    fn from(provenance: inventory::Provenance) -> Self {
        Self {
            attribute: provenance.attribute,
            in_force: provenance.in_force.into(),
            also_said: provenance.also_said.into_iter().map(AssetStatement::from).collect(),
        }
    }
}

#[derive(SimpleObject)]
pub struct SplitAssetPayload {
    /// What stays.
    asset: Asset,
    /// What was split off.
    split: Asset,
}

/// A line of an asset's history.
#[derive(SimpleObject)]
pub struct AssetChange {
    at: DateTime<Utc>,
    actor: String,
    summary: String,
    /// `{"field": {"from": …, "to": …}}`
    changes: Json<Value>,
}

impl From<inventory::Change> for AssetChange {
    fn from(change: inventory::Change) -> Self {
        Self { at: change.at, actor: change.actor, summary: change.summary, changes: Json(change.changes) }
    }
}

#[derive(SimpleObject)]
pub struct AssetKindCount {
    kind: AssetKind,
    count: i64,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortDirection {
    Asc,
    Desc,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum AssetSortKey {
    /// Unassessed assets count below all others.
    Risk,
    Name,
    LastSeen,
}

#[derive(InputObject)]
pub struct AssetSort {
    key: AssetSortKey,
    #[graphql(default_with = "SortDirection::Desc")]
    direction: SortDirection,
}

/// All that is given must hold; of a list, one must.
#[derive(InputObject, Default)]
pub struct AssetFilter {
    kind: Option<Vec<AssetKind>>,
    lifecycle: Option<Vec<Lifecycle>>,
    exposure: Option<Vec<Exposure>>,
    criticality: Option<Vec<Criticality>>,
    environment: Option<Vec<Environment>>,
    grade: Option<Vec<Grade>>,
    tag: Option<String>,
    owner: Option<String>,
    no_owner: Option<bool>,
    /// Whole, in any of its spellings, an alias too; assets of different kinds may have the same.
    external_key: Option<String>,
    /// Anywhere in name or key, whatever its case.
    search: Option<String>,
}

impl AssetFilter {
    fn read(self) -> crate::kernel::Result<Filter> {
        let line = |field: &str, value: Option<String>, max| {
            value.map(|value| crate::kernel::text::line(&format!("filter.{field}"), &value, max)).transpose()
        };
        Ok(Filter {
            kind: self.kind.unwrap_or_default(),
            lifecycle: self.lifecycle.unwrap_or_default(),
            exposure: self.exposure.unwrap_or_default(),
            criticality: self.criticality.unwrap_or_default(),
            environment: self.environment.unwrap_or_default(),
            grade: self.grade.unwrap_or_default(),
            tag: line("tag", self.tag, 100)?,
            owner: line("owner", self.owner, 200)?,
            no_owner: self.no_owner.unwrap_or_default(),
            external_key: line("externalKey", self.external_key, 512)?,
            search: crate::kernel::text::search("filter.search", &self.search.unwrap_or_default())?,
        })
    }
}

/// An asset by kind and external key. What is not given stays as it is.
#[derive(InputObject)]
pub struct AssetInput {
    pub(super) kind: AssetKind,
    pub(super) external_key: String,
    name: Option<String>,
    owner: Option<String>,
    environment: Option<Environment>,
    exposure: Option<Exposure>,
    criticality: Option<Criticality>,
    lifecycle: Option<Lifecycle>,
    tags: Option<Vec<String>>,
    attributes: Option<Json<Map<String, Value>>>,
}

impl From<AssetInput> for NewAsset {
    fn from(input: AssetInput) -> Self {
        Self {
            asset: AssetRef { kind: input.kind, key: input.external_key },
            patch: Patch {
                name: input.name,
                owner: input.owner.map(Some),
                environment: input.environment,
                exposure: input.exposure,
                criticality: input.criticality,
                lifecycle: input.lifecycle,
                tags: input.tags,
                attributes: input.attributes.map(|attributes| attributes.0),
            },
        }
    }
}

#[derive(InputObject)]
pub struct AssetRefInput {
    kind: AssetKind,
    external_key: String,
}

impl From<AssetRefInput> for AssetRef {
    fn from(input: AssetRefInput) -> Self {
        Self { kind: input.kind, key: input.external_key.trim().to_owned() }
    }
}

#[derive(InputObject)]
pub struct RelationInput {
    from: AssetRefInput,
    kind: RelationKind,
    to: AssetRefInput,
}

impl From<RelationInput> for NewRelation {
    fn from(input: RelationInput) -> Self {
        Self { from: input.from.into(), kind: input.kind, to: input.to.into() }
    }
}

/// What to change of an asset.
#[derive(InputObject)]
pub struct AssetPatch {
    name: Option<String>,
    /// Null removes the owner.
    owner: MaybeUndefined<String>,
    environment: Option<Environment>,
    exposure: Option<Exposure>,
    criticality: Option<Criticality>,
    lifecycle: Option<Lifecycle>,
    tags: Option<Vec<String>>,
}

impl From<AssetPatch> for Patch {
    fn from(patch: AssetPatch) -> Self {
        Self {
            name: patch.name,
            owner: match patch.owner {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(owner) => Some(Some(owner)),
            },
            environment: patch.environment,
            exposure: patch.exposure,
            criticality: patch.criticality,
            lifecycle: patch.lifecycle,
            tags: patch.tags,
            attributes: None,
        }
    }
}

#[derive(SimpleObject)]
pub struct UpsertAssetsPayload {
    /// In the order of the input.
    assets: Vec<Asset>,
    created: usize,
    updated: usize,
    unchanged: usize,
    /// How many relations are new.
    relations: usize,
}

#[derive(Default)]
pub struct InventoryQuery;

#[Object]
impl InventoryQuery {
    /// By risk unless sorted otherwise, the highest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn assets(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        filter: Option<AssetFilter>,
        sort: Option<AssetSort>,
    ) -> Result<Connection<Asset>> {
        let page = Page::parse(first, after.as_deref())?;
        let filter = filter.unwrap_or_default().read()?;
        let (sort, descending) = match sort {
            None => (inventory::Sort::Risk, true),
            Some(sort) => {
                let key = match sort.key {
                    AssetSortKey::Risk => inventory::Sort::Risk,
                    AssetSortKey::Name => inventory::Sort::Name,
                    AssetSortKey::LastSeen => inventory::Sort::LastSeen,
                };
                (key, sort.direction == SortDirection::Desc)
            }
        };
        let (db, asker) = (ctx.db()?.clone(), ctx.asker()?.clone());
        let slice = service::list(&db, &asker, &filter, sort, descending, &page).await?;
        Ok(Connection::new(
            &page,
            slice,
            |asset| sort.key(asset),
            Asset,
            move || {
                let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
                async move { service::count(&db, &asker, &filter).await }
            },
        ))
    }

    /// Kinds without assets are left out.
    async fn asset_counts(&self, ctx: &Context<'_>, filter: Option<AssetFilter>) -> Result<Vec<AssetKindCount>> {
        let counts = service::count_by_kind(ctx.db()?, ctx.asker()?, &filter.unwrap_or_default().read()?).await?;
        Ok(counts.into_iter().map(|(kind, count)| AssetKindCount { kind, count }).collect())
    }

    /// Null when there is no such asset.
    async fn asset(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Asset>> {
        load(ctx, node::parse("id", &id)?).await
    }
}

#[derive(Default)]
pub struct InventoryMutation;

#[Object]
impl InventoryMutation {
    /// Declares up to 1,000 assets and 1,000 relations: idempotent by kind and external key.
    async fn upsert_assets(
        &self,
        ctx: &Context<'_>,
        assets: Vec<AssetInput>,
        relations: Option<Vec<RelationInput>>,
    ) -> Result<UpsertAssetsPayload> {
        let assets: Vec<NewAsset> = assets.into_iter().map(NewAsset::from).collect();
        let relations: Vec<NewRelation> = relations.unwrap_or_default().into_iter().map(NewRelation::from).collect();
        let mut keys: Vec<AssetRef> = assets.iter().map(|asset| asset.asset.clone()).collect();
        keys.iter_mut().for_each(|asset| asset.key = asset.key.trim().to_owned());
        let (outcome, relations) = service::upsert(ctx.db()?, ctx.asker()?, assets, &relations).await?;
        let ids: Vec<AssetId> = keys.iter().filter_map(|key| Some(outcome.ids.get(key)?.asset)).collect();
        let mut by_id = service::by_ids(ctx.db()?, ctx.asker()?, &ids).await?;
        Ok(UpsertAssetsPayload {
            assets: ids.iter().filter_map(|id| by_id.remove(id)).map(Asset).collect(),
            created: outcome.created,
            updated: outcome.updated,
            unchanged: outcome.unchanged,
            relations,
        })
    }

    /// Makes up to 20 assets part of another one of their kind: findings, relations and history come together, and their keys
    /// mean `keep` from then on. The same problem on several becomes one finding under the strictest of its decisions.
    async fn merge_assets(&self, ctx: &Context<'_>, keep: ID, others: Vec<ID>) -> Result<Asset> {
        let others = node::parse_all("others", &others, inventory::aliases::MAX_MERGE)?;
        let keep = node::parse("keep", &keep)?;
        Ok(Asset(crate::findings::aliases::merge_assets(ctx.db()?, ctx.asker()?, keep, &others).await?))
    }

    /// Makes an alias an asset of its own again, with all that came in under its key.
    async fn split_asset(&self, ctx: &Context<'_>, asset: ID, alias: ID) -> Result<SplitAssetPayload> {
        let (asset, alias) = (node::parse("asset", &asset)?, node::parse("alias", &alias)?);
        let (asset, split) = crate::findings::aliases::split_asset(ctx.db()?, ctx.asker()?, asset, alias).await?;
        Ok(SplitAssetPayload { asset: Asset(asset), split: Asset(split) })
    }

    async fn update_asset(&self, ctx: &Context<'_>, id: ID, patch: AssetPatch) -> Result<Asset> {
        Ok(Asset(service::update(ctx.db()?, ctx.asker()?, node::parse("id", &id)?, patch.into()).await?))
    }
}

//! Findings and what people do with them.

use super::{
    GraphqlContext as _,
    connection::Connection,
    follow::follow,
    identity::{User, load_user},
    imports::{self, Report},
    inventory::{self, Asset, SortDirection},
    loaders::{EventsOf, OccurrencesOf, SeenOf},
    node,
};
use crate::{
    findings::{self, Action, Event, Filter, Key, Sort, Triage, service},
    kernel::{Ctx, Db, Error, page::Page, text},
    live::Topic,
};
use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Json, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use stance_engine::risk;
use stance_shared::{
    AssetKind, BatchId, DecisionId, DecisionKind, FindingId, FindingStatus, Layer, ReportId, Severity, UserId, taxonomy,
};

/// One problem of one asset, whoever reports it.
#[derive(Clone, Debug)]
pub struct Finding(pub findings::Finding);

/// The finding with this id, fetched once per request; null when there is none.
pub(super) async fn load(ctx: &Context<'_>, id: FindingId) -> Result<Option<Finding>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Finding))
}

/// The decision with this id; null when there is none.
pub(super) async fn load_decision(ctx: &Context<'_>, id: DecisionId) -> Result<Option<Decision>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Decision::from))
}

impl Finding {
    async fn said(&self, ctx: &Context<'_>) -> Result<Vec<findings::Occurrence>> {
        Ok(ctx.loaders()?.load_one(OccurrencesOf(self.0.id)).await?.unwrap_or_default())
    }

    async fn seen(&self, ctx: &Context<'_>) -> Result<findings::Seen> {
        Ok(ctx.loaders()?.load_one(SeenOf(self.0.id)).await?.unwrap_or_default())
    }

    /// The asset's residual risk, 0 to 1, when this finding is part of it.
    async fn part_of(&self, ctx: &Context<'_>) -> Result<Option<f64>> {
        if !matches!(self.0.status, FindingStatus::Open | FindingStatus::InProgress) {
            return Ok(None);
        }
        Ok(inventory::load_existing(ctx, self.0.asset_id).await?.0.risk)
    }
}

#[Object]
impl Finding {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    /// 32 hexadecimal digits.
    async fn fingerprint(&self) -> String {
        self.0.fingerprint.simple().to_string()
    }

    async fn title(&self) -> &str {
        &self.0.title
    }

    async fn description(&self) -> &str {
        &self.0.description
    }

    async fn remediation(&self) -> &str {
        &self.0.remediation
    }

    async fn layer(&self) -> Layer {
        self.0.layer
    }

    async fn severity(&self) -> Severity {
        self.0.severity.0
    }

    async fn status(&self) -> FindingStatus {
        self.0.status
    }

    /// The tool's rule.
    async fn rule(&self) -> &str {
        &self.0.rule
    }

    /// 0 to 10 where the source gives one.
    async fn score(&self) -> Option<f64> {
        self.0.score
    }

    /// Share of attacks that succeeded, 0 to 1.
    async fn attack_success_rate(&self) -> Option<f64> {
        self.0.attack_success_rate
    }

    /// 0 to 0.99, `stance-risk/1`.
    async fn risk(&self) -> f64 {
        self.0.risk
    }

    /// Points of the asset's residual risk that this finding carries.
    async fn asset_points(&self, ctx: &Context<'_>) -> Result<f64> {
        let Some(total) = self.part_of(ctx).await? else { return Ok(0.0) };
        let (all, own) = (risk::weight(total), risk::weight(self.0.risk));
        Ok(if all > 0.0 { 100.0 * total * (own / all).min(1.0) } else { 0.0 })
    }

    /// Asset risk when this finding is closed, 0 to 100; null when the asset is unassessed.
    async fn asset_risk_without(&self, ctx: &Context<'_>) -> Result<Option<f64>> {
        let asset = inventory::load_existing(ctx, self.0.asset_id).await?.0.risk;
        let Some(total) = self.part_of(ctx).await? else { return Ok(asset.map(|risk| 100.0 * risk)) };
        Ok(Some(100.0 * risk::risk_of_weight(risk::weight(total) - risk::weight(self.0.risk))))
    }

    async fn categories(&self) -> Vec<Category> {
        self.0.categories.iter().map(|key| Category::of(key)).collect()
    }

    /// Where it was found, over all scans that still report it; at most 100.
    #[graphql(complexity = "10 * child_complexity")]
    async fn locations(&self, ctx: &Context<'_>) -> Result<Vec<Location>> {
        let mut locations: Vec<Location> = Vec::new();
        for occurrence in present(self.said(ctx).await?) {
            for location in read_locations(occurrence.locations) {
                if locations.len() < 100 && !locations.contains(&location) {
                    locations.push(location);
                }
            }
        }
        Ok(locations)
    }

    /// What the scan that ran last says; an object.
    async fn evidence(&self, ctx: &Context<'_>) -> Result<Json<Value>> {
        let said = self.said(ctx).await?;
        Ok(Json(said.into_iter().next().map_or_else(|| json!({}), |occurrence| occurrence.evidence)))
    }

    /// How often the scans that still report it saw it.
    async fn count(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.seen(ctx).await?.count)
    }

    async fn asset(&self, ctx: &Context<'_>) -> Result<Asset> {
        inventory::load_existing(ctx, self.0.asset_id).await
    }

    /// Names of the tools that still report it.
    async fn tools(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        Ok(self.seen(ctx).await?.tools)
    }

    async fn assignee(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load_user(ctx, self.0.assignee_id).await
    }

    async fn first_seen(&self) -> DateTime<Utc> {
        self.0.first_seen
    }

    /// When a scan last reported it.
    async fn last_seen(&self, ctx: &Context<'_>) -> Result<DateTime<Utc>> {
        Ok(self.seen(ctx).await?.last.unwrap_or(self.0.first_seen))
    }

    async fn resolved_at(&self) -> Option<DateTime<Utc>> {
        self.0.resolved_at
    }

    /// The decision in force.
    async fn decision(&self, ctx: &Context<'_>) -> Result<Option<Decision>> {
        match self.0.decision_id {
            None => Ok(None),
            Some(id) => load_decision(ctx, id).await,
        }
    }

    /// What each scan says of it: those that still report it first, newest first.
    #[graphql(complexity = "5 * child_complexity")]
    async fn occurrences(&self, ctx: &Context<'_>) -> Result<Vec<Occurrence>> {
        Ok(self.said(ctx).await?.into_iter().map(Occurrence::from).collect())
    }

    /// Newest first, at most 100.
    #[graphql(complexity = "first.max(1) as usize * child_complexity")]
    async fn history(&self, ctx: &Context<'_>, #[graphql(default = 100)] first: i32) -> Result<Vec<FindingEvent>> {
        let limit = Page::<()>::parse(Some(first), None)?.first;
        let events = ctx.loaders()?.load_one(EventsOf(self.0.id, limit)).await?.unwrap_or_default();
        Ok(events.into_iter().map(FindingEvent::from).collect())
    }
}

fn present(said: Vec<findings::Occurrence>) -> Vec<findings::Occurrence> {
    // Of a resolved finding nothing is present; then its last words count.
    let any = said.iter().any(|occurrence| occurrence.absent_since.is_none());
    said.into_iter().filter(|occurrence| !any || occurrence.absent_since.is_none()).collect()
}

/// A category of a taxonomy.
#[derive(SimpleObject)]
pub struct Category {
    /// `framework@version:id`
    key: String,
    framework: String,
    version: String,
    id: String,
    name: Option<String>,
    /// Where to read about it.
    url: String,
}

impl Category {
    pub(super) fn of(key: &str) -> Self {
        if let Some(known) = taxonomy::lookup(key) {
            return Self {
                key: key.to_owned(),
                framework: known.framework.to_owned(),
                version: known.version.to_owned(),
                id: known.id.into_owned(),
                name: known.name.map(str::to_owned),
                url: known.url,
            };
        }
        let (framework, version, id) = taxonomy::parse(key).unwrap_or(("", "", key));
        Self {
            key: key.to_owned(),
            framework: framework.to_owned(),
            version: version.to_owned(),
            id: id.to_owned(),
            name: None,
            url: String::new(),
        }
    }
}

/// A place in a file, an artifact or a conversation.
#[derive(SimpleObject, Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Location {
    uri: String,
    /// 1-based.
    line: Option<u32>,
    snippet: Option<String>,
}

fn read_locations(stored: Value) -> Vec<Location> {
    serde_json::from_value(stored).unwrap_or_default()
}

/// What one scan (tool, asset, identity) says of a finding.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Occurrence {
    tool: String,
    tool_version: String,
    scan_identity: String,
    severity: Severity,
    count: i64,
    attack_success_rate: Option<f64>,
    evidence: Json<Value>,
    locations: Vec<Location>,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    /// Since when the scan no longer reports it.
    absent_since: Option<DateTime<Utc>>,
    #[graphql(skip)]
    report_id: ReportId,
}

#[ComplexObject]
impl Occurrence {
    /// The report that said this content first.
    async fn report(&self, ctx: &Context<'_>) -> Result<Option<Report>> {
        imports::load(ctx, self.report_id).await
    }
}

impl From<findings::Occurrence> for Occurrence {
    fn from(occurrence: findings::Occurrence) -> Self {
        Self {
            tool: occurrence.tool,
            tool_version: occurrence.tool_version,
            scan_identity: occurrence.scan_identity,
            severity: occurrence.severity,
            count: occurrence.count,
            attack_success_rate: occurrence.attack_success_rate,
            evidence: Json(occurrence.evidence),
            locations: read_locations(occurrence.locations),
            first_seen: occurrence.first_seen,
            last_seen: occurrence.last_seen,
            absent_since: occurrence.absent_since,
            report_id: occurrence.report_id,
        }
    }
}

/// What a person said of a finding.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Decision {
    #[graphql(owned)]
    pub id: ID,
    kind: DecisionKind,
    reason: String,
    decided_by: String,
    decided_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// Where an imported suppression came from.
    origin: Option<String>,
    #[graphql(skip)]
    approver_id: Option<UserId>,
}

#[ComplexObject]
impl Decision {
    async fn approver(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        load_user(ctx, self.approver_id).await
    }
}

impl From<findings::Decision> for Decision {
    fn from(decision: findings::Decision) -> Self {
        Self {
            id: node::id(decision.id),
            kind: decision.kind,
            reason: decision.reason,
            decided_by: decision.decided_by,
            decided_at: decision.decided_at,
            expires_at: decision.expires_at,
            origin: decision.origin,
            approver_id: decision.approver_id,
        }
    }
}

/// A line of a finding's history.
/// kind: CREATED, REPORTED, UPDATED, RESOLVED, REOPENED, DECIDED, UNDONE, EXPIRED, ASSIGNED, COMMENTED
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct FindingEvent {
    at: DateTime<Utc>,
    kind: String,
    actor: String,
    summary: String,
    comment: Option<String>,
    #[graphql(skip)]
    report_id: Option<ReportId>,
}

#[ComplexObject]
impl FindingEvent {
    async fn report(&self, ctx: &Context<'_>) -> Result<Option<Report>> {
        match self.report_id {
            Some(id) => imports::load(ctx, id).await,
            None => Ok(None),
        }
    }
}

impl From<Event> for FindingEvent {
    fn from(event: Event) -> Self {
        Self {
            at: event.at,
            kind: event.kind,
            actor: event.actor,
            summary: event.summary,
            comment: event.comment,
            report_id: event.report_id,
        }
    }
}

/// Open findings by severity.
#[derive(SimpleObject)]
pub struct SeverityCounts {
    critical: i64,
    high: i64,
    medium: i64,
    low: i64,
    info: i64,
    total: i64,
}

impl From<findings::SeverityCounts> for SeverityCounts {
    fn from(counts: findings::SeverityCounts) -> Self {
        let [critical, high, medium, low, info] = counts.0;
        Self { critical, high, medium, low, info, total: counts.0.iter().sum() }
    }
}

#[derive(SimpleObject)]
pub struct CategoryCount {
    category: Category,
    count: i64,
}

/// Counts under the filter; `status` of the filter is ignored.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct FindingSummary {
    open: i64,
    in_progress: i64,
    resolved: i64,
    false_positive: i64,
    risk_accepted: i64,
    /// Open and in progress, assigned to the viewer.
    mine: i64,
    /// Open and in progress.
    by_severity: SeverityCounts,
    #[graphql(skip)]
    filter: Filter,
}

#[ComplexObject]
impl FindingSummary {
    /// Names of all tools that ever scanned something.
    async fn tools(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        Ok(service::tools(ctx.db()?, ctx.asker()?).await?)
    }

    /// The 50 most frequent.
    async fn categories(&self, ctx: &Context<'_>) -> Result<Vec<CategoryCount>> {
        let counts = service::categories(ctx.db()?, ctx.asker()?, &self.filter).await?;
        let count = |(key, count): (String, i64)| CategoryCount { category: Category::of(&key), count };
        Ok(counts.into_iter().map(count).collect())
    }
}

/// All that is given must hold; of a list, one must.
#[derive(InputObject, Default)]
pub struct FindingFilter {
    status: Option<Vec<FindingStatus>>,
    severity: Option<Vec<Severity>>,
    layer: Option<Vec<Layer>>,
    asset: Option<ID>,
    asset_kind: Option<Vec<AssetKind>>,
    /// A tool that still reports it.
    tool: Option<String>,
    /// `framework@version:id`
    category: Option<String>,
    /// Still reported by a scan that this report fed.
    report: Option<ID>,
    assignee: Option<ID>,
    /// Assigned to the viewer.
    mine: Option<bool>,
    unassigned: Option<bool>,
    /// Anywhere in title or rule, whatever its case.
    search: Option<String>,
    /// Reported by a scan that ran then or later.
    seen_since: Option<DateTime<Utc>>,
}

impl FindingFilter {
    pub(super) fn read(self, asker: &Ctx) -> crate::kernel::Result<Filter> {
        let line = |field: &str, value: Option<String>| {
            value.map(|value| text::line(&format!("filter.{field}"), &value, 300)).transpose()
        };
        let mut assignee = self.assignee.map(|id| node::parse("filter.assignee", &id)).transpose()?;
        if self.mine.unwrap_or_default() {
            let me =
                asker.user().ok_or_else(|| Error::field("filter.mine", "is for people; a token has no findings"))?;
            if assignee.is_some_and(|other| other != me) {
                return Err(Error::field("filter.mine", "contradicts filter.assignee"));
            }
            assignee = Some(me);
        }
        Ok(Filter {
            status: self.status.unwrap_or_default(),
            severity: self.severity.unwrap_or_default(),
            layer: self.layer.unwrap_or_default(),
            asset: self.asset.map(|id| node::parse("filter.asset", &id)).transpose()?,
            asset_kind: self.asset_kind.unwrap_or_default(),
            tool: line("tool", self.tool)?,
            category: line("category", self.category)?,
            report: self.report.map(|id| node::parse("filter.report", &id)).transpose()?,
            assignee,
            unassigned: self.unassigned.unwrap_or_default(),
            search: text::search("filter.search", &self.search.unwrap_or_default())?,
            seen_since: self.seen_since,
        })
    }
}

#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum FindingSortKey {
    Risk,
    /// DESC: the worst first.
    Severity,
    FirstSeen,
}

#[derive(InputObject)]
pub struct FindingSort {
    key: FindingSortKey,
    #[graphql(default_with = "SortDirection::Desc")]
    direction: SortDirection,
}

/// One page of findings; also the list of an asset's or a report's.
pub(super) async fn list(
    db: &Db,
    asker: &Ctx,
    page: Page<Key>,
    filter: Filter,
    sort: Option<FindingSort>,
) -> Result<Connection<Finding>> {
    let (sort, descending) = sort.map_or((Sort::Risk, true), |sort| {
        let key = match sort.key {
            FindingSortKey::Risk => Sort::Risk,
            FindingSortKey::Severity => Sort::Severity,
            FindingSortKey::FirstSeen => Sort::FirstSeen,
        };
        (key, sort.direction == SortDirection::Desc)
    });
    let slice = service::list(db, asker, &filter, sort, descending, &page).await?;
    let (db, asker) = (db.clone(), asker.clone());
    Ok(Connection::new(
        &page,
        slice,
        |finding| sort.key(finding),
        Finding,
        move || {
            let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
            async move { service::count(&db, &asker, &filter).await }
        },
    ))
}

/// What triageFindings does to each finding.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriageAction {
    /// Work on it.
    Start,
    /// Live with it until a date.
    AcceptRisk,
    FalsePositive,
    /// Take the decision back.
    Reopen,
    Assign,
    Comment,
}

#[derive(InputObject)]
pub struct TriageInput {
    /// 1 to 500.
    ids: Vec<ID>,
    action: TriageAction,
    /// Required for ACCEPT_RISK and FALSE_POSITIVE; the text for COMMENT.
    reason: Option<String>,
    /// Required for ACCEPT_RISK: in the future, at most a year ahead.
    expires_at: Option<DateTime<Utc>>,
    /// Required for ACCEPT_RISK: a member who holds finding:approve-risk; may be oneself.
    approver: Option<ID>,
    /// For ASSIGN; null removes the assignee.
    assignee: Option<ID>,
}

impl TriageInput {
    fn read(self) -> crate::kernel::Result<Triage> {
        let required = |field: &str| Error::field(field, "is required for this action");
        let reason = self.reason.unwrap_or_default();
        let action = match self.action {
            TriageAction::Start => Action::Start,
            TriageAction::AcceptRisk => Action::AcceptRisk {
                reason,
                expires_at: self.expires_at.ok_or_else(|| required("expiresAt"))?,
                approver: node::parse("approver", &self.approver.ok_or_else(|| required("approver"))?)?,
            },
            TriageAction::FalsePositive => Action::FalsePositive { reason },
            TriageAction::Reopen => Action::Reopen { reason },
            TriageAction::Assign => {
                Action::Assign { assignee: self.assignee.map(|id| node::parse("assignee", &id)).transpose()? }
            }
            TriageAction::Comment => Action::Comment { text: reason },
        };
        Ok(Triage { ids: node::parse_all("ids", &self.ids, findings::MAX_TRIAGE)?, action })
    }
}

#[derive(SimpleObject)]
pub struct TriagePayload {
    /// All findings that were named, as they are now.
    findings: Vec<Finding>,
    changed: usize,
    /// Pass to undoTriage; null when nothing changed.
    batch: Option<ID>,
}

impl From<findings::Triaged> for TriagePayload {
    fn from(triaged: findings::Triaged) -> Self {
        Self {
            findings: triaged.findings.into_iter().map(Finding).collect(),
            changed: triaged.changed,
            batch: triaged.batch.map(node::id),
        }
    }
}

#[derive(Default)]
pub struct FindingsQuery;

#[Object]
impl FindingsQuery {
    /// By risk unless sorted otherwise, the highest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn findings(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        filter: Option<FindingFilter>,
        sort: Option<FindingSort>,
    ) -> Result<Connection<Finding>> {
        let page = Page::parse(first, after.as_deref())?;
        let filter = filter.unwrap_or_default().read(ctx.asker()?)?;
        list(ctx.db()?, ctx.asker()?, page, filter, sort).await
    }

    async fn finding_summary(&self, ctx: &Context<'_>, filter: Option<FindingFilter>) -> Result<FindingSummary> {
        let filter = filter.unwrap_or_default().read(ctx.asker()?)?;
        let summary = service::summary(ctx.db()?, ctx.asker()?, &filter).await?;
        let [open, in_progress, resolved, false_positive, risk_accepted] = summary.by_status;
        Ok(FindingSummary {
            open,
            in_progress,
            resolved,
            false_positive,
            risk_accepted,
            mine: summary.mine,
            by_severity: summary.by_severity.into(),
            filter,
        })
    }

    /// Null when there is no such finding.
    async fn finding(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Finding>> {
        load(ctx, node::parse("id", &id)?).await
    }
}

#[derive(Default)]
pub struct FindingsMutation;

#[Object]
impl FindingsMutation {
    /// Does one thing with up to 500 findings: all or none.
    async fn triage_findings(&self, ctx: &Context<'_>, input: TriageInput) -> Result<TriagePayload> {
        Ok(findings::triage(ctx.db()?, ctx.asker()?, input.read()?).await?.into())
    }

    /// Takes an act of triage back, where nothing newer was decided since; `changed` says on how many findings.
    async fn undo_triage(&self, ctx: &Context<'_>, batch: ID) -> Result<TriagePayload> {
        let batch: BatchId = node::parse("batch", &batch)?;
        Ok(findings::undo(ctx.db()?, ctx.asker()?, batch).await?.into())
    }
}

/// Findings that changed at about the same time.
#[derive(SimpleObject)]
pub struct FindingsChanged {
    /// At most 100. None: events were missed, any finding may have changed.
    ids: Vec<ID>,
    /// How many changed; may be more than are listed.
    count: usize,
}

#[derive(Default)]
pub struct FindingsSubscription;

#[Subscription]
impl FindingsSubscription {
    /// Findings of the organization as they change; ids in batches.
    async fn findings(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Result<FindingsChanged>>> {
        Ok(follow(ctx, Topic::Finding)?.map(|together| {
            let (_, events) = together?;
            let ids: Vec<FindingId> = events.iter().filter_map(|event| event.id.map(FindingId)).collect();
            Ok(FindingsChanged { ids: ids.iter().take(100).copied().map(node::id).collect(), count: ids.len() })
        }))
    }
}

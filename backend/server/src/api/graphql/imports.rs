//! Reports: what was uploaded and what became of it.

use super::{
    GraphqlContext as _,
    connection::Connection,
    findings::{self, Finding},
    follow::follow,
    inventory::{Asset, AssetInput, AssetRefInput, RelationInput},
    loaders::AssetsOfReport,
    markdown, node,
};
use crate::{
    imports::{self, Limits, Upload},
    inventory::{NewAsset, NewRelation, service::upsert},
    kernel::{Error, Permission, page::Page},
    live::{Hub, Topic},
};
use async_graphql::{
    ComplexObject, Context, ID, InputObject, Json, Object, Result, SimpleObject, Subscription, Upload as File,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Map, Value, json};
use stance_importers::{AssetRef, Importer};
use stance_shared::{Layer, ReportId, ReportStatus, Severity};
use std::{convert::Infallible, io::Read as _, time::Duration};
use uuid::Uuid;

/// How long `ingestFindings` waits for the merge.
const PATIENCE: Duration = Duration::from_secs(10);
/// Findings of one `ingestFindings`; more are a report.
const MAX_INGEST: usize = 10_000;

/// An uploaded report.
pub struct Report(pub imports::Report);

/// The report with this id, fetched once per request; null when there is none.
pub(super) async fn load(ctx: &Context<'_>, id: ReportId) -> Result<Option<Report>> {
    Ok(ctx.loaders()?.load_one(id).await?.map(Report))
}

#[Object]
impl Report {
    pub async fn id(&self) -> ID {
        node::id(self.0.id)
    }

    async fn status(&self) -> ReportStatus {
        self.0.status
    }

    /// Known once the report was recognized.
    async fn format(&self) -> Option<&str> {
        self.0.format.as_deref().filter(|format| !format.is_empty())
    }

    async fn tool(&self) -> Option<&str> {
        self.0.tool.as_deref()
    }

    async fn tool_version(&self) -> Option<&str> {
        self.0.tool_version.as_deref()
    }

    async fn filename(&self) -> Option<&str> {
        self.0.filename.as_deref()
    }

    /// As they were sent.
    async fn bytes(&self) -> i64 {
        self.0.bytes
    }

    /// Of the bytes as they were sent, in hexadecimal digits.
    async fn sha256(&self) -> String {
        hex::encode(&self.0.sha256)
    }

    async fn counts(&self) -> ReportCounts {
        let imports::Counts { new, updated, reopened, resolved, unchanged, findings, assets, relations } =
            self.0.counts;
        ReportCounts { new, updated, reopened, resolved, unchanged, findings, assets, relations }
    }

    /// 0 to 1
    async fn progress(&self) -> f64 {
        self.0.progress
    }

    /// What the tool could not assess; the first 200.
    async fn gaps(&self) -> Vec<ReportGap> {
        let gap = |gap: &stance_importers::GapRecord| ReportGap {
            class: gap.class.clone(),
            subject: gap.subject.clone(),
            reason: gap.reason.clone(),
        };
        self.0.gaps.iter().map(gap).collect()
    }

    async fn gap_count(&self) -> i32 {
        self.0.gap_count
    }

    async fn error(&self) -> Option<ReportError> {
        let number = |n: Option<u64>| n.and_then(|n| i32::try_from(n).ok());
        self.0.error.as_ref().map(|error| ReportError {
            code: error.code.clone(),
            message: error.message.clone(),
            line: number(error.line),
            column: number(error.column),
            path: error.path.clone(),
        })
    }

    /// What it is about, at most 100.
    #[graphql(complexity = "20 * child_complexity")]
    async fn assets(&self, ctx: &Context<'_>) -> Result<Vec<Asset>> {
        let ids = ctx.loaders()?.load_one(AssetsOfReport(self.0.id)).await?.unwrap_or_default();
        let mut found = ctx.loaders()?.load_many(ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).map(Asset).collect())
    }

    async fn uploaded_by(&self) -> &str {
        &self.0.uploaded_by
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.0.started_at
    }

    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.finished_at
    }

    /// Findings that a scan which this report fed still reports.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn findings(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Finding>> {
        let filter = crate::findings::Filter { report: Some(self.0.id), ..Default::default() };
        findings::list(ctx, first, after, filter, None).await
    }
}

/// `new + updated + reopened + unchanged = findings`.
#[derive(SimpleObject)]
pub struct ReportCounts {
    new: i32,
    updated: i32,
    reopened: i32,
    resolved: i32,
    unchanged: i32,
    findings: i32,
    assets: i32,
    relations: i32,
}

#[derive(SimpleObject)]
pub struct ReportGap {
    class: String,
    subject: String,
    reason: String,
}

#[derive(SimpleObject)]
pub struct ReportError {
    code: String,
    message: String,
    line: Option<i32>,
    column: Option<i32>,
    path: Option<String>,
}

#[derive(SimpleObject)]
#[graphql(complex)]
pub struct ReportFormat {
    format: &'static str,
    title: &'static str,
    /// Markdown: how to make the report, what is taken over.
    help: &'static str,
}

impl ReportFormat {
    fn of(importer: &dyn Importer) -> Self {
        Self { format: importer.format(), title: importer.title(), help: importer.help() }
    }
}

#[ComplexObject]
impl ReportFormat {
    /// The first paragraph of `help` as plain text.
    async fn summary(&self) -> String {
        markdown::summary(self.help)
    }

    /// `help` as HTML, without its title.
    async fn help_html(&self) -> String {
        markdown::html(self.help)
    }
}

#[derive(Default)]
pub struct ImportsQuery;

#[Object]
impl ImportsQuery {
    /// Newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn reports(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        status: Option<Vec<ReportStatus>>,
    ) -> Result<Connection<Report>> {
        let page = Page::<Uuid>::parse(first, after.as_deref())?;
        let status = status.unwrap_or_default();
        let slice = imports::list(ctx.db()?, ctx.asker()?, &status, &page).await?;
        let (db, asker) = (ctx.db()?.clone(), ctx.asker()?.clone());
        let count = move || {
            let (db, asker, status) = (db.clone(), asker.clone(), status.clone());
            async move { imports::count(&db, &asker, &status).await }
        };
        Ok(Connection::new(&page, slice, |report| report.id.0, Report, count))
    }

    async fn report(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Report>> {
        load(ctx, node::parse("id", &id)?).await
    }

    /// What can be imported.
    async fn report_formats(&self) -> Vec<ReportFormat> {
        stance_importers::registry().iter().map(|importer| ReportFormat::of(*importer)).collect()
    }

    /// One format by the name that `reportFormats` gives; null when there is none of that name.
    async fn report_format(&self, format: String) -> Option<ReportFormat> {
        let importer = stance_importers::registry().iter().find(|importer| importer.format() == format)?;
        Some(ReportFormat::of(*importer))
    }
}

#[derive(InputObject)]
pub struct LocationInput {
    uri: String,
    line: Option<i32>,
    snippet: Option<String>,
}

#[derive(InputObject)]
pub struct FindingInput {
    /// What tells this finding from others of the same rule on the same asset; the first location when absent.
    fingerprint: Option<String>,
    asset: AssetRefInput,
    rule: String,
    layer: Layer,
    severity: Severity,
    /// 0 to 10; then it counts instead of the severity.
    score: Option<f64>,
    /// 0 to 1.
    attack_success_rate: Option<f64>,
    title: String,
    description: Option<String>,
    remediation: Option<String>,
    /// framework@version:id
    categories: Option<Vec<String>>,
    locations: Option<Vec<LocationInput>>,
    evidence: Option<Json<Map<String, Value>>>,
    count: Option<i32>,
}

#[derive(InputObject)]
pub struct IngestFindingsInput {
    tool: String,
    tool_version: Option<String>,
    scan_identity: Option<String>,
    /// Whether findings of the same scan that are not listed here are resolved.
    #[graphql(default)]
    complete: bool,
    assets: Option<Vec<AssetInput>>,
    relations: Option<Vec<RelationInput>>,
    findings: Vec<FindingInput>,
}

#[derive(SimpleObject)]
pub struct IngestFindingsPayload {
    report: Report,
}

#[derive(Default)]
pub struct ImportsMutation;

#[Object]
impl ImportsMutation {
    /// Goes the same way as a report; waits up to ten seconds for the merge.
    async fn ingest_findings(&self, ctx: &Context<'_>, input: IngestFindingsInput) -> Result<IngestFindingsPayload> {
        if input.findings.len() > MAX_INGEST {
            let message = format!("must be at most {MAX_INGEST}; send more as a report to POST /api/v1/reports");
            return Err(Error::field("input.findings", message).into());
        }
        let (db, asker) = (ctx.db()?, ctx.asker()?);
        asker.require(Permission::FindingIngest)?;
        asker.require(Permission::ReportImport)?;
        let (body, declared) = document(input);
        let (body, limits) = (body.to_string(), *ctx.data::<Limits>()?);
        // Before anything is stored.
        limits.admit(body.len() as u64)?;
        // What only a keeper of the inventory may say, beyond what any report may mention.
        if !declared.is_empty() {
            upsert(db, asker, declared, &[]).await?;
        }
        let events = ctx.data::<Hub>()?.subscribe(asker.tenant);
        let upload = Upload { format: "stance".to_owned(), ..Upload::default() };
        let body = stream::iter([Ok::<_, Infallible>(Bytes::from(body))]);
        let id = imports::accept(db, asker, limits, upload, body).await?;
        Ok(IngestFindingsPayload { report: Report(imports::wait(db, asker, id, events, PATIENCE).await?) })
    }

    /// Accepts a report file; follow it by `report` or the subscription `reports`.
    async fn import_report(
        &self,
        ctx: &Context<'_>,
        file: File,
        #[graphql(default_with = "\"auto\".to_owned()")] format: String,
        asset: Option<String>,
    ) -> Result<Report> {
        let file = file.value(ctx)?;
        let filename = Some(file.filename.clone()).filter(|name| !name.trim().is_empty());
        let mut reader = file.into_read();
        let chunks = stream::iter(std::iter::from_fn(move || {
            let mut chunk = vec![0; 256 * 1024];
            match reader.read(&mut chunk) {
                Ok(0) => None,
                Ok(n) => {
                    chunk.truncate(n);
                    Some(Ok(Bytes::from(chunk)))
                }
                Err(error) => Some(Err(error)),
            }
        }));
        let upload = Upload { format, asset, filename, idempotency_key: None };
        let (db, asker) = (ctx.db()?, ctx.asker()?);
        let id = imports::accept(db, asker, *ctx.data::<Limits>()?, upload, chunks).await?;
        Ok(Report(imports::get(db, asker, id).await?))
    }
}

/// The input as a document of Stance's own format, and assets of which more is said than a report can say.
fn document(input: IngestFindingsInput) -> (Value, Vec<NewAsset>) {
    let reference = |asset: AssetRef| json!({ "kind": asset.kind, "key": asset.key });
    let assets: Vec<NewAsset> = input.assets.unwrap_or_default().into_iter().map(NewAsset::from).collect();
    let described: Vec<Value> = assets
        .iter()
        .map(|asset| {
            json!({
                "kind": asset.asset.kind,
                "key": asset.asset.key,
                "name": asset.patch.name,
                "attributes": asset.patch.attributes.clone().unwrap_or_default(),
                "tags": asset.patch.tags.clone().unwrap_or_default(),
            })
        })
        .collect();
    let assessed: Vec<Value> = assets.iter().map(|asset| reference(asset.asset.clone())).collect();
    let relations: Vec<Value> = input
        .relations
        .unwrap_or_default()
        .into_iter()
        .map(NewRelation::from)
        .map(
            |relation| json!({ "from": reference(relation.from), "kind": relation.kind, "to": reference(relation.to) }),
        )
        .collect();
    let findings: Vec<Value> = input.findings.into_iter().map(|finding| entry(finding, reference)).collect();
    let body = json!({
        "stance": "findings/1",
        "tool": { "name": input.tool, "version": input.tool_version.unwrap_or_default() },
        "scan": input.scan_identity.unwrap_or_default(),
        "complete": input.complete,
        "assessed": assessed,
        "assets": described,
        "relations": relations,
        "findings": findings,
    });
    let says_more = |asset: &NewAsset| {
        let patch = &asset.patch;
        patch.owner.is_some()
            || patch.environment.is_some()
            || patch.exposure.is_some()
            || patch.criticality.is_some()
            || patch.lifecycle.is_some()
    };
    (body, assets.into_iter().filter(says_more).collect())
}

fn entry(finding: FindingInput, reference: impl Fn(AssetRef) -> Value) -> Value {
    let locations: Vec<Value> = finding
        .locations
        .unwrap_or_default()
        .into_iter()
        .map(|location| json!({ "uri": location.uri, "line": location.line, "snippet": location.snippet }))
        .collect();
    json!({
        "asset": reference(finding.asset.into()),
        "rule": finding.rule,
        "title": finding.title,
        "severity": finding.severity,
        "layer": finding.layer,
        "score": finding.score,
        "attackSuccessRate": finding.attack_success_rate,
        "description": finding.description.unwrap_or_default(),
        "remediation": finding.remediation.unwrap_or_default(),
        "categories": finding.categories.unwrap_or_default(),
        "locations": locations,
        "evidence": finding.evidence.map(|evidence| evidence.0).unwrap_or_default(),
        "identity": finding.fingerprint.map(|fingerprint| vec![fingerprint]),
        "count": finding.count,
    })
}

#[derive(Default)]
pub struct ImportsSubscription;

#[Subscription]
impl ImportsSubscription {
    /// Reports of the organization as their status, progress or counts change.
    async fn reports(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Result<Report>>> {
        let db = ctx.db()?.clone();
        Ok(follow(ctx, Topic::Report)?
            .then(move |together| {
                let db = db.clone();
                async move {
                    let (asker, events) = together?;
                    let mut ids: Vec<ReportId> = events.iter().filter_map(|event| event.id.map(ReportId)).collect();
                    ids.sort_unstable();
                    ids.dedup();
                    Ok(imports::by_ids(&db, &asker, &ids).await?)
                }
            })
            .flat_map(|reports: Result<Vec<imports::Report>>| match reports {
                Ok(reports) => stream::iter(reports.into_iter().map(|report| Ok(Report(report))).collect::<Vec<_>>()),
                Err(error) => stream::iter(vec![Err(error)]),
            }))
    }
}

//! All findings that a filter lets through, row by row: memory stays bounded however many there are.

use super::{Filter, repo::push_filter};
use crate::kernel::{Ctx, Db, Error, Permission, Result, telemetry};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Rows that are read ahead of the receiver.
const AHEAD: usize = 256;
/// How long the receiver may not take a row before the export ends: it holds a connection and a snapshot.
const PATIENCE: Duration = Duration::from_secs(60);

/// A finding as it is exported; the fields in the order of the columns.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub id: Uuid,
    pub fingerprint: Uuid,
    pub status: String,
    pub severity: String,
    pub layer: String,
    /// 0 to 0.99.
    pub risk: f64,
    pub title: String,
    pub rule: String,
    pub asset_kind: String,
    /// This and the name are empty for who may not see assets.
    pub asset_key: String,
    pub asset_name: String,
    /// Names of the tools that still report it.
    pub tools: Vec<String>,
    pub categories: Vec<String>,
    pub first_seen: DateTime<Utc>,
    pub resolved_at: Option<DateTime<Utc>>,
    /// `None` also for who may not see members.
    pub assignee: Option<String>,
    pub decision_reason: Option<String>,
    pub decision_expires_at: Option<DateTime<Utc>>,
    pub description: String,
    pub remediation: String,
}

impl Row {
    /// What the asker may see of it.
    fn seen_by(mut self, asker: &Ctx) -> Self {
        if !asker.may(Permission::AssetRead) {
            self.asset_key.clear();
            self.asset_name.clear();
        }
        self.assignee = self.assignee.filter(|_| asker.may(Permission::MemberRead));
        self
    }
}

/// Begins an export: rows by risk, the highest first, all of one moment. An error in the middle is the last item.
///
/// # Errors
/// `FORBIDDEN` without `finding:export`, or when the database fails at the start.
pub async fn export(db: &Db, ctx: &Ctx, filter: Filter) -> Result<mpsc::Receiver<Result<Row>>> {
    let mut tx = db.begin(ctx, Permission::FindingExport).await?;
    let asker = ctx.clone();
    let (sender, receiver) = mpsc::channel(AHEAD);
    telemetry::spawn(async move {
        let mut query = QueryBuilder::<Postgres>::new(
            "select finding.id, finding.fingerprint, finding.status, \
                 (array['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'INFO'])[finding.severity + 1] as severity, finding.layer, \
                 finding.risk, finding.title, finding.rule, \
                 asset.kind as asset_kind, asset.external_key as asset_key, asset.name as asset_name, \
                 array(select distinct s.tool from occurrence o join scan s on s.id = o.scan_id \
                     where o.finding_id = finding.id and o.absent_since is null order by 1) as tools, \
                 string_to_array(finding.categories, ' ') as categories, finding.first_seen, finding.resolved_at, \
                 (select u.email from app_user u where u.id = finding.assignee_id) as assignee, \
                 decision.reason as decision_reason, decision.expires_at as decision_expires_at, \
                 finding.description, finding.remediation \
             from finding join asset on asset.id = finding.asset_id \
             left join decision on decision.id = finding.decision_id",
        );
        push_filter(&mut query, &filter);
        query.push(" order by finding.risk desc, finding.id desc");
        let mut rows = query.build_query_as::<Row>().fetch(tx.conn());
        loop {
            let (row, last) = match rows.try_next().await {
                Ok(None) => return,
                Ok(Some(row)) => (Ok(row), false),
                Err(error) => (Err(Error::from(error)), true),
            };
            if sender.send_timeout(row.map(|row: Row| row.seen_by(&asker)), PATIENCE).await.is_err() || last {
                return;
            }
        }
    });
    Ok(receiver)
}

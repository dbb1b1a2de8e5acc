//! Which findings, in which order.

use super::Finding;
use crate::{
    api::graphql::{GraphqlContext as _, connection::Connection, inventory::SortDirection, loaders::HitsOf, node},
    findings::{Filter, Search, Sort, service},
    kernel::{self, Ctx, Error, page::Page, text},
};
use async_graphql::{Context, Enum, ID, InputObject, Result};
use chrono::{DateTime, Utc};
use stance_shared::{AssetKind, FindingStatus, Layer, Severity};

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
    /// The filter of the argument `filter`, in the asker's name.
    ///
    /// # Errors
    /// `BAD_INPUT` naming the field; or when the database fails.
    pub async fn read(given: Option<Self>, ctx: &Context<'_>) -> Result<Filter> {
        let mut filter = given.unwrap_or_default().check(ctx.asker()?)?;
        if let Some(Search::Pattern(pattern)) = &filter.search {
            filter.search = ctx.loaders()?.load_one(HitsOf(pattern.clone())).await?;
        }
        Ok(filter)
    }

    fn check(self, asker: &Ctx) -> kernel::Result<Filter> {
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
            search: text::search("filter.search", &self.search.unwrap_or_default())?.map(Search::Pattern),
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

/// One page of findings: of all, of an asset's or of a report's.
///
/// # Errors
/// `BAD_INPUT` naming the argument; `FORBIDDEN`; or when the database fails.
pub async fn list(
    ctx: &Context<'_>,
    first: Option<i32>,
    after: Option<String>,
    filter: Filter,
    sort: Option<FindingSort>,
) -> Result<Connection<Finding>> {
    let page = Page::parse(first, after.as_deref())?;
    let (sort, descending) = sort.map_or((Sort::Risk, true), |sort| {
        let key = match sort.key {
            FindingSortKey::Risk => Sort::Risk,
            FindingSortKey::Severity => Sort::Severity,
            FindingSortKey::FirstSeen => Sort::FirstSeen,
        };
        (key, sort.direction == SortDirection::Desc)
    });
    let (db, asker) = (ctx.db()?.clone(), ctx.asker()?.clone());
    let slice = service::list(&db, &asker, &filter, sort, descending, &page).await?;
    let count = move || {
        let (db, asker, filter) = (db.clone(), asker.clone(), filter.clone());
        async move { service::count(&db, &asker, &filter).await }
    };
    Ok(Connection::new(&page, slice, |finding| sort.key(finding), Finding, count))
}

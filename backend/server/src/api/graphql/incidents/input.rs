//! What calls about incidents are given.

use crate::{
    api::graphql::node,
    incidents::{Item, MAX_ITEMS, acts::Change, reading::Filter},
    kernel::{Error, text},
    runtime::event_time,
};
use async_graphql::{ID, InputObject, MaybeUndefined, Result};
use stance_shared::{AgentSessionId, AssetId, EventId, FindingId, IncidentStatus, Severity};

/// Which incidents. All that is given must hold; of a list, one must.
#[derive(InputObject, Default)]
pub struct IncidentFilter {
    status: Option<Vec<IncidentStatus>>,
    severity: Option<Vec<Severity>>,
    /// A member's id.
    assignee: Option<ID>,
    unassigned: Option<bool>,
    /// A correlation rule.
    rule: Option<String>,
    /// With a clock that ran out and still runs.
    overdue: Option<bool>,
    /// Marked as serious in the sense of the EU AI Act.
    serious: Option<bool>,
    /// A part of the title.
    search: Option<String>,
    /// About this asset, finding, or run.
    asset: Option<ID>,
    finding: Option<ID>,
    session: Option<ID>,
}

impl IncidentFilter {
    pub(super) fn check(self) -> Result<Filter> {
        let mut about = Vec::new();
        if let Some(id) = &self.asset {
            about.push(("ASSET", node::parse::<AssetId>("filter.asset", id)?.0));
        }
        if let Some(id) = &self.finding {
            about.push(("FINDING", node::parse::<FindingId>("filter.finding", id)?.0));
        }
        if let Some(id) = &self.session {
            about.push(("SESSION", node::parse::<AgentSessionId>("filter.session", id)?.0));
        }
        Ok(Filter {
            status: self.status.unwrap_or_default(),
            severity: self.severity.unwrap_or_default(),
            assignee: self.assignee.map(|id| node::parse("filter.assignee", &id)).transpose()?,
            unassigned: self.unassigned.unwrap_or_default(),
            rule: self.rule.map(|rule| text::line("filter.rule", &rule, 100)).transpose()?,
            breached: self.overdue.unwrap_or_default(),
            serious: self.serious.unwrap_or_default(),
            search: text::search("filter.search", &self.search.unwrap_or_default())?,
            about,
        })
    }
}

/// What an incident is about, at most 500 in all.
#[derive(InputObject, Default)]
pub struct IncidentItems {
    findings: Option<Vec<ID>>,
    events: Option<Vec<ID>>,
    assets: Option<Vec<ID>>,
    sessions: Option<Vec<ID>>,
}

impl IncidentItems {
    pub(super) fn read(self) -> Result<Vec<Item>> {
        fn all<T: stance_shared::TypedId>(field: &str, ids: Option<Vec<ID>>) -> Result<Vec<T>> {
            match ids.filter(|ids| !ids.is_empty()) {
                Some(ids) => Ok(node::parse_all(field, &ids, MAX_ITEMS)?),
                None => Ok(Vec::new()),
            }
        }
        let mut items: Vec<Item> = all("items.findings", self.findings)?.into_iter().map(Item::Finding).collect();
        items.extend(all::<AssetId>("items.assets", self.assets)?.into_iter().map(Item::Asset));
        items.extend(all::<AgentSessionId>("items.sessions", self.sessions)?.into_iter().map(|id| Item::Session(id.0)));
        let event = |id: EventId| Item::Event { id: id.0, at: event_time(id.0) };
        items.extend(all::<EventId>("items.events", self.events)?.into_iter().map(event));
        if items.len() > MAX_ITEMS {
            return Err(Error::field("items", format!("must be at most {MAX_ITEMS} in all")).into());
        }
        Ok(items)
    }
}

/// An incident to be opened.
#[derive(InputObject)]
pub struct OpenIncidentInput {
    pub(super) title: String,
    pub(super) summary: Option<String>,
    pub(super) severity: Severity,
    /// While an incident that was opened with the same key is not closed, there is no second one.
    pub(super) dedup_key: Option<String>,
    pub(super) items: Option<IncidentItems>,
}

/// What of an incident is to be another.
#[derive(InputObject)]
pub struct UpdateIncidentInput {
    title: Option<String>,
    summary: Option<String>,
    severity: Option<Severity>,
    assignee: MaybeUndefined<ID>,
    root_cause: Option<String>,
    lessons: Option<String>,
}

impl UpdateIncidentInput {
    pub(super) fn read(self) -> Result<Change> {
        let assignee = match self.assignee {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(id) => Some(Some(node::parse("input.assignee", &id)?)),
        };
        Ok(Change {
            title: self.title,
            summary: self.summary,
            severity: self.severity,
            assignee,
            root_cause: self.root_cause,
            lessons: self.lessons,
        })
    }
}

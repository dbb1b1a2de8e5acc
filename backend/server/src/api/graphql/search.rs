//! One text over everything that has a page: what the command palette asks.

use super::{GraphqlContext as _, node};
use crate::{
    findings,
    inventory::{self, Sort},
    kernel::{Permission, page::Page, text},
};
use async_graphql::{Context, Object, Result, SimpleObject};
use stance_shared::AssetId;
use std::collections::HashMap;

/// Pages by name and address, with what one needs to see them.
const PAGES: [(&str, &str, Permission); 9] = [
    ("Overview", "/", Permission::PostureRead),
    ("Findings", "/findings", Permission::FindingRead),
    ("Inventory", "/inventory", Permission::AssetRead),
    ("Imports", "/imports", Permission::ReportRead),
    ("Audit log", "/audit", Permission::AuditRead),
    ("Members", "/settings/members", Permission::MemberRead),
    ("API tokens", "/settings/tokens", Permission::TokenRead),
    ("Organization", "/settings/organization", Permission::OrganizationRead),
    ("Sessions", "/settings/sessions", Permission::AccountManage),
];

/// Something that has a page.
#[derive(SimpleObject)]
pub struct SearchHit {
    /// `page`, `asset` or `finding`.
    kind: String,
    title: String,
    subtitle: String,
    /// Where the dashboard shows it.
    url: String,
}

#[derive(Default)]
pub struct SearchQuery;

#[Object]
impl SearchQuery {
    /// Pages, assets and findings whose name, key, title or rule has the text; pages first, then the riskiest.
    async fn search(
        &self,
        ctx: &Context<'_>,
        text: String,
        #[graphql(default = 12)] first: i32,
    ) -> Result<Vec<SearchHit>> {
        let (db, asker) = (ctx.db()?, ctx.asker()?);
        let page = Page::parse(Some(first), None)?;
        let Some(pattern) = text::search("text", &text)? else { return Ok(Vec::new()) };
        let wanted = text.trim().to_lowercase();
        let pages = PAGES.iter().filter(|(name, _, needs)| asker.may(*needs) && name.to_lowercase().contains(&wanted));
        let mut hits: Vec<SearchHit> = pages
            .map(|(name, url, _)| SearchHit {
                kind: "page".to_owned(),
                title: (*name).to_owned(),
                subtitle: "Page".to_owned(),
                url: (*url).to_owned(),
            })
            .collect();
        if asker.may(Permission::AssetRead) {
            let filter = inventory::Filter { search: Some(pattern.clone()), ..Default::default() };
            let assets = inventory::service::list(db, asker, &filter, Sort::Risk, true, &page).await?.items;
            hits.extend(assets.into_iter().map(|asset| SearchHit {
                kind: "asset".to_owned(),
                url: format!("/inventory/{}", node::id(asset.id).as_str()),
                subtitle: asset.kind.label().to_owned(),
                title: asset.name,
            }));
        }
        if asker.may(Permission::FindingRead) {
            let findings = findings::service::search(db, asker, &pattern, page.first).await?;
            // Both kinds have their place, whichever has more.
            let room = usize::try_from(page.first).unwrap_or_default();
            hits.truncate((room - room / 3).max(room.saturating_sub(findings.len())));
            // What the finding's asset is called is not for everybody who may see the finding.
            let named: HashMap<AssetId, inventory::Asset> = match asker.may(Permission::AssetRead) {
                true => ctx.loaders()?.load_many(findings.iter().map(|finding| finding.asset_id)).await?,
                false => HashMap::new(),
            };
            hits.extend(findings.into_iter().map(|finding| SearchHit {
                kind: "finding".to_owned(),
                url: format!("/findings/{}", node::id(finding.id).as_str()),
                subtitle: match named.get(&finding.asset_id) {
                    Some(asset) => format!("{} · {}", finding.severity.label(), asset.name),
                    None => finding.severity.label().to_owned(),
                },
                title: finding.title,
            }));
        }
        hits.truncate(usize::try_from(page.first).unwrap_or_default());
        Ok(hits)
    }
}

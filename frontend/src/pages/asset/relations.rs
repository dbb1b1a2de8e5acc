//! What an asset is used by and depends on: drawn where there is room, as a list on the phone.

use leptos::prelude::*;
use stance_shared::AssetKind;

use super::Asset;
use crate::{
    charts::{self, GraphNode},
    components::{self as c, none},
    format,
};

/// The section of the relations.
pub fn relations(asset: &Asset) -> AnyView {
    if asset.relations.is_empty() {
        let text = "No relation is known: no report and no person has named one.";
        return c::section(
            "h-relations",
            "Relations",
            none(),
            none(),
            view! { <p class="muted">{text}</p> }.into_any(),
        );
    }
    let center = GraphNode {
        href: c::asset_url(&asset.id),
        icon: c::kind_icon(asset.kind),
        name: asset.name.clone(),
        detail: asset.kind.label().to_owned(),
        risk: asset.risk.risk,
    };
    let (graph, whole) = charts::graph(&nodes(asset, false), &center, &nodes(asset, true));
    let list = view! { <div class="rel-groups" class:narrow=whole>{groups(asset)}</div> };
    let count = format::counted(i64::try_from(asset.relations.len()).unwrap_or_default(), "relation", "relations");
    c::section("h-relations", "Relations", count, none(), view! { {graph}{list} }.into_any())
}

/// What the asset depends on (`outward`) or is used by, the riskiest first; an asset stands once, whatever the number of its relations.
fn nodes(asset: &Asset, outward: bool) -> Vec<GraphNode> {
    let mut nodes: Vec<GraphNode> = Vec::new();
    let mut add = |id: &str, kind: AssetKind, name: &str, risk: Option<f64>, words: &str| {
        let href = c::asset_url(id);
        match nodes.iter_mut().find(|node| node.href == href) {
            Some(node) => node.detail = format!("{words}, {}", node.detail),
            None => nodes.push(GraphNode {
                href,
                icon: c::kind_icon(kind),
                name: name.to_owned(),
                detail: format!("{words} · {}", kind.label()),
                risk,
            }),
        }
    };
    for relation in &asset.relations {
        let words = relation.kind.label();
        if outward && relation.from.id == asset.id {
            let to = &relation.to;
            add(&to.id, to.kind, &to.name, to.risk.risk, words);
        } else if !outward && relation.to.id == asset.id {
            let from = &relation.from;
            add(&from.id, from.kind, &from.name, from.risk.risk, words);
        }
    }
    nodes.sort_by(|a, b| b.risk.unwrap_or(-1.0).total_cmp(&a.risk.unwrap_or(-1.0)));
    nodes
}

/// Relations by their sentence, each with its source.
fn groups(asset: &Asset) -> AnyView {
    let mut groups: Vec<(String, Vec<AnyView>)> = Vec::new();
    for relation in &asset.relations {
        let out = relation.from.id == asset.id;
        let sentence =
            if out { format!("{} …", relation.kind.label()) } else { format!("… {} this", relation.kind.label()) };
        let item = if out {
            item(&relation.to.id, relation.to.kind, &relation.to.name, relation.to.risk.risk, &relation.source)
        } else {
            item(&relation.from.id, relation.from.kind, &relation.from.name, relation.from.risk.risk, &relation.source)
        };
        match groups.iter_mut().find(|(s, _)| *s == sentence) {
            Some((_, items)) => items.push(item),
            None => groups.push((sentence, vec![item])),
        }
    }
    groups
        .into_iter()
        .map(|(sentence, items)| view! { <div><h3>{sentence}</h3><ul class="list">{items}</ul></div> })
        .collect_view()
        .into_any()
}

fn item(id: &str, kind: AssetKind, name: &str, risk: Option<f64>, source: &str) -> AnyView {
    view! { <li class="row"><span class="cut">{c::asset(id, kind, name)}</span><span class="muted cut" title=c::clean(source)>{c::text(source)}</span><span>{c::risk(risk)}</span></li> }.into_any()
}

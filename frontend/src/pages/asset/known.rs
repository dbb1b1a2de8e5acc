//! What is known of an asset, and who said it.

use leptos::prelude::*;
use serde_json::Value;

use super::{Asset, data};
use crate::{
    components::{self as c, none},
    gql::SourceKind,
    url::Params,
};

type Provenance = data::AssetDetailAssetProvenance;

/// The section of the attributes, each with its source.
pub fn attributes(asset: &Asset) -> AnyView {
    let owner = asset.owner.as_deref().unwrap_or("nobody");
    let mut rows = vec![row("External key", c::text(&asset.external_key), none())];
    // Of these the head of the page says what they are.
    for (attribute, label, value) in [
        ("name", "Name", asset.name.as_str()),
        ("owner", "Owner", owner),
        ("environment", "Environment", asset.environment.label()),
        ("exposure", "Exposure", asset.exposure.label()),
        ("criticality", "Criticality", asset.criticality.label()),
        ("lifecycle", "Lifecycle", asset.lifecycle.label()),
    ] {
        rows.extend(provenance(asset, attribute).map(|said| row(label, c::text(value), source(said))));
    }
    for (key, value) in asset.attributes.as_object().into_iter().flatten() {
        let said = provenance(asset, &format!("attribute:{key}")).map_or_else(none, source);
        rows.push(row(key, c::text(&shown(Some(value))), said));
    }
    if !asset.tags.is_empty() {
        let tags = asset.tags.iter().map(|tag| {
            let said = provenance(asset, &format!("tag:{tag}")).map(sentence);
            view! { <a class="tag" title=said href=Params::default().with("tag", tag).on("/inventory")>{c::text(tag)}</a> }
        });
        let tags = view! { <span class="chips-row">{tags.collect_view()}</span> };
        rows.push(row("Tags", tags.into_any(), none()));
    }
    rows.push(row("First seen", c::day(&asset.first_seen), none()));
    let content = view! { <dl class="known-of">{rows}</dl> };
    c::section("h-attributes", "Attributes", "and who said so", none(), content.into_any())
}

fn provenance<'a>(asset: &'a Asset, attribute: &str) -> Option<&'a Provenance> {
    asset.provenance.iter().find(|said| said.attribute == attribute)
}

/// A value as a person reads it.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn row(label: &str, value: AnyView, said: AnyView) -> AnyView {
    view! { <div><dt title=c::clean(label)>{c::text(label)}</dt><dd>{value}</dd>{said}</div> }.into_any()
}

/// “said by garak 0.14”: tools say, people and programs that keep the inventory set.
fn by(kind: SourceKind, source: &str, version: &str) -> String {
    let verb = if kind == SourceKind::Tool { "said by" } else { "set by" };
    let version = if version.is_empty() { String::new() } else { format!(" {version}") };
    format!("{verb} {source}{version}")
}

fn sentence(said: &Provenance) -> String {
    let first = &said.in_force;
    let also =
        said.also_said.iter().map(|also| format!(", also {}", by(also.source_kind, &also.source, &also.version)));
    c::clean(&format!("{}{}", by(first.source_kind, &first.source, &first.version), also.collect::<String>()))
}

fn source(said: &Provenance) -> AnyView {
    let first = &said.in_force;
    let words = by(first.source_kind, &first.source, &first.version);
    let named = match &first.report_id {
        Some(report) => view! { <a class="link" href=c::report_url(report)>{c::text(&words)}</a> }.into_any(),
        None => c::text(&words),
    };
    let under = first.alias.as_ref().map(|alias| view! { " as "{c::text(alias)} });
    let also = (!said.also_said.is_empty()).then(|| {
        let items = said.also_said.iter().map(|also| {
            let value = shown(also.value.as_ref());
            let under = also.alias.as_ref().map(|alias| view! { " as "{c::text(alias)} });
            view! { <li><q>{c::text(&value)}</q>" "{c::text(&by(also.source_kind, &also.source, &also.version))}{under}", "{c::ago(&also.at)}</li> }
        });
        view! { <details><summary>"also said"</summary><ul>{items.collect_view()}</ul></details> }
    });
    view! { <dd class="said">{named}{under}", "{c::ago(&first.at)}{also}</dd> }.into_any()
}

//! Other names of an asset: what was merged into it, what may be the same, and merging more.

use leptos::prelude::*;

use super::Asset;
use crate::{
    browser,
    components::{self as c, none},
    format,
    gql::{self, AssetSearch, MergeAssets, SplitAsset, asset_search, merge_assets, split_asset},
    icons::{self, icon},
    state,
};

/// The section of the aliases; nothing for who may not change them where there are none.
pub fn aliases(asset: &Asset) -> AnyView {
    let may = state::viewer().can("asset:write");
    if asset.aliases.is_empty() && asset.alike.is_empty() && !may {
        return none();
    }
    let known = asset.aliases.iter().map(|alias| {
        let split = may.then(|| {
            let ids = split_asset::Variables { asset: asset.id.clone(), alias: alias.id.clone() };
            let split = move |_| {
                state::act::<SplitAsset>(ids.clone(), None, |_| {
                    state::toast("Split off", None);
                    state::refresh();
                });
            };
            view! { <button class="btn sm" type="button" on:click=split aria-label=format!("Split off {}", c::clean(&alias.external_key))>"Split"</button> }
        });
        let name = (alias.name != alias.external_key).then(|| view! { <span class="cut">{c::text(&alias.name)}</span> });
        view! { <li><span class="two"><span>{name}{c::mid(&alias.external_key)}</span><span class="muted"><span>"merged by "{c::text(&alias.by)}", "{c::ago(&alias.at)}</span></span></span>{split}</li> }
    });
    let none_known = (asset.aliases.is_empty() && asset.alike.is_empty())
        .then(|| view! { <p class="muted">"No tool calls it by another name."</p> });
    let alike = asset.alike.iter().map(|other| {
        let merge = may.then(|| {
            let (keep, other) = (asset.id.clone(), other.id.clone());
            view! { <button class="btn sm" type="button" on:click=move |_| merge(&keep, &other, None)>"Merge"</button> }
        });
        let open = format::counted(other.open_findings.total, "open finding", "open findings");
        view! { <li><span class="two"><span>{c::asset(&other.id, other.kind, &other.name)}</span><span class="muted">{c::mid(&other.external_key)}<span class="nowrap">{open}</span></span></span>{merge}</li> }
    });
    let alike = (!asset.alike.is_empty()).then(|| {
        view! { <h3 class="sub">"May be the same: their names are alike"</h3><ul class="list">{alike.collect_view()}</ul> }
    });
    let content = view! { <ul class="list">{known.collect_view()}</ul>{none_known}{alike} };
    let choose = if may { chooser(asset) } else { none() };
    c::section("h-aliases", "Also known as", none(), choose, content.into_any())
}

fn merge(keep: &str, other: &str, error: Option<RwSignal<String>>) {
    let variables = merge_assets::Variables { keep: keep.to_owned(), others: vec![other.to_owned()] };
    state::act::<MergeAssets>(variables, error, |_| {
        browser::close_menus();
        state::toast("Merged. Split undoes it.", None);
        state::refresh();
    });
}

/// The menu in which another asset of the same kind is searched and merged.
fn chooser(asset: &Asset) -> AnyView {
    let words = RwSignal::new(String::new());
    let found = RwSignal::new(Vec::<asset_search::AssetSearchAssetsNodes>::new());
    let error = RwSignal::new(String::new());
    let (id, kind) = (asset.id.clone(), asset.kind);
    let search = move |text: String| {
        words.set(text.clone());
        if text.trim().is_empty() {
            found.set(Vec::new());
            return;
        }
        // Wait for a pause in typing; an answer to older words is dropped.
        browser::later(120, move || {
            let newest = move |text: &String| words.try_get_untracked().as_ref() == Some(text);
            if !newest(&text) {
                return;
            }
            leptos::task::spawn_local(async move {
                let filter = asset_search::AssetFilter {
                    kind: Some(vec![kind]),
                    search: Some(text.clone()),
                    ..Default::default()
                };
                let assets = gql::query::<AssetSearch>(asset_search::Variables { filter: Some(filter) }).await;
                if let (Ok(data), true) = (assets, newest(&text)) {
                    found.set(data.assets.nodes);
                }
            });
        });
    };
    let results = move || {
        let id = id.clone();
        let others = found.get().into_iter().filter(|other| other.id != id).collect::<Vec<_>>();
        if others.is_empty() {
            let text = if words.with(|words| words.trim().is_empty()) {
                ""
            } else {
                "No other asset of this kind has that in its name or key."
            };
            return view! { <p class="muted">{text}</p> }.into_any();
        }
        let items = others.into_iter().map(|other| {
            let (keep, other_id) = (id.clone(), other.id);
            view! { <button class="item" type="button" on:click=move |_| merge(&keep, &other_id, Some(error))><span class="two"><span class="cut">{c::text(&other.name)}</span><span class="muted">{c::mid(&other.external_key)}</span></span></button> }
        });
        items.collect_view().into_any()
    };
    view! {
        <details class="menu to-end">
            <summary class="btn sm">{icon(icons::LINK)}"Merge…"</summary>
            <div class="pop padded merge"><div class="form">
                <div class="field"><label for="f-merge">{format!("Another {} that is this one", asset.kind.label().to_lowercase())}</label>
                    <input class="input" id="f-merge" placeholder="Name or key" autocomplete="off" on:input=move |event| search(event_target_value(&event))/></div>
                <div>{results}</div>
                <p class="sub">"Its findings, relations and history come here, and reports may use either name. It can be split off again."</p>
                <p class="err" role="alert">{error}</p>
            </div></div>
        </details>
    }
    .into_any()
}

//! What a person may change of an asset.

use leptos::{ev, prelude::*};
use stance_shared::{Criticality, Environment, Exposure, Lifecycle};

use super::Asset;
use crate::{
    browser, components as c,
    gql::{UpdateAsset, update_asset},
    icons::{self, icon},
    state,
};

/// The menu at the top of the page.
pub fn edit(asset: &Asset) -> AnyView {
    let error = RwSignal::new(String::new());
    let id = asset.id.clone();
    let save = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let values = browser::form(&event);
        let patch = update_asset::AssetPatch {
            owner: Some(values.text("owner")),
            environment: values.get("environment").and_then(|w| w.parse().ok()),
            exposure: values.get("exposure").and_then(|w| w.parse().ok()),
            criticality: values.get("criticality").and_then(|w| w.parse().ok()),
            lifecycle: values.get("lifecycle").and_then(|w| w.parse().ok()),
            ..Default::default()
        };
        state::act::<UpdateAsset>(update_asset::Variables { id: id.clone(), patch }, Some(error), |_| {
            browser::close_menus();
            state::toast("Saved", None);
            state::refresh();
        });
    };
    let pairs = |words: Vec<(&'static str, &'static str)>| {
        words.into_iter().map(|(w, l)| (w.to_owned(), l.to_owned())).collect::<Vec<_>>()
    };
    let exposure = pairs(Exposure::ALL.iter().map(|w| (w.as_str(), w.label())).collect());
    let criticality = pairs(Criticality::ALL.iter().map(|w| (w.as_str(), w.label())).collect());
    let environment = pairs(Environment::ALL.iter().map(|w| (w.as_str(), w.label())).collect());
    let lifecycle = pairs(Lifecycle::ALL.iter().map(|w| (w.as_str(), w.label())).collect());
    view! {
        <details class="menu to-end">
            <summary class="btn sm">{icon(icons::SETTINGS)}"Edit"</summary>
            <form class="pop padded" method="post" on:submit=save>
                <div class="form">
                    <div class="field"><label for="f-owner">"Owner"</label><input class="input" id="f-owner" name="owner" value=asset.owner.clone().unwrap_or_default() maxlength="200"/></div>
                    {c::choice("criticality", "Criticality", criticality, asset.criticality.as_str())}
                    {c::choice("exposure", "Exposure", exposure, asset.exposure.as_str())}
                    {c::choice("environment", "Environment", environment, asset.environment.as_str())}
                    {c::choice("lifecycle", "Lifecycle", lifecycle, asset.lifecycle.as_str())}
                    <p class="err" role="alert">{error}</p>
                    <button class="btn primary">"Save"</button>
                </div>
            </form>
        </details>
    }
    .into_any()
}

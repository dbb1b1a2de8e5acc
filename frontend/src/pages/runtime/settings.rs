//! What the organization keeps of runtime events.

use leptos::prelude::*;

use super::may;
use crate::{
    components::{self as c, none},
    gql::{self, RuntimeSettings, UpdateRuntimeSettings, runtime_settings as data, update_runtime_settings},
    load::{load, set_title},
};

/// `/settings/runtime`
pub fn settings() -> AnyView {
    set_title("Runtime · Settings");
    load::<RuntimeSettings>(
        "The settings",
        c::table_skeleton,
        || data::Variables {},
        |data| content(&data.runtime_settings),
    )
}

fn content(settings: &data::RuntimeSettingsRuntimeSettings) -> AnyView {
    let content = if may("policy:write") {
        let body = gql::body::<UpdateRuntimeSettings>(update_runtime_settings::Variables {
            store_text: None,
            retention_days: None,
        });
        view! {
            <form class="form" method="post" data-act=body data-done="Saved">
                <label class="check"><input type="checkbox" name="storeText" data-as="bool" checked=settings.store_text/>"Keep the texts of events, redacted"</label>
                <p class="hint muted">"Off, only a hash, the length and what was detected are kept. What was kept before stays until its time is over."</p>
                <div class="field"><label for="f-days">"Days that events are kept"</label><input class="input slim" id="f-days" name="retentionDays" data-as="number" type="number" min="1" max="400" value=settings.retention_days.to_string() required/><p class="err" role="alert"></p></div>
                <p class="err" role="alert"></p>
                <div class="actions"><button class="btn primary">"Save"</button></div>
            </form>
        }
        .into_any()
    } else {
        let text = if settings.store_text { "kept, redacted" } else { "not kept" };
        view! { <dl class="facts"><dt>"Texts"</dt><dd>{text}</dd><dt>"Events"</dt><dd>{settings.retention_days}" days"</dd></dl> }.into_any()
    };
    c::section("h-runtime", "Runtime events", none(), none(), content)
}

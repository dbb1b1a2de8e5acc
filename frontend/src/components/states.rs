//! What a page shows when there is nothing, not yet, or no longer.

use leptos::prelude::*;

use crate::{
    components::copy_button,
    gql::GqlError,
    icons::{self, icon},
};

/// Nothing is here: why, and the next step.
pub fn empty(title: impl Into<String>, text: impl Into<String>, next: AnyView) -> AnyView {
    let (title, text) = (title.into(), text.into());
    view! { <div class="empty"><h3>{title}</h3><p>{text}</p>{next}</div> }.into_any()
}

/// A command to copy.
pub fn command(line: impl Into<String>) -> AnyView {
    let line = line.into();
    view! { <div class="cmd"><code tabindex="0">{line.clone()}</code>{copy_button(line, "Copy command")}</div> }
        .into_any()
}

/// The command that imports a report.
pub fn import_command() -> AnyView {
    command("stance import report.json --server http://127.0.0.1:8080 --token $STANCE_TOKEN")
}

/// A request failed: what, why, the request's id, and a retry.
pub fn failure(what: &str, error: &GqlError) -> AnyView {
    let request = error.request_id.clone().map(|id| view! { <br/><span class="id muted">"request "{id}</span> });
    view! {
        <div class="note" role="alert">
            {icon(icons::TRIANGLE_ALERT)}
            <div><b>{format!("{what} could not be loaded.")}</b><br/><span class="t2">{error.message.clone()}</span>{request}</div>
            <div class="end"><button class="btn sm" type="button" data-refresh="">{icon(icons::ROTATE_CCW)}"Retry"</button></div>
        </div>
    }
    .into_any()
}

/// A quiet remark with an icon.
pub fn note(markup: &'static str, content: AnyView) -> AnyView {
    view! { <div class="note" role="status">{icon(markup)}<div>{content}</div></div> }.into_any()
}

/// The shape of a table that is loading.
pub fn table_skeleton() -> AnyView {
    let rows = [88, 64, 92, 48, 76, 58, 82].map(|width| {
        view! { <tr><td><span class="sk" style="--w:56px"></span></td><td><span class="sk" style=format!("--w:{width}%")></span></td><td class="p1"><span class="sk" style="--w:96px"></span></td></tr> }
    });
    view! {
        <div class="page stack" aria-busy="true">
            <p class="answer"><span class="sk" style="--w:min(480px, 80%)"></span></p>
            <div class="tbl"><table aria-label="Loading">
                <thead><tr><th class="w" style="--w:92px"></th><th></th><th class="p1 w" style="--w:140px"></th></tr></thead>
                <tbody>{rows.into_iter().collect_view()}</tbody>
            </table></div>
        </div>
    }
    .into_any()
}

//! Sending files, and how they go on.

use leptos::{ev, prelude::*};
use stance_shared::ReportStatus;

use crate::{
    browser, components as c,
    icons::{self, icon},
    state,
    uploads::{self, Upload, UploadState},
};

/// What `asset` may be, as the API takes it.
const ASSET: &str = "AGENT:support-agent";

/// The place to drop files, with some formats in words and all of them below, and the uploads of this window.
pub fn upload(formats: AnyView, all_formats: AnyView) -> AnyView {
    let over = RwSignal::new(false);
    let asset = RwSignal::new(String::new());
    let on_drop = move |event: ev::DragEvent| {
        event.prevent_default();
        over.set(false);
        uploads::start(browser::dropped(&event), &asset.get_untracked());
    };
    let all = state::app().uploads;
    view! {
        <label class="drop" data-over=move || over.get().then_some("true")
            on:dragover=move |event| { event.prevent_default(); over.set(true); }
            on:dragleave=move |_| over.set(false) on:drop=on_drop>
            {icon(icons::FILE_UP)}
            <div><p><b>"Drop reports here"</b>" or "<span class="link">"choose files"</span></p><p>{formats}"; the format is recognized"</p></div>
            <input type="file" id="files" multiple class="vh" on:change=move |event| uploads::start(browser::chosen(&event), &asset.get_untracked())/>
        </label>
        <div class="field beside"><label for="f-asset">"Asset, for reports that do not name it"</label>
            <input class="input" id="f-asset" placeholder=ASSET maxlength="500" autocomplete="off" spellcheck="false" on:input=move |event| asset.set(event_target_value(&event))/></div>
        {all_formats}
        <div aria-live="polite">{move || all.get().into_iter().map(row).collect_view()}</div>
    }
    .into_any()
}

fn row(upload: Upload) -> AnyView {
    let label = format!("Import of {}", c::clean(&upload.name));
    let (key, name) = (upload.key, upload.name.clone());
    let size = upload.size.clone();
    let ended = {
        let state = upload.state.clone();
        move || state.with(UploadState::has_ended)
    };
    let dismiss = move || {
        ended().then(|| view! { <button class="btn quiet icon sm end-auto" type="button" aria-label="Dismiss" on:click=move |_| uploads::dismiss(key)>{icon(icons::X)}</button> })
    };
    let body = move || state_view(&upload);
    view! { <div class="run" role="group" aria-label=label><div class="line"><b class="cut">{c::text(&name)}</b><span class="muted">{size}</span>{dismiss}</div>{body}</div> }.into_any()
}

fn state_view(upload: &Upload) -> AnyView {
    match upload.state.get() {
        UploadState::Sending(part) => progress(part, "Sending", 0, None),
        UploadState::Running(id, status, part) => {
            let (phase, word) = match status {
                ReportStatus::Merging => (3, "Merging"),
                ReportStatus::Staging => (2, "Staging"),
                _ => (1, "Accepted"),
            };
            progress(part, word, phase, Some(id))
        }
        UploadState::Done(id, summary) => {
            view! { <div class="line"><span class="state on" data-done="">{icon(icons::CHECK)}"Done"</span><span class="muted">{summary}</span><a class="link end-auto" href=c::report_url(&id)>"Open report"</a></div> }.into_any()
        }
        UploadState::NeedsAsset(why) => {
            let upload = upload.clone();
            let again = move |event: ev::SubmitEvent| {
                event.prevent_default();
                uploads::send(upload.clone(), &browser::form(&event).text("asset"));
            };
            view! {
                <div class="line"><span class="state">{icon(icons::TRIANGLE_ALERT)}"Which asset?"</span><span>{c::text(&why)}</span></div>
                <form class="form-line" method="post" on:submit=again>
                    <input class="input" name="asset" aria-label="Asset" placeholder=ASSET required maxlength="500" autocomplete="off" spellcheck="false"/>
                    <button class="btn">"Import for this asset"</button>
                </form>
            }
            .into_any()
        }
        UploadState::Refused(why) => view! { <div class="line"><span class="state bad">{icon(icons::CIRCLE_X)}"Refused"</span><span>{c::text(&why)}</span></div> }.into_any(),
    }
}

fn progress(part: f64, word: &'static str, phase: usize, id: Option<String>) -> AnyView {
    let percent = format!("{:.0}", part * 100.0);
    let phases = ["Send", "Accepted", "Staging", "Merge"].into_iter().enumerate().map(|(i, name)| {
        let arrow = (i > 0).then(|| icon(icons::CHEVRON_RIGHT));
        let step = if i < phase {
            view! { <span>{icon(icons::CHECK)}{name}</span> }.into_any()
        } else if i == phase {
            view! { <span class="now">{icon(icons::CIRCLE_DASHED)}{word}" "{percent.clone()}" %"</span> }.into_any()
        } else {
            view! { <span>{name}</span> }.into_any()
        };
        view! { {arrow}{step} }
    });
    let phases = phases.collect_view();
    let link = id.map(|id| view! { <a class="link end-auto" href=c::report_url(&id)>"Open report"</a> });
    view! {
        <div class="progress" role="progressbar" aria-valuenow=percent.clone() aria-valuemin="0" aria-valuemax="100" aria-label=word style=format!("--v:{percent}")></div>
        <div class="line"><span class="phases">{phases}</span>{link}</div>
    }
    .into_any()
}

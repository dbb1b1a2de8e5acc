//! One playbook: its flow, text, versions and editor.

use leptos::prelude::*;

use super::{flow, may, playbook_url, run_url, status};
use crate::{
    components::{self as c, none},
    gql::{
        self, ArchivePlaybook, PlaybookDetail, RunPlaybook, SavePlaybook, SetPlaybookEnabled, ValidatePlaybook,
        archive_playbook, playbook_detail as data, run_playbook, save_playbook, set_playbook_enabled,
        validate_playbook,
    },
    icons::{self, icon},
    layout,
    load::load,
    pages::runtime::diff,
    url::Params,
};

type Playbook = data::PlaybookDetailPlaybook;

const START: &str = "id: my-playbook
title: My playbook
summary: What it is for.
version: 1
trigger:
  on: incident
  when: severity >= HIGH
steps:
  - id: evidence
    title: Keep what is known
    action: collect-evidence
  - id: look
    title: Look into it
    task:
      role: ANALYST
      instructions: |
        What to look at, and what to do.
";

/// `/playbooks/:id`
pub fn playbook(id: String, params: Params) -> AnyView {
    load::<PlaybookDetail>(
        "The playbook",
        c::table_skeleton,
        move || data::Variables { id: id.clone() },
        move |data| data.playbook.map_or_else(crate::pages::not_found, |playbook| page(&playbook, &params)),
    )
}

/// `/playbooks/new`, empty or as a copy of the playbook that the address names.
pub fn new(params: Params) -> AnyView {
    let form = match params.get("from").map(str::to_owned) {
        None => editor(None, START),
        Some(id) => load::<PlaybookDetail>(
            "The playbook",
            none,
            move || data::Variables { id: id.clone() },
            |data| {
                data.playbook.map_or_else(crate::pages::not_found, |playbook| {
                    let copy = playbook.source.replacen(
                        &format!("id: {}", playbook.slug),
                        &format!("id: our-{}", playbook.slug),
                        1,
                    );
                    editor(None, &copy)
                })
            },
        ),
    };
    view! { {layout::top(Some(("Playbooks", "/playbooks")), "New playbook", none())}<div class="page stack"><p class="answer"><b>"A new playbook,"</b>" started by hand before you enable its trigger."</p>{form}</div> }.into_any()
}

fn page(playbook: &Playbook, params: &Params) -> AnyView {
    let path = playbook_url(&playbook.id);
    let write = may("playbook:write");
    let mut tabs = vec![("flow", "Flow"), ("text", "Text"), ("changes", "Changes")];
    if write && !playbook.built_in {
        tabs.push(("edit", "Edit"));
    }
    let current = params.get("view").filter(|view| tabs.iter().any(|(key, _)| key == view)).unwrap_or("flow");
    let links = tabs.iter().map(|(key, label)| {
        view! { <a href=Params::default().with("view", key).on(&path) aria-current=(*key == current).then_some("page") data-noscroll="">{*label}</a> }
    });
    let content = match current {
        "text" => numbered(&playbook.source),
        "changes" => changes(playbook, params),
        "edit" => editor(Some(&playbook.id), &playbook.source),
        _ => flow::picture(&playbook.title, &playbook.flow),
    };
    view! {
        {layout::top(Some(("Playbooks", "/playbooks")), &playbook.title, actions(playbook, write))}
        <div class="page stack">
            <div><p class="answer">{answer(playbook)}</p><p class="t2">{c::text(&playbook.summary)}</p><nav class="tabs" aria-label="Playbook">{links.collect_view()}</nav></div>
            <div class="grid"><div class="c8">{content}</div><div class="c4">{runs(playbook)}{versions(playbook, &path)}{sources(playbook)}</div></div>
        </div>
    }
    .into_any()
}

fn answer(playbook: &Playbook) -> AnyView {
    match (&playbook.trigger, playbook.enabled) {
        (Some(when), true) => view! { <b>"Starts by itself"</b>" for an incident with "<span class="id">{c::clean(when)}</span> }.into_any(),
        (Some(when), false) => view! { <b>"Started by hand."</b>" Enabled, it starts for an incident with "<span class="id">{c::clean(when)}</span> }.into_any(),
        (None, _) => view! { <b>"Started by hand only."</b> }.into_any(),
    }
}

fn actions(playbook: &Playbook, write: bool) -> AnyView {
    let copy = write.then(|| {
        let href = Params::default().with("from", &playbook.id).on("/playbooks/new");
        view! { <a class="btn quiet sm wide" href=href>"Copy"</a> }
    });
    let archive = (write && !playbook.built_in).then(|| {
        let body = gql::body::<ArchivePlaybook>(archive_playbook::Variables { id: playbook.id.clone() });
        view! { <button class="btn quiet sm wide" type="button" data-act=body data-done="The playbook is archived" data-then="/playbooks">"Archive"</button> }
    });
    let dry = may("playbook:run").then(|| {
        let variables = run_playbook::Variables { id: playbook.id.clone(), incident: None, dry_run: Some(true) };
        let body = gql::body::<RunPlaybook>(variables);
        view! { <button class="btn sm" type="button" data-act=body data-done="Gone through without effect" data-then="/playbooks/runs/{/runPlaybook/id}">"Dry run"</button> }
    });
    let enable = (write && playbook.trigger.is_some()).then(|| {
        let body = |enabled| gql::body::<SetPlaybookEnabled>(set_playbook_enabled::Variables { id: playbook.id.clone(), enabled });
        let (label, done, class) = if playbook.enabled {
            ("Disable", "It is started by hand only", "btn sm")
        } else {
            ("Enable", "It starts by itself from now on", "btn primary sm")
        };
        view! { <button class=class type="button" data-act=body(!playbook.enabled) data-done=done data-undo=body(playbook.enabled)>{label}</button> }
    });
    view! { {archive}{copy}{dry}{enable} }.into_any()
}

/// A document with the numbers of its lines.
fn numbered(source: &str) -> AnyView {
    let lines = source.lines().map(|line| view! { <span class="ln">{c::text(line)}"\n"</span> });
    view! { <pre class="code numbered" tabindex="0" aria-label="The playbook as YAML">{lines.collect_view()}</pre> }
        .into_any()
}

fn changes(playbook: &Playbook, params: &Params) -> AnyView {
    let named = params.get("version").and_then(|version| version.parse::<i64>().ok());
    let at = playbook.versions.iter().position(|version| Some(version.version) == named).unwrap_or(0);
    let (Some(version), Some(before)) = (playbook.versions.get(at), playbook.versions.get(at + 1)) else {
        return view! { <p class="muted">"The first version that is known here: there is nothing to compare it with."</p> }.into_any();
    };
    let aside = format!("from version {} to version {}", before.version, version.version);
    c::section("h-changes", "Changes", aside, none(), diff::view(&before.source, &version.source))
}

fn editor(id: Option<&str>, source: &str) -> AnyView {
    let variables = save_playbook::Variables { id: id.map(str::to_owned), source: String::new(), note: None };
    let body = gql::body::<SavePlaybook>(variables);
    let check = gql::body::<ValidatePlaybook>(validate_playbook::Variables { source: String::new() });
    let lines = source.lines().count().clamp(20, 48);
    let hint =
        if id.is_some() { "Count up version: a saved one never changes." } else { "id names it; choose your own." };
    view! {
        <form class="form wide-form" method="post" data-act=body data-done="Saved" data-then="/playbooks/{/savePlaybook/id}">
            <div class="field"><label for="f-source">"Document (YAML)"</label>
                <textarea class="input mono" id="f-source" name="source" rows=lines.to_string() spellcheck="false" autocapitalize="off" required maxlength="65536" data-check=check data-mistakes="/validatePlaybook/errors" data-fine="No mistakes.">{source.to_owned()}</textarea>
                <p class="err lines" role="alert"></p><p class="fine muted" role="status"></p>
                <p class="hint muted">{hint}" Its format: "<a class="link" href="/api/schemas/playbook.json" rel="external">"JSON Schema"</a></p></div>
            <div class="field"><label for="f-note">"Note: what changed, and why"</label><input class="input" id="f-note" name="note" maxlength="1000" autocomplete="off"/><p class="err" role="alert"></p></div>
            <div class="actions"><button class="btn primary">"Save"</button></div>
        </form>
    }
    .into_any()
}

fn runs(playbook: &Playbook) -> AnyView {
    let items = playbook.runs.iter().map(|run| {
        let waiting = run.progress.waiting.as_ref().map(|step| view! { <div class="ev t2">"waits: "{c::text(step)}</div> });
        view! { <li class="nt">{icon(icons::CIRCLE)}<div><a href=run_url(&run.id)>{status(run.status, run.dry_run)}</a>" "<span class="muted">{c::ago(&run.started_at)}</span>{waiting}</div></li> }
    });
    let content = if playbook.runs.is_empty() {
        view! { <p class="muted">"Never run here."</p> }.into_any()
    } else {
        view! { <ol class="tl">{items.collect_view()}</ol> }.into_any()
    };
    c::section("h-runs", "Runs", "newest first", none(), content)
}

fn versions(playbook: &Playbook, path: &str) -> AnyView {
    let items = playbook.versions.iter().map(|version| {
        let href = Params::default().with("view", "changes").with("version", &version.version.to_string()).on(path);
        let note = (!version.note.is_empty()).then(|| view! { <div class="ev t2">{c::text(&version.note)}</div> });
        view! { <li class="nt">{icon(icons::CIRCLE)}<div><a href=href data-noscroll=""><b>"Version "{version.version}</b></a>" "<span class="muted">{c::text(&version.created_by)}" · "{c::ago(&version.created_at)}</span>{note}</div></li> }
    });
    c::section(
        "h-versions",
        "Versions",
        "newest first",
        none(),
        view! { <ol class="tl">{items.collect_view()}</ol> }.into_any(),
    )
}

fn sources(playbook: &Playbook) -> AnyView {
    let items = playbook.sources.iter().map(|source| {
        let id = c::clean(&source.key);
        let name = source.name.clone().map(|name| view! { " "{c::text(&name)} });
        match &source.url {
            Some(url) => {
                view! { <li><a class="link id" href=url.clone() rel="external noreferrer">{id}</a>{name}</li> }
                    .into_any()
            }
            None => view! { <li><span class="id">{id}</span></li> }.into_any(),
        }
    });
    c::section(
        "h-sources",
        "Sources",
        "",
        none(),
        view! { <ul class="plain t2">{items.collect_view()}</ul> }.into_any(),
    )
}

//! The command palette: pages at once, assets and findings from the API.

use leptos::{ev, prelude::*};

use crate::{
    browser,
    components::text,
    gql::{self, Search, search},
    icons::{self, icon},
    state,
};

/// Something to go to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hit {
    group: &'static str,
    icon: &'static str,
    title: String,
    subtitle: String,
    url: String,
}

const PAGES: [(&str, &str, &str); 23] = [
    ("Overview", "/", icons::LAYOUT_DASHBOARD),
    ("Findings", "/findings", icons::BUG),
    ("Critical findings", "/findings?severity=CRITICAL", icons::BUG),
    ("Inventory", "/inventory", icons::BOXES),
    ("Incidents", "/incidents", icons::SIREN),
    ("Incidents on a board", "/incidents/board", icons::SIREN),
    ("Open an incident", "/incidents/new", icons::SIREN),
    ("Playbooks", "/playbooks", icons::BOOK_OPEN),
    ("Containment of agents", "/runtime/containment", icons::BAN),
    ("Runtime", "/runtime", icons::ACTIVITY),
    ("Runtime events", "/runtime/events", icons::ACTIVITY),
    ("Sessions of agents", "/runtime/sessions", icons::ACTIVITY),
    ("Sensors", "/runtime/sensors", icons::ACTIVITY),
    ("Policies", "/runtime/policies", icons::ACTIVITY),
    ("Guardrail quality", "/runtime/quality", icons::ACTIVITY),
    ("Playground: inspect a text", "/runtime/playground", icons::ACTIVITY),
    ("Import reports", "/imports", icons::FILE_UP),
    ("Audit log", "/audit", icons::SCROLL_TEXT),
    ("Members", "/settings/members", icons::USERS),
    ("API tokens", "/settings/tokens", icons::KEY_ROUND),
    ("Password and sessions", "/settings/sessions", icons::MONITOR),
    ("Runtime settings: text and retention", "/settings/runtime", icons::SETTINGS),
    ("Failed jobs", "/settings/jobs", icons::LIST_RESTART),
];

fn pages(text: &str) -> Vec<Hit> {
    let text = text.trim().to_lowercase();
    let hit = |(title, url, icon): (&str, &str, &'static str)| Hit {
        group: "Pages",
        icon,
        title: title.into(),
        subtitle: String::new(),
        url: url.into(),
    };
    PAGES.into_iter().filter(|(title, ..)| title.to_lowercase().contains(&text)).map(hit).collect()
}

/// The palette, when it is open.
pub fn palette() -> AnyView {
    let open = state::app().palette;
    view! { {move || open.get().then(|| dialog(open))} }.into_any()
}

fn dialog(open: RwSignal<bool>) -> AnyView {
    let words = RwSignal::new(String::new());
    let hits = RwSignal::new(pages(""));
    let at = RwSignal::new(0_usize);
    browser::focus(".palette input");

    let search = move |text: String| {
        words.set(text.clone());
        at.set(0);
        hits.set(pages(&text));
        if text.trim().len() < 2 {
            return;
        }
        // Wait for a pause in typing; an answer to older words is dropped.
        browser::later(120, move || {
            if words.try_get_untracked().as_ref() != Some(&text) {
                return;
            }
            leptos::task::spawn_local(async move {
                let found = gql::query::<Search>(search::Variables { text: text.clone() }).await;
                if let (Ok(found), true) = (found, words.try_get_untracked().as_ref() == Some(&text)) {
                    hits.update(|hits| hits.extend(found.search.into_iter().map(from_api)));
                }
            });
        });
    };
    let go = move |url: &str| {
        open.set(false);
        browser::navigate(url);
    };
    let on_key = move |event: ev::KeyboardEvent| {
        let count = hits.with_untracked(Vec::len).max(1);
        match event.key().as_str() {
            "ArrowDown" => at.update(|at| *at = (*at + 1) % count),
            "ArrowUp" => at.update(|at| *at = (*at + count - 1) % count),
            "Enter" => {
                if let Some(hit) = hits.with_untracked(|hits| hits.get(at.get_untracked()).cloned()) {
                    go(&hit.url);
                }
            }
            _ => return,
        }
        event.prevent_default();
    };
    let results = move || {
        let mut group = "";
        hits.get()
            .into_iter()
            .enumerate()
            .map(|(i, hit)| {
                let head = (hit.group != group).then(|| view! { <div class="ph" role="presentation">{hit.group}</div> });
                group = hit.group;
                let url = hit.url.clone();
                view! {
                    {head}
                    <div role="option" id=format!("hit-{i}") aria-selected=move || if at.get() == i { "true" } else { "false" } on:click=move |_| go(&url)>
                        {icon(hit.icon)}<span class="cut">{text(&hit.title)}</span><span class="end">{text(&hit.subtitle)}</span>
                    </div>
                }
            })
            .collect_view()
    };
    view! {
        <div class="overlay" on:click=move |_| open.set(false)>
            <div class="palette" role="dialog" aria-modal="true" aria-label="Search" on:click=|event| event.stop_propagation() on:keydown=on_key>
                <div class="q">{icon(icons::SEARCH)}
                    <input role="combobox" aria-expanded="true" aria-controls="hits" aria-activedescendant=move || format!("hit-{}", at.get())
                        aria-label="Search pages, assets and findings" placeholder="Pages, assets, findings" autocomplete="off"
                        on:input=move |event| search(event_target_value(&event))/>
                    <kbd>"esc"</kbd></div>
                <div class="results" id="hits" role="listbox" aria-label="Results">{results}</div>
                <footer><span><kbd>"↑"</kbd>" "<kbd>"↓"</kbd>" move"</span><span><kbd>"↵"</kbd>" open"</span></footer>
            </div>
        </div>
    }
    .into_any()
}

fn from_api(hit: search::SearchSearch) -> Hit {
    let (group, icon) = match hit.kind.to_ascii_uppercase().as_str() {
        "ASSET" => ("Assets", icons::BOXES),
        "FINDING" => ("Findings", icons::BUG),
        "REPORT" => ("Reports", icons::FILE_UP),
        _ => ("More", icons::ARROW_RIGHT),
    };
    // Only addresses of this server: the text came over the network.
    let url = if hit.url.starts_with('/') && !hit.url.starts_with("//") { hit.url } else { "/".into() };
    Hit { group, icon, title: hit.title, subtitle: hit.subtitle, url }
}
